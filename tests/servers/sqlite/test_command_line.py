"""The command line as a user meets it: usage, greetings, files that are not there, entries for hosts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.transports.host import META, PATIENCE, Host, line, request, surroundings

from mcp_server_sqlite import __version__
from mcp_server_sqlite.sample import create_sample

SCRIPT = [str(Path(sys.executable).with_name("mcp-server-sqlite"))]
MODULE = [sys.executable, "-m", "mcp_server_sqlite"]
QUERY = {"sql": "SELECT count(*) FROM customers"}


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, without a client and without a terminal."""
    variables = {"MCP_DB_PATH": "", **(environment or {})}
    return subprocess.run(
        [*SCRIPT, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=surroundings(**variables),
    )


class Terminal:
    """A person's terminal with the program in it."""

    def __init__(self, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self.ours, self.shown = ours, ""
        self.process = subprocess.Popen(
            [*SCRIPT, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=surroundings(),
        )
        os.close(theirs)

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert select.select([self.ours], [], [], max(deadline - time.monotonic(), 0))[0], self.shown
            self.shown += os.read(self.ours, 4096).decode().replace("\r\n", "\n")

    def read_all(self) -> str:
        try:
            while chunk := os.read(self.ours, 4096):
                self.shown += chunk.decode().replace("\r\n", "\n")
        except OSError:  # how Linux says that nobody holds the other end any more
            pass
        return self.shown

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self.ours)


WRONG = [
    (),
    ("--db-path",),
    ("--db-path", ""),
    ("--db-path=x.db", "--bogus"),
    ("--db", "x.db"),
    ("--db-path=x.db", "--timeout", "0"),
    ("--db-path=x.db", "--timeout", "nan"),
    ("--db-path=x.db", "--query-timeout", "inf"),
    ("--db-path=x.db", "--max-rows", "-1"),
    ("--db-path=x.db", "--max-rows", "1.5"),
    ("--db-path=x.db", "--max-rows", "²"),
    ("--db-path=x.db", "--max-output-bytes", "many"),
    ("--db-path=x.db", "--mask-column", "t"),
    ("--db-path=x.db", "--mask-column", ".c"),
    ("--db-path=x.db", "--log-level", "loud"),
    ("--db-path=x.db", "--print-config", "emacs"),
    ("--db-path=x.db", "--transport", "carrier-pigeon"),
    ("--db-path", "x.db", "sub/x.db"),
    ("--db-path", "a=x.db", "a=y.db"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_bad_usage_is_one_line_that_says_what_to_do(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mcp-server-sqlite: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("Try mcp-server-sqlite --help.\n")


def test_a_doubled_name_is_told_how_to_part() -> None:
    assert "--db-path x2=FILE" in run("--db-path", "x.db", "sub/x.db").stderr


@pytest.mark.parametrize("text", ["x" * 300, "name=" + "x" * 300], ids=["long", "long and named"])
@pytest.mark.parametrize("create", [(), ("--create",)])
def test_a_path_that_no_file_can_have_is_a_problem_and_no_traceback(text: str, create: tuple[str, ...]) -> None:
    done = run("--db-path", text, *create)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"mcp-server-sqlite {__version__}\n")


def test_help_names_every_option() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert {"--db-path", "--sample", "--deny-table", "--print-config"} <= set(re.findall(r"--[a-z-]+", done.stdout))


def test_a_person_in_a_terminal_is_greeted_and_ctrl_c_says_good_bye(tmp_path: Path) -> None:
    with Terminal("--db-path", str(tmp_path / "x.db"), "--sample") as terminal:
        terminal.read_until("Ctrl-C ends it.\n")
        assert str(tmp_path / "x.db") in terminal.shown
        entry: dict[str, Any] = json.loads(
            terminal.shown[terminal.shown.index("{\n") : terminal.shown.rindex("}\n") + 1]
        )
        assert list(entry) == ["mcpServers"]
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(PATIENCE) == 130
        assert "Traceback" not in terminal.read_all()


def test_a_host_is_not_greeted(tmp_path: Path) -> None:
    assert "Claude Desktop" not in run("--db-path", str(tmp_path / "x.db"), "--sample").stderr


def test_a_missing_file_ends_the_program_in_a_terminal(tmp_path: Path) -> None:
    with Terminal("--db-path", str(tmp_path / "none.db")) as terminal:
        assert terminal.process.wait(PATIENCE) == 2
        shown = terminal.read_all()
    assert str(tmp_path / "none.db") in shown
    assert shown.count("\n") == 1


def test_a_file_that_is_no_database_ends_the_program_in_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear database, " * 1000)
    with Terminal("--db-path", str(path)) as terminal:
        assert terminal.process.wait(PATIENCE) == 2
        assert f"{path} is not an SQLite database" in terminal.read_all()


def test_a_host_s_server_stays_up_without_its_file_and_serves_it_once_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    with Host([*SCRIPT, "--db-path", str(path)]) as host:
        host.open()
        assert next(tool["name"] for tool in host.request("tools/list")["tools"]) == "query"
        assert host.request("resources/list")["resources"]
        for tool, arguments in (("query", QUERY), ("list_tables", {}), ("describe_table", {"table_name": "customers"})):
            refused = host.call(tool, **arguments)
            assert refused["isError"] is True
            assert str(path) in refused["content"][0]["text"]
            assert "--sample" in refused["content"][0]["text"]
        create_sample(path)
        assert host.call("query", **QUERY)["structuredContent"]["rows"] == [[60]]
        assert any(each["uri"] == "db://tables/customers" for each in host.request("resources/list")["resources"])
        path.unlink()
        assert host.call("query", **QUERY)["isError"] is True


def test_a_host_s_server_stays_up_with_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear database, " * 1000)
    with Host([*SCRIPT, "--db-path", str(path)]) as host:
        refused = host.open().call("query", **QUERY)
        assert refused["isError"] is True
        assert f"{path} is not an SQLite database" in refused["content"][0]["text"]
        assert f"{path} is not an SQLite database" in host.log()
        assert path.read_text() == "Dear database, " * 1000


@pytest.mark.parametrize("option", ["--create", "--sample"])
def test_a_host_s_server_stays_up_when_its_file_cannot_be_made(tmp_path: Path, option: str) -> None:
    path = tmp_path / "no such folder" / "x.db"
    with Host([*SCRIPT, "--db-path", str(path), option]) as host:
        refused = host.open().call("query", **QUERY)
        assert str(path) in refused["content"][0]["text"]
        assert f"{path} cannot be created" in host.log()


def test_a_locked_file_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    create_sample(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        arguments = ["--db-path", str(path), "--deny-table", "reviews", "--query-timeout", "5"]
        with Host([*SCRIPT, *arguments]) as host:
            began = time.monotonic()
            host.open()
            assert time.monotonic() - began < 4
            writer.execute("COMMIT")
            assert host.call("query", **QUERY)["structuredContent"]["rows"] == [[60]]


@pytest.mark.parametrize("content", [b"", b"precious", b"SQLite format 3\0" + bytes(84)])
@pytest.mark.parametrize("option", ["--sample", "--create"])
def test_a_file_that_exists_is_never_touched(tmp_path: Path, option: str, content: bytes) -> None:
    path = tmp_path / "mine.db"
    path.write_bytes(content)
    before = path.stat()
    assert run("--db-path", str(path), option).returncode == 0
    assert path.read_bytes() == content
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_sample_that_was_changed_keeps_the_change(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    assert run("--db-path", str(path), "--sample").returncode == 0
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DELETE FROM reviews")
        raw.commit()
    before = path.read_bytes()
    assert run("--db-path", str(path), "--sample").returncode == 0
    assert path.read_bytes() == before


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    assert run("--db-path", str(tmp_path / "link.db"), "--sample").returncode == 0
    assert not (tmp_path / "elsewhere.db").exists()


def test_create_makes_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    with Host([*SCRIPT, "--db-path", str(path), "--create"]) as host:
        assert host.open().call("list_tables")["structuredContent"] == {"tables": [], "note": None}


def test_the_environment_names_the_file_where_the_command_line_does_not(tmp_path: Path) -> None:
    create_sample(tmp_path / "one.db")
    with Host(SCRIPT, environment={"MCP_DB_PATH": str(tmp_path / "one.db")}) as host:
        assert host.open().call("query", **QUERY)["structuredContent"]["rows"] == [[60]]
    with Host([*SCRIPT, "--db-path", "none.db"], environment={"MCP_DB_PATH": str(tmp_path / "one.db")}) as host:
        assert host.open().call("query", **QUERY)["isError"] is True


@pytest.mark.parametrize("command", [SCRIPT, MODULE], ids=["script", "module"])
@pytest.mark.parametrize("name", ["claude-desktop", "claude-code", "vscode", "cursor"])
def test_the_entry_for_a_host_starts_the_very_server(tmp_path: Path, name: str, command: list[str]) -> None:
    options = [
        "--db-path",
        "shop of mine.db",
        "other=x=1.db",
        "--sample",
        "--deny-table=-odd",
        "--deny-table",
        "reviews",
    ]
    options += ["--mask-column", "customers.email", "--max-rows", "7", "--print-config", name]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    (servers,) = json.loads(done.stdout).values()
    assert list(servers) == ["sqlite"]
    entry = servers["sqlite"]
    assert entry.get("type", "stdio") == "stdio"
    assert list(tmp_path.iterdir()) == []  # printing makes no file
    with Host([entry["command"], *entry["args"]]) as host:
        host.open()
        sql = "SELECT email FROM customers"
        result = host.call("query", database="shop of mine", sql=sql)["structuredContent"]
        assert result["rows"] == [[None]] * 7
        assert "reviews" not in str(host.call("list_tables", database="other"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop of mine.db", "x=1.db"]


def test_a_closed_stderr_does_not_matter(tmp_path: Path) -> None:
    create_sample(tmp_path / "x.db")
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *SCRIPT, "--db-path", str(tmp_path / "x.db")]
    with Host(command) as host:
        assert host.open().call("query", **QUERY)["structuredContent"]["rows"] == [[60]]


def test_a_request_piped_in_by_hand_is_answered(tmp_path: Path) -> None:
    create_sample(tmp_path / "x.db")
    done = subprocess.run(
        [*SCRIPT, "--db-path", str(tmp_path / "x.db")],
        input=line(request(1, "tools/call", name="query", arguments=QUERY, _meta=META)),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout)["result"]["structuredContent"]["rows"] == [[60]]
