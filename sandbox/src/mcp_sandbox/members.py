"""The seven servers: what each is called, the data that it serves, and with which arguments it does."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from mcp_sandbox import shop
from mcp_sandbox.children import Program
from mcp_sandbox.cluster import Cluster
from mcp_sandbox.demo import Demo

_FOREIGN: Final = ("GIT_", "PG", "MCP_DB_PATH", "CHROMA_DB_PATH", "DATABASE_URL")
"""What variables begin with that would lead a server to other data than the sandbox's."""

TITLES: Final = {
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "git": "Git",
    "filesystem": "Filesystem",
    "vector": "Vector search",
    "ticketing": "Ticketing",
    "everything": "Everything",
}
"""What people call the servers, in the order in which they are shown."""

ALONE: Final = frozenset({"vector"})
"""Servers whose data one process holds: of these there are no replicas."""

Arguments: TypeAlias = Sequence[str]
StartCluster: TypeAlias = Callable[[Path], Awaitable[Cluster]]


@dataclass(frozen=True, slots=True)
class Member:
    """A server of the sandbox. `data` says in a phrase what it serves; `prepare` makes that, and gives the arguments.

    Preparing raises `Lacking` or `Failed` where this machine cannot.
    """

    name: str
    data: str
    prepare: Callable[[], Awaitable[Arguments]]

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES[self.name]


def list_members(demo: Demo, start_cluster: StartCluster) -> list[Member]:
    """The servers, in the order in which they are shown. The documents, which two of them share, are made by then."""

    async def sqlite() -> Arguments:
        await asyncio.to_thread(demo.make_shop)
        return "--db-path", str(demo.shop), "--allow-write"

    async def postgres() -> Arguments:
        await asyncio.to_thread(demo.make_script)
        return ((await start_cluster(demo.script)).dsn,)

    async def git() -> Arguments:
        await asyncio.to_thread(demo.make_repository)
        return "--repository", str(demo.repository)

    async def filesystem() -> Arguments:
        return (str(demo.documents),)

    async def vector() -> Arguments:
        return "--data-dir", str(demo.folder / "vectors"), "--watch", f"documents={demo.documents}"

    async def ticketing() -> Arguments:
        demo.make_tickets()
        return "--db-path", str(demo.folder / "tickets.db"), "--seed", str(demo.tickets)

    async def everything() -> Arguments:
        return ()

    orders = f"{shop.SIZE.orders:,} orders"
    return [
        Member("sqlite", f"a shop with {orders}, and a tool that inserts", sqlite),
        Member("postgres", "the same shop in a PostgreSQL of its own, read-only", postgres),
        Member("git", "a repository with branches, a merge and uncommitted work", git),
        Member("filesystem", "the shop's handbook, to read and to write", filesystem),
        Member("vector", "the handbook by meaning; indexed while you read this", vector),
        Member("ticketing", "the shop's support desk", ticketing),
        Member("everything", "every feature of the protocol", everything),
    ]


def program_of(name: str, arguments: Arguments, folder: Path, replica: int = 0) -> Program:
    """The command of a server: the one that its users run, listening on a socket in the folder.

    `replica` counts the processes of one server from 1, where there are several.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    called = f"{name}-{replica}" if replica else name
    place = ["--transport", "http", "--path", f"/{name}/mcp", "--uds", str(socket_of(called, folder))]
    return Program(
        name=called,
        command=[sys.executable, "-m", f"mcp_server_{name}", *arguments, *place],
        folder=folder,
        environment=environment,
        ready=" serves /",
    )


def socket_of(name: str, folder: Path) -> Path:
    """Where a server listens."""
    return folder / f"{name}.sock"
