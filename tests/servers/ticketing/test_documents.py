"""What is written about the server, held against the server: the README's tables."""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.ticketing.desk import items
from tests.servers.ticketing.place import Enter
from tests.stage import scene

from mcp_server_ticketing.cli import command_line

HOME = Path(__file__).parents[3] / "servers" / "ticketing"


def table_of(title: str) -> list[list[str]]:
    text = (HOME / "README.md").read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return rows[2:]


@scene
async def test_the_readme_s_tables_are_those_of_the_server(enter: Enter) -> None:
    async with enter() as client:
        tools = await items(client, "tools/list", "tools")
        prompts = await items(client, "prompts/list", "prompts")
        templates = await items(client, "resources/templates/list", "resourceTemplates")
    served = [(tool["name"], list(tool["inputSchema"]["properties"])) for tool in tools]
    assert [(row[0].strip("` "), re.findall(r"`(\w+)`", row[1])) for row in table_of("Tools")] == served
    asked = [(prompt["name"], [each["name"] for each in prompt["arguments"]]) for prompt in prompts]
    assert [(row[0].strip("` "), re.findall(r"`(\w+)`", row[1])) for row in table_of("Prompts")] == asked
    named = [row[0].strip("` ") for row in table_of("Resources")]
    assert sorted(named) == sorted(["ticket://list", *(each["uriTemplate"] for each in templates)])


def test_the_readme_s_options_are_those_of_the_parser() -> None:
    groups = command_line()._action_groups  # pyright: ignore[reportPrivateUsage]  # argparse has no public list
    (own,) = [group for group in groups if group.title == "options of this server"]
    mine = [action.option_strings[0] for action in own._group_actions]  # pyright: ignore[reportPrivateUsage]  # as above
    named = [option for row in table_of("Options") for option in re.findall(r"--[a-z-]+", row[0])]
    assert named[: len(mine)] == mine
