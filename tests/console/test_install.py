"""`install` and `uninstall`: the right file, the right shape, nothing lost, and an entry that a host can start."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.console.conftest import COMMAND, PATIENCE, Shell
from tests.transports.host import Host

from mcp_kernel import cli, hosts
from mcp_kernel.client.configuration import load_configuration, parse_text
from mcp_kernel.console.amendment import Amendment
from mcp_kernel.console.terminal import Misuse
from mcp_release.workspace import Package, find_servers

SQLITE = f"'{sys.executable}' -m mcp_server_sqlite --db-path shop.db --sample"
BARE = {"PATH": "/usr/bin:/bin"}
"""What a host that was not started in a terminal gives a server."""

ARGUMENTS = {
    "filesystem": ["."],
    "postgres": ["postgresql://127.0.0.1:1/none"],
    "sqlite": ["--db-path", "shop.db", "--sample"],
    "vector": ["--data-dir", "data"],
}

PLACES = {
    ("claude-desktop", "linux"): ".config/Claude/claude_desktop_config.json",
    ("claude-desktop", "darwin"): "Library/Application Support/Claude/claude_desktop_config.json",
    ("claude-desktop", "win32"): "AppData/Roaming/Claude/claude_desktop_config.json",
    ("claude-code", "linux"): ".claude.json",
    ("claude-code", "darwin"): ".claude.json",
    ("claude-code", "win32"): ".claude.json",
    ("vscode", "linux"): ".config/Code/User/mcp.json",
    ("vscode", "darwin"): "Library/Application Support/Code/User/mcp.json",
    ("vscode", "win32"): "AppData/Roaming/Code/User/mcp.json",
    ("cursor", "linux"): ".cursor/mcp.json",
    ("cursor", "darwin"): ".cursor/mcp.json",
    ("cursor", "win32"): ".cursor/mcp.json",
    ("windsurf", "linux"): ".codeium/windsurf/mcp_config.json",
    ("windsurf", "darwin"): ".codeium/windsurf/mcp_config.json",
    ("windsurf", "win32"): ".codeium/windsurf/mcp_config.json",
    ("zed", "linux"): ".config/zed/settings.json",
    ("zed", "darwin"): ".config/zed/settings.json",
    ("zed", "win32"): "AppData/Roaming/zed/settings.json",
}

each_host = pytest.mark.parametrize("host", hosts.HOSTS)


@pytest.mark.parametrize(("host", "platform"), PLACES, ids=" on ".join)
def test_each_host_has_its_file_on_each_platform(host: str, platform: str) -> None:
    home = Path("/home/me")
    assert hosts.Machine(home, {}, platform).user_file(host) == home / PLACES[host, platform]


def test_the_environment_may_say_where_a_file_lies() -> None:
    moved = {"XDG_CONFIG_HOME": "/x", "APPDATA": "/r", "CLAUDE_CONFIG_DIR": "/c"}
    files = {
        (host, platform): hosts.Machine(Path("/home/me"), moved, platform).user_file(host) for host, platform in PLACES
    }
    assert files["zed", "linux"] == Path("/x/zed/settings.json")
    assert files["zed", "darwin"] == Path("/home/me/.config/zed/settings.json")
    assert files["vscode", "win32"] == Path("/r/Code/User/mcp.json")
    assert files["claude-code", "darwin"] == Path("/c/.claude.json")


@each_host
def test_an_installed_server_has_the_host_s_shape_and_talks(host: str, shell: Shell) -> None:
    done = shell.run("install", SQLITE, "--host", host, "--yes")
    assert done.returncode == 0, done.stderr
    path = shell.folder / PLACES[host, "linux"]
    ((section, servers),) = json.loads(path.read_text()).items()
    marks = {"vscode": {"type": "stdio"}, "claude-code": {"type": "stdio"}, "zed": {"source": "custom"}}.get(host, {})
    assert section == {"vscode": "servers", "zed": "context_servers"}.get(host, "mcpServers")
    assert servers == {"sqlite": {**marks, "command": sys.executable, "args": servers["sqlite"]["args"]}}
    entry = load_configuration(path).entry("sqlite")
    assert entry.command is not None
    with Host([entry.command, *entry.args], environment=BARE) as started:
        result = started.open().call("query", sql="SELECT count(*) AS n FROM customers")
    assert result["structuredContent"]["rows"] == [[60]]
    assert shell.run("uninstall", "mcp-server-sqlite", "--host", host, "--yes").returncode == 0
    assert load_configuration(path).names == []


@pytest.mark.slow
@pytest.mark.parametrize("package", find_servers(), ids=lambda package: package.name)
def test_every_server_prints_an_entry_for_every_host_that_starts_it(package: Package, tmp_path: Path) -> None:
    command = [sys.executable, "-m", package.module, *ARGUMENTS.get(package.name, [])]
    printed: list[list[str]] = []
    for host, kept in hosts.HOSTS.items():
        done = subprocess.run(
            [*command, "--print-config", host], cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=True
        )
        entry = json.loads(done.stdout)[kept.section][package.name]
        printed.append([entry["command"], *entry["args"]])
    assert printed == [printed[0]] * len(hosts.HOSTS)
    with Host(printed[0], environment=BARE) as started:
        started.open()
        assert started.request("tools/list")["tools"]


def test_the_command_line_offers_every_host_that_is_known() -> None:
    (action,) = [each for each in cli.CommandLine("x", "1", "y")._actions if each.dest == "print_config"]  # pyright: ignore[reportPrivateUsage]  # argparse has no public list
    assert tuple(action.choices or ()) == tuple(hosts.HOSTS)


CROWDED = """\
{
    // my theme
    "theme": "dark", /* not light */
    "context_servers": {
        "other": {
            "command": "x", // keep
            "args": [],
            "env": {"API_KEY": "hunter2hunter2"},
        },
    },
    "last": [1, 2,],
}
"""


def test_comments_and_formatting_survive_and_leave_no_trace(shell: Shell) -> None:
    path = shell.folder / ".config/zed/settings.json"
    path.parent.mkdir(parents=True)
    path.write_text(CROWDED)
    path.chmod(0o640)
    done = shell.run("install", SQLITE, "--host", "zed", "--yes")
    assert done.returncode == 0, done.stderr
    new = path.read_text()
    assert [line for line in CROWDED.splitlines() if line not in new.splitlines()] == []
    assert '\n        "sqlite": {\n            "source": "custom",' in new
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    backup = path.with_name("settings.json.mcp-kernel.bak")
    assert backup.read_text() == CROWDED
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    shell.run("uninstall", "sqlite", "--host", "zed", "--yes")
    assert path.read_text() == CROWDED
    assert sorted(each.name for each in path.parent.iterdir()) == ["settings.json", backup.name]


def test_the_difference_is_shown_without_the_secrets_around_it(shell: Shell) -> None:
    path = shell.folder / "zed.json"
    path.write_text(CROWDED)
    done = shell.run("install", SQLITE, "--host", "zed", "--file", str(path))
    assert (done.returncode, path.read_text()) == (1, CROWDED)
    assert '+        "sqlite": {' in done.stdout
    assert '"API_KEY": "***"' in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stderr.endswith("nothing was written\n")


def test_what_the_user_added_to_an_entry_stays_when_it_is_installed_again(shell: Shell) -> None:
    entry = {"command": "old", "args": ["x"], "env": {"A": "1"}, "disabled": True}
    path = Path(shell.write("x.json", sqlite=entry))
    assert shell.run("install", SQLITE, "--host", "cursor", "--file", str(path), "--yes").returncode == 0
    new = json.loads(path.read_text())["mcpServers"]["sqlite"]
    assert (new["env"], new["disabled"]) == ({"A": "1"}, True)
    assert new["command"] == sys.executable
    again = shell.run("install", SQLITE, "--host", "cursor", "--file", str(path), "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert "already" in again.stderr


def test_what_the_server_warns_of_is_passed_on(shell: Shell) -> None:
    server = f"'{sys.executable}' -m mcp_server_postgres postgresql://me:hunter2@127.0.0.1:1/shop"
    done = shell.run("install", server, "--host", "cursor", "--yes")
    assert done.returncode == 0
    assert "the password is left out" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr + (shell.folder / ".cursor/mcp.json").read_text()


def test_a_server_of_that_name_that_is_no_command_is_not_touched(shell: Shell) -> None:
    path = Path(shell.write("x.json", sqlite={"url": "https://example.com/mcp"}))
    done = shell.run("install", SQLITE, "--host", "cursor", "--file", str(path), "--yes")
    assert done.returncode == 2
    assert "--name sqlite2" in done.stderr
    done = shell.run("install", SQLITE, "--host", "cursor", "--file", str(path), "--yes", "--name", "shop")
    assert list(json.loads(path.read_text())["mcpServers"]) == ["sqlite", "shop"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b'{"mcpServers": {', "this is no JSON"),
        (b'{"mcpServers": []}', "mcpServers is not an object"),
        (b"[]", "it must hold an object"),
        (b'{"a": "\xff"}', "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left_alone(shell: Shell, text: bytes, complaint: str) -> None:
    path = shell.folder / "x.json"
    path.write_bytes(text)
    done = shell.run("install", SQLITE, "--host", "cursor", "--file", str(path), "--yes")
    assert done.returncode in (1, 2)
    assert complaint in done.stderr
    assert path.read_bytes() == text
    assert [each.name for each in shell.folder.iterdir() if each.name.startswith("x.json")] == ["x.json"]


def test_a_link_to_a_file_stays_a_link(shell: Shell) -> None:
    (shell.folder / "dotfiles").mkdir()
    (shell.folder / "dotfiles/cursor.json").write_text("{}")
    (shell.folder / ".cursor").mkdir()
    (shell.folder / ".cursor/mcp.json").symlink_to("../dotfiles/cursor.json")
    assert shell.run("install", SQLITE, "--host", "cursor", "--yes").returncode == 0
    assert (shell.folder / ".cursor/mcp.json").is_symlink()
    assert "sqlite" in (shell.folder / "dotfiles/cursor.json").read_text()


def test_a_file_that_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"theme": "light"}')
    with pytest.raises(Misuse, match="changed meanwhile"):
        Amendment(path, '{"theme": "dark"}', "{}").write()
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


def test_a_write_that_fails_leaves_the_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        Amendment(path, "{}", '{"a": 1}').write()
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "{}"


def test_a_folder_has_its_own_file_where_the_host_has_one(shell: Shell) -> None:
    project = shell.folder / "project"
    project.mkdir()
    assert shell.run("install", SQLITE, "--host", "vscode", "--project", str(project), "--yes").returncode == 0
    assert list(parse_text(project, (project / ".vscode/mcp.json").read_text())) == ["servers"]
    done = shell.run("install", SQLITE, "--host", "windsurf", "--project", str(project), "--yes")
    assert (done.returncode, done.stderr.count("one file for all folders")) == (2, 1)


@pytest.mark.parametrize(
    ("server", "complaint"),
    [
        ("nothing-of-the-kind", "A name alone is not looked up in an index"),
        (f"'{sys.executable}' -m mcp_server_sqlite --db shop.db", "unrecognized arguments: --db"),
        ("true", "printed no entry"),
    ],
)
def test_a_server_that_cannot_say_its_entry_is_not_installed(shell: Shell, server: str, complaint: str) -> None:
    done = shell.run("install", server, "--host", "cursor", "--yes")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (shell.folder / ".cursor").exists()


@pytest.mark.parametrize(("answer", "written"), [(b"y\n", True), (b"\n", False), (b"\x04", False)])
def test_a_person_is_asked(shell: Shell, answer: bytes, written: bool) -> None:
    master, slave = pty.openpty()
    command = [*COMMAND, "install", SQLITE, "--host", "cursor"]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=shell.folder, env=shell.environment
    ) as process:
        os.close(slave)
        heard = b""
        while b"[y/N]" not in heard:
            heard += os.read(master, 4096)
        os.write(master, answer)
        while process.poll() is None:
            try:
                heard += os.read(master, 4096)
            except OSError:  # the other end is closed
                process.wait(PATIENCE)
    os.close(master)
    assert b"+++" in heard
    assert (shell.folder / ".cursor/mcp.json").exists() is written


def test_uvx_is_found_beside_the_uv_that_runs_this(tmp_path: Path) -> None:
    for name in ("uv", "uvx"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert hosts.find_uvx({"UV": str(tmp_path / "uv")}) == str(tmp_path / "uvx")
    assert hosts.find_uvx({"PATH": str(tmp_path)}) == str(tmp_path / "uvx")
    assert hosts.find_uvx({"PATH": str(tmp_path / "none"), "UV": str(tmp_path / "none/uv")}) == "uvx"
