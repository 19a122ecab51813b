"""What is written about the server, held against the server: the README's tables, bad usage."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from tests.servers.git.forge import Forge, Repo
from tests.stage import Connect, scene
from tests.transports.host import Host
from tests.transports.worlds import in_a_world_without_watches

from mcp_server_git.cli import command_line
from mcp_server_git.server import build

HOME = Path(__file__).parents[3] / "servers" / "git"
SCRIPT = str(Path(sys.executable).with_name("mcp-server-git"))


def table_of(title: str) -> list[list[str]]:
    text = (HOME / "README.md").read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return rows[2:]


@scene
async def test_the_readme_s_table_of_tools_is_that_of_the_server(connect: Connect, forge: Forge, repo: Repo) -> None:
    async with connect(build(forge.serve(repo))) as client:
        listed = cast("list[dict[str, Any]]", await client.list_all("tools/list", "tools"))
    served = [(tool["name"], list(tool["inputSchema"]["properties"])) for tool in listed]
    assert [(row[0].strip("` "), re.findall(r"`(\w+)`", row[1])) for row in table_of("Tools")] == served


def own_options() -> set[str]:
    groups = command_line()._action_groups  # pyright: ignore[reportPrivateUsage]  # argparse has no public list
    (own,) = [group for group in groups if group.title == "options of this server"]
    actions = own._group_actions  # pyright: ignore[reportPrivateUsage]  # as above
    return {option for action in actions for option in action.option_strings if option.startswith("--")}


def test_the_readme_s_options_are_those_of_the_parser() -> None:
    named = {option for row in table_of("Options") for option in re.findall(r"--[a-z-]+", row[0])}
    assert own_options() <= named


@pytest.mark.parametrize("arguments", [("--repository",), ("--repository", ""), ("--repo", "x"), ("x",)], ids=" ".join)
def test_bad_usage_is_one_line_that_says_what_to_do(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [SCRIPT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.endswith("Try mcp-server-git --help.\n")


def test_a_host_s_entry_has_absolute_paths(repo: Repo) -> None:
    command = [SCRIPT, "-r", ".", "--read-only", "--print-config", "claude-desktop"]
    done = subprocess.run(command, cwd=repo.path, capture_output=True, text=True, timeout=20, check=True)
    assert f'"--repository", "{repo.path}", "--read-only"' in " ".join(done.stdout.split())


def test_a_server_ends_with_its_input_and_leaves_nothing_behind(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    surroundings = {**repo.environment, "TMPDIR": str(tmp_path / "tmp")}
    with Host([SCRIPT, "--repository", str(repo.path)], environment=surroundings) as host:
        assert host.open().call("git_status")["structuredContent"]["branch"] == "main"
        assert host.end() == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_subscriber_hears_where_the_system_has_no_more_watches_to_give(repo: Repo) -> None:
    with Host(in_a_world_without_watches([SCRIPT, "--repository", str(repo.path)])) as host:
        host.open()
        uri = "git://repo/INDEX/a.txt"
        host.request("resources/subscribe", uri=uri)
        for number in range(10):  # the watcher begins at some time after the answer
            repo.write("a.txt", f"changed {number}\n")
            repo.git("add", "a.txt")
            if host.has_line(1.5):
                break
        heard = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
        assert heard["params"]["uri"] == uri


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_a_branch_whose_name_is_not_utf_8_ends_no_subscription(repo: Repo) -> None:
    with Host([SCRIPT, "--repository", str(repo.path)]) as host:
        host.open()
        uri = "git://repo/INDEX/a.txt"
        host.request("resources/subscribe", uri=uri)
        for number in range(3):
            for later in range(10):  # the watcher begins at some time after the answer
                repo.git("branch", b"bad\xff%d-%d" % (number, later))
                repo.write("a.txt", f"changed {number} {later}\n")
                repo.git("add", "a.txt")
                if host.has_line(1.5):
                    break
            heard = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
            assert heard["params"]["uri"] == uri
