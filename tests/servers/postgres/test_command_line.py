"""Arguments, the environment, and databases that cannot be reached: started, the server always says what is wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from tests.servers.postgres.conftest import PASSWORD, Shop
from tests.transports.host import Host, surroundings

BY_TOKEN = ["postgresql://x", "--set-role-from", "role", "--auth", "auth.toml", "--transport", "http"]
SERVER = [sys.executable, "-m", "mcp_server_postgres"]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in surroundings(**variables).items()
        if not name.startswith("PG") or name in variables
    }
    if "DATABASE_URL" not in variables:
        environment.pop("DATABASE_URL", None)
    command = [*SERVER, *arguments]
    empty = subprocess.DEVNULL
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False, stdin=empty
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no database"),
        (["mysql://x"], "must begin with postgresql://"),
        (["postgresql://h:port/x"], "cannot be read"),
        (["postgresql://x", "--dsn-file", "y"], "not both"),
        (["--dsn-file", "/nowhere/dsn"], "cannot be read"),
        (["postgresql://x", "--mask-column", "ssn"], "TABLE.COLUMN"),
        (["postgresql://x", "--max-rows", "many"], "whole number"),
        (["postgresql://x", "--max-cost", "0"], "above 0"),
        (["postgresql://x", "--set-role-from", "role"], "add --auth FILE"),
        (["postgresql://x", "--set-local", "app.user=sub"], "add --auth FILE"),
        (["postgresql://x", "--set-local", "row_security=sub"], "with a dot"),
        ([*BY_TOKEN, "--allow-superuser"], "do not go together"),
        ([*BY_TOKEN, "--allow-function", "pg_catalog.set_config"], "any role or setting"),
        (["postgresql://x", "--set-local", "app.user"], "NAME=CLAIM"),
        (["postgresql://x", "--set-local", "app.user; RESET ROLE=sub"], "with a dot"),
    ],
)
def test_bad_usage_is_one_line_that_says_what_to_do(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def first_query(host: Host) -> str:
    return str(host.open().call("query", sql="SELECT 1 AS one")["content"][0]["text"])


def test_the_database_may_come_in_every_usual_way(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text(shop.url() + "\n")
    place = shop.url().partition("@")[2].partition("/")[0]
    variables = {
        "PGHOST": place.partition(":")[0],
        "PGPORT": place.partition(":")[2] or "5432",
        "PGUSER": "mcp_reader",
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": shop.database,
    }
    ways: list[tuple[list[str], dict[str, str]]] = [
        ([shop.url()], {}),
        (["--dsn-file", str(file)], {}),
        ([], {"DATABASE_URL": shop.url()}),
        ([], {"DATABASE_URL": "", **variables}),
    ]
    for arguments, environment in ways:
        with Host([*SERVER, *arguments], environment=environment) as host:
            assert "one" in first_query(host)


def test_the_password_stands_in_no_title_no_log_and_no_answer(shop: Shop) -> None:
    with Host([*SERVER, shop.url(), "--log-level", "debug"]) as host:
        first_query(host)
        listed = host.request("resources/templates/list"), host.call("query", sql="SELECT nonsense")
        if sys.platform == "linux":
            title = Path(f"/proc/{host.process.pid}/cmdline").read_text()
            assert "mcp_reader" in title
            assert PASSWORD not in title
        assert PASSWORD not in host.log() + json.dumps(listed)
    for done in (run(shop.url(), "--print-config", "cursor"), run(shop.url() + "x", "--deny-table", "a")):
        assert PASSWORD not in done.stdout + done.stderr


def test_the_configuration_is_printed_without_the_password(shop: Shop) -> None:
    done = run(shop.url(), "--max-rows", "5", "--print-config", "claude-desktop")
    entry = json.loads(done.stdout)["mcpServers"]["postgres"]
    assert "***" in entry["args"][-3] + entry["args"][-1] + entry["args"][-2]
    assert "--dsn-file" in done.stderr


def test_the_configuration_names_the_file_of_the_dsn_and_not_what_it_holds(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "shop.dsn"
    file.write_text(shop.url())
    done = run("--dsn-file", str(file), "--print-config", "claude-desktop")
    entry = json.loads(done.stdout)["mcpServers"]["postgres"]
    assert entry["args"][-2:] == ["--dsn-file", str(file)]
    assert "postgresql://" not in done.stdout
    with Host([*SERVER, *entry["args"][-2:]]) as host:
        assert "one" in first_query(host)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wrong_dsns(shop: Shop) -> list[tuple[str, str]]:
    good = shop.url("locked", "wrong-" + PASSWORD)
    return [
        (f"postgresql://u:{PASSWORD}@127.0.0.1:{closed_port()}/x", "refused"),
        (f"postgresql://u:{PASSWORD}@no-such-host.invalid/x", "not found"),
        (shop.url(database="no_such_database"), "name of the database"),
        (good, "password"),
        (shop.url() + "?sslmode=verify-full", "TLS"),
        (f"postgresql://u:{PASSWORD}@/x?host=/nowhere", "socket"),
    ]


def test_a_database_that_cannot_be_reached_is_an_answer_that_says_why(shop: Shop) -> None:
    for dsn, said in wrong_dsns(shop):
        with Host([*SERVER, dsn]) as host:
            host.open()
            assert len(host.request("tools/list")["tools"]) == 4
            assert [each["uri"] for each in host.request("resources/list")["resources"]] == ["db://schema"]
            answer = host.call("query", sql="SELECT 1")
            assert answer["isError"] is True
            assert said in answer["content"][0]["text"], answer
            assert PASSWORD not in json.dumps(answer) + host.log()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where something listens and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        held: list[socket.socket] = []
        Thread(target=lambda: held.append(listener.accept()[0]), daemon=True).start()
        yield int(listener.getsockname()[1])
        for each in held:
            each.close()


def test_a_database_that_says_nothing_is_given_up_in_time(silent: int) -> None:
    with Host([*SERVER, f"postgresql://u@127.0.0.1:{silent}/x", "--query-timeout", "0.5"]) as host:
        answer = host.open().call("query", sql="SELECT 1")
        assert answer["isError"] is True
        assert (
            "did not answer in time" in answer["content"][0]["text"] or "Stopped after" in answer["content"][0]["text"]
        )


def test_what_cannot_be_withheld_is_not_served(shop: Shop) -> None:
    done = run(shop.url("mcp_plain"), "--deny-table", "credentials")
    assert done.returncode == 2
    assert "GRANT TEMPORARY" in done.stderr
    assert "REVOKE SELECT ON credentials" in done.stderr


def test_misspelt_names_are_warned_of(shop: Shop) -> None:
    done = run(shop.url(), "--deny-table", "credential", "--mask-column", "customers.snn")
    assert done.returncode == 0
    assert "named credential:" in done.stderr
    assert "named customers.snn:" in done.stderr


def test_an_override_says_so(shop: Shop) -> None:
    with Host([*SERVER, shop.superuser, "--allow-superuser"]) as host:
        said = host.request(
            "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"}
        )
        assert "--allow-superuser" in said["instructions"]
        assert "--allow-superuser" in host.log()
