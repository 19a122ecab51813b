"""Where the tickets are: a server that is started here, one at a URL, or one of several in a host's file."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from mcp_kernel import Client, ClientGroup
from mcp_kernel.console.destination import ask_input

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp_kernel.client import Options
    from support_agent.screen import Screen

TOOL = "close_ticket"
"""The tool by which the desk is known among several servers."""


@dataclass(frozen=True, slots=True)
class Started:
    """The ticketing server, started over stdio; without a file on a fresh database that is gone afterwards."""

    db_path: Path | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that listens over HTTP."""

    url: str


@dataclass(frozen=True, slots=True)
class Configured:
    """Every server of a host's configuration file, such as `.mcp.json`."""

    file: Path


Place: TypeAlias = Started | Reached | Configured


@asynccontextmanager
async def reach_desk(place: Place, options: Options, screen: Screen) -> AsyncGenerator[Client]:
    """A client of the ticketing server, connected; at the end it is left, and what was started is ended."""
    match place:
        case Started(db_path):
            with TemporaryDirectory(prefix="support-agent-") as folder:
                file = db_path or Path(folder, "tickets.db")
                async with Client(command(file), **options) as client:
                    yield client
        case Reached(url):
            async with Client(url, **options) as client:
                yield client
        case Configured(file):
            async with ClientGroup.from_config(file, ask=ask_input, **options) as group:
                yield await find_desk(group, screen)


def command(database: Path) -> list[str]:
    """What starts the server of this checkout; for one from PyPI it is `["uvx", "mcp-server-ticketing", ...]`."""
    return [sys.executable, "-m", "mcp_server_ticketing", "--db-path", str(database.absolute())]


async def find_desk(group: ClientGroup, screen: Screen) -> Client:
    """The client of the server that closes tickets; a server that is down is told of, and keeps nobody.

    Raises `UnknownTool` where none of them does, or more than one.
    """
    tools = await group.list_tools()
    screen.say(f"tools of {', '.join(group)}: {', '.join(tool.name for tool in tools) or 'none'}")
    for server, problem in group.problems.items():
        screen.say(f"left out: {server}, for it has no answer: {problem}")
    route = await group.find_tool(TOOL)
    screen.say(f"the desk is {route.server}")
    return group[route.server]
