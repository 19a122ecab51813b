"""The command line as a user meets it: directories, modes, what cannot be served, entries for hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.served import serve
from tests.servers.filesystem.desk import SERVER, Desk
from tests.stage import scene
from tests.transports.host import PATIENCE, Host, is_alive, surroundings, until

from mcp_kernel import Client
from mcp_server_filesystem import __version__
from mcp_server_filesystem.cli import command_line, directory

SCRIPT = [str(Path(sys.executable).with_name("mcp-server-filesystem"))]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, without a client and without a terminal."""
    return subprocess.run(
        [*SCRIPT, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=surroundings(),
    )


def test_the_version_is_told() -> None:
    assert run("--version").stdout.strip() == f"mcp-server-filesystem {__version__}"


def test_a_directory_says_whether_it_may_be_written(tmp_path: Path) -> None:
    assert directory("x").path == Path.cwd() / "x"
    assert [directory(f"x{mode}").writable for mode in ("", ":rw", ":ro")] == [True, True, False]
    (tmp_path / "odd:ro").mkdir()
    assert directory(str(tmp_path / "odd:ro")).writable is True
    assert directory(str(tmp_path / "odd:ro:ro")) == directory(f"{tmp_path}/odd:ro:ro")
    assert directory("~").path == Path.home()


@pytest.mark.parametrize("arguments", [["--max-entries", "x", "."], ["--roots", "all", "."], ["", "."]])
def test_bad_usage_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_a_bad_glob_is_bad_usage(tmp_path: Path) -> None:
    ended = run(str(tmp_path), "--deny", "{a,b}" * 10)
    assert ended.returncode == 2
    assert "alternatives" in ended.stderr


def test_no_directory_and_no_roots_to_ask_for_is_bad_usage() -> None:
    ended = run("--roots", "ignore")
    assert ended.returncode == 2
    assert "command line" in ended.stderr


def test_a_directory_that_is_missing_is_told_by_every_call(tmp_path: Path) -> None:
    with Host([*SERVER, str(tmp_path / "later")]) as host:
        desk = Desk(host.open(), "legacy")
        assert "does not exist" in desk.refusal("list_directory", path=".")
        (tmp_path / "later").mkdir()
        assert desk.text("list_directory", path=".") == ""


def test_a_host_s_entry_starts_this_very_server(served: Path) -> None:
    ended = run(
        "--read-only", "--deny", "*.secret", "--print-config", "claude-desktop", f"{served}:ro", "--no-gitignore"
    )
    entry = json.loads(ended.stdout)["mcpServers"]["filesystem"]
    arguments = command_line().parse_args(entry["args"])
    assert [str(each) for each in arguments.directories] == [f"{served}:ro"]
    assert (arguments.deny, arguments.read_only, arguments.no_gitignore) == (["*.secret"], True, True)


def test_the_same_is_served_over_http(served: Path) -> None:
    @scene
    async def read(url: str) -> None:
        async with Client(url) as client:
            assert (await client.call_tool("read_text_file", {"path": "a.txt"})).text.startswith("one")

    with serve([*SERVER, str(served)]) as url:
        read(url)


@pytest.mark.slow
def test_the_end_takes_a_search_that_runs_away_with_it(served: Path) -> None:
    for number in range(3):
        (served / f"evil{number}").write_text("a" * 60 + "b\n")
    with Host([*SERVER, str(served)]) as host:
        host.open()
        host.ask_tool("search_file_contents", query="(a+)+$", regex=True)
        children = Path(f"/proc/{host.process.pid}/task/{host.process.pid}/children")
        every = Path("/proc")
        found: list[int] = []

        def has_child() -> bool:
            for folder in every.iterdir():
                if folder.name.isdigit() and (folder / "stat").exists():
                    parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                    if int(parent) == host.process.pid:
                        found.append(int(folder.name))
            return bool(found)

        assert children.parent.exists()
        until(has_child)
        assert host.end() == 0
        until(lambda: not any(is_alive(child) for child in found), 3)
        assert os.getpid() not in found
