"""What is written about the server, held against the server: the README's tables."""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.filesystem.desk import SERVER
from tests.transports.host import Host

from mcp_server_filesystem.cli import command_line

HOME = Path(__file__).parents[3] / "servers" / "filesystem"


def table_of(title: str) -> list[list[str]]:
    text = (HOME / "README.md").read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_the_readme_s_table_of_tools_is_that_of_the_server(tmp_path: Path) -> None:
    with Host([*SERVER, str(tmp_path)]) as host:
        listed = host.open().request("tools/list")["tools"]
    served = [(tool["name"], list(tool["inputSchema"]["properties"])) for tool in listed]
    assert [(row[0].strip("` "), re.findall(r"`(\w+)`", row[1])) for row in table_of("Tools")] == served


def test_the_readme_s_options_are_those_of_the_parser() -> None:
    named = {option for row in table_of("Options") for option in re.findall(r"--[a-z-]+", row[0])}
    actions = command_line()._actions  # pyright: ignore[reportPrivateUsage]  # argparse has no public list
    every = {option for action in actions for option in action.option_strings if option.startswith("--")}
    groups = command_line()._action_groups  # pyright: ignore[reportPrivateUsage]  # as above
    (own,) = [group for group in groups if group.title == "options of this server"]
    mine = {option for action in own._group_actions for option in action.option_strings}  # pyright: ignore[reportPrivateUsage]  # as above
    assert mine <= named <= every
