"""The command line as a user meets it: usage, the greeting, entries for hosts, seeds, passwords."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.ticketing.fleet import SERVER
from tests.transports.host import PATIENCE, Host, surroundings

PASSWORD = "hush-7741"
SEED: dict[str, Any] = {
    "customers": [{"email": "Dan@example.com", "name": "Dan", "tier": "pro"}],
    "tickets": [{"id": 7, "subject": "A", "customer": "dan@example.com", "body": "b", "priority": "urgent"}],
}


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, without a client and without a terminal."""
    environment = surroundings(**{"TICKETING_DATABASE_URL": "", **variables})
    return subprocess.run(
        [*SERVER, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
        env=environment,
        cwd=folder,
    )


WRONG = [
    ("--bogus",),
    ("--db-path", ""),
    ("--db-path", "x.db", "--database-url", "postgresql://localhost/x"),
    ("--database-url", "mysql://localhost/x"),
    ("--database-url", "postgresql://localhost:port/x"),
    ("--seed", "none.json"),
    ("--seed", "wrong.json"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_bad_usage_is_one_line_that_says_what_to_do(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "wrong.json").write_text("{")
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mcp-server-ticketing: ")
    assert done.stderr.endswith("Try mcp-server-ticketing --help.\n")
    assert done.stderr.count("\n") == 1


FAULTS: list[tuple[object, str]] = [
    ([], "the file must be an object"),
    ({"tickets": [{}]}, "tickets[0] has no subject"),
    ({"customers": [{"email": "dan"}]}, "e-mail address"),
    ({"customers": [{"email": "a@b.c", "tier": "gold"}]}, "customers[0].tier must be one of free, pro"),
    ({"customers": [{"email": "a@b.c", "admin": True}]}, "'admin', which means nothing here"),
    ({"tickets": SEED["tickets"]}, "who is none of the customers"),
    ({**SEED, "tickets": SEED["tickets"] * 2}, "a ticket is there twice"),
    ({**SEED, "tickets": [{**SEED["tickets"][0], "id": True}]}, "tickets[0].id must be a whole number"),
    ({**SEED, "tickets": [{**SEED["tickets"][0], "body": " "}]}, "tickets[0].body is empty"),
]


@pytest.mark.parametrize(("content", "complaint"), FAULTS, ids=[complaint for _, complaint in FAULTS])
def test_a_seed_that_is_wrong_is_told_where(tmp_path: Path, content: object, complaint: str) -> None:
    (tmp_path / "seed.json").write_text(json.dumps(content))
    done = run(tmp_path, "--seed", "seed.json")
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_seed_fills_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(json.dumps(SEED))
    options = ["--db-path", str(tmp_path / "x.db"), "--seed", str(tmp_path / "seed.json")]
    with Host([*SERVER, *options]) as host:
        (line,) = host.open().call("search_tickets")["structuredContent"]["tickets"]
        assert (line["ticket_id"], line["customer"], line["tier"]) == ("7", "dan@example.com", "pro")


@pytest.mark.parametrize("name", ["claude-desktop", "vscode"])
def test_the_entry_for_a_host_starts_the_very_server(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, "--print-config", name)
    ((entry,),) = [list(servers.values()) for servers in json.loads(done.stdout).values()]
    assert list(tmp_path.iterdir()) == []  # printing makes no file
    with Host([entry["command"], *entry["args"]]) as host:
        assert host.open().call("search_tickets")["structuredContent"]["total"] == 2
    assert (tmp_path / "tickets.db").exists()


def test_a_person_in_a_terminal_is_greeted(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*SERVER, "--db-path", str(tmp_path / "x.db")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings()) as process:
        os.close(theirs)
        shown, deadline = "", time.monotonic() + PATIENCE * 2
        while "Ctrl-C ends it." not in shown:
            assert select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0], shown
            shown += os.read(ours, 4096).decode()
        assert str(tmp_path / "x.db") in shown
        process.terminate()
        process.wait(PATIENCE)
    os.close(ours)


def test_a_host_s_server_stays_up_and_says_what_is_wrong(tmp_path: Path) -> None:
    with Host([*SERVER, "--db-path", str(tmp_path / "no such folder" / "x.db")]) as host:
        refused = host.open().call("search_tickets")
        assert refused["isError"] is True
        assert "cannot be opened or made" in refused["content"][0]["text"]
        assert host.request("resources/list")["resources"][0]["uri"] == "ticket://list"
        (tmp_path / "no such folder").mkdir()
        assert host.call("search_tickets")["structuredContent"]["total"] == 2


def test_the_password_stands_in_no_title_no_log_and_no_answer(tmp_path: Path, postgres: str) -> None:
    parts = urlsplit(postgres)
    secret = parts._replace(netloc=f"postgres:{PASSWORD}@{parts.netloc.rpartition('@')[2]}", path="/nowhere").geturl()
    with Host([*SERVER, "--database-url", secret, "--log-level", "debug"]) as host:
        refused = host.open().call("search_tickets")
        assert "nowhere" in refused["content"][0]["text"]
        title = Path(f"/proc/{host.process.pid}/cmdline").read_text()
        assert "nowhere" in title
        said = str([seen.message for seen in host.witness.seen])
        assert PASSWORD not in f"{title} {said} {host.log()}"
    assert PASSWORD not in run(tmp_path, "--database-url", secret, "--print-config", "cursor").stdout


def test_the_environment_names_the_database_where_the_command_line_does_not(tmp_path: Path, postgres: str) -> None:
    with Host(SERVER, environment={"TICKETING_DATABASE_URL": postgres}) as host:
        assert host.open().call("search_tickets")["structuredContent"]["total"] == 2
    done = run(tmp_path, TICKETING_DATABASE_URL="mysql://x")
    assert (done.returncode, done.stderr.startswith("mcp-server-ticketing: TICKETING_DATABASE_URL: ")) == (2, True)
