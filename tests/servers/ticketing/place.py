"""A database that a test has for itself, on either engine, and clients of servers on it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec

from tests.stage import MODERN, Json, judged_client, scene

from mcp_kernel.auth.policy import Policy
from mcp_kernel.server.access import Authorization
from mcp_kernel.server.principal import Principal
from mcp_kernel.testing.eras import Answerer, Client, say_nothing
from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_ticketing.driver import connect
from mcp_server_ticketing.seeding import SAMPLE, Seed
from mcp_server_ticketing.server import build
from mcp_server_ticketing.storage import Schema, Storage
from mcp_server_ticketing.storage_postgres import PostgresStorage
from mcp_server_ticketing.storage_sqlite import SqliteStorage
from mcp_server_ticketing.tracker import Tracker

P = ParamSpec("P")
Enter = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass
class Place:
    """A database that a test has for itself, as many trackers and processes as it wants."""

    options: list[str]
    path: Path | None = None
    url: str = ""
    storages: list[Storage] = field(default_factory=list[Storage])

    def storage(self, seed: Seed = SAMPLE, schema: Schema | None = None) -> Storage:
        """A storage as another process would have it."""
        more = {} if schema is None else {"schema": schema}
        made = SqliteStorage(self.path, seed, **more) if self.path else PostgresStorage(Dsn(self.url), seed, **more)
        self.storages.append(made)
        return made

    def tracker(self) -> Tracker:
        return Tracker(self.storage())

    async def run_sql(self, sql: str) -> None:
        """Change the database by hand."""
        if self.path:
            import aiosqlite

            async with aiosqlite.connect(self.path) as raw:
                await raw.execute(sql)
                await raw.commit()
            return
        await _run_once(self.url, f"SET search_path TO ticketing; {sql}")

    async def close(self) -> None:
        for storage in self.storages:
            await storage.close()


def desk_scene(play: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Run an async test that has a place; everything that it opened there is closed at its end, whatever that is."""

    @functools.wraps(play)
    async def bounded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await play(*args, **kwargs)
        finally:
            for each in kwargs.values():
                if isinstance(each, Place):
                    await each.close()

    return scene(bounded)


def command(url: str, sql: str) -> None:
    """Run SQL outside of every test's loop."""
    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(_run_once(url, sql), 30))


async def _run_once(url: str, sql: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(sql)
    finally:
        connection.terminate()
        await asyncio.sleep(0)  # for the socket to be closed


@asynccontextmanager
async def open_client(
    place: Place,
    revision: str = MODERN,
    *,
    capabilities: Json | None = None,
    answer: Answerer = say_nothing,
    principal: Principal | str | None = None,
    policy: Policy | None = None,
) -> AsyncGenerator[Client]:
    """Open a client of a server of its own on the database; every message is judged."""
    server = build(place.tracker())
    if policy is not None:
        server.use([Authorization()])
        server.govern(policy)
    try:
        async with judged_client(
            server, revision, capabilities=capabilities, answer=answer, principal=principal
        ) as client:
            yield client
    finally:
        await server.close()
