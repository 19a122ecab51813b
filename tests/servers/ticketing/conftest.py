"""A desk on a fresh database of either kind, and the server of it."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cluster import run_cluster
from tests.stage import MODERN, Json, judged_client

from mcp_kernel.testing.eras import Answerer, Client, say_nothing
from mcp_server_ticketing.driver import connect
from mcp_server_ticketing.seeding import SAMPLE, Seed
from mcp_server_ticketing.server import build
from mcp_server_ticketing.storage import Schema, Storage
from mcp_server_ticketing.storage_postgres import PostgresStorage
from mcp_server_ticketing.storage_sqlite import SqliteStorage
from mcp_server_ticketing.target import Target
from mcp_server_ticketing.tracker import Tracker

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
        made = SqliteStorage(self.path, seed, **more) if self.path else PostgresStorage(Target(self.url), seed, **more)
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
        connection = await connect(self.url)
        await connection.execute(f"SET search_path TO ticketing; {sql}")
        connection.terminate()

    async def close(self) -> None:
        for storage in self.storages:
            await storage.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL's superuser: of TICKETING_TEST_URL, or of one that is started here."""
    given = os.environ.get("TICKETING_TEST_URL")
    if given:
        yield given
        return
    with run_cluster() as cluster:
        yield cluster.url()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A fresh database, on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "tickets.db"
        yield Place(["--db-path", str(path)], path)
        return
    admin: str = request.getfixturevalue("postgres")
    name = f"desk_{uuid.uuid4().hex[:8]}"
    command(admin, f"CREATE DATABASE {name}")
    url = urlsplit(admin)._replace(path=f"/{name}").geturl()
    yield Place(["--database-url", url], url=url)
    command(admin, f"DROP DATABASE {name} WITH (FORCE)")


def command(url: str, sql: str) -> None:
    """Run SQL outside of every test's loop."""
    import asyncio

    async def run() -> None:
        connection = await connect(url)
        await connection.execute(sql)
        connection.terminate()

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(run(), 30))


@asynccontextmanager
async def open_client(
    place: Place,
    revision: str = MODERN,
    *,
    capabilities: Json | None = None,
    answer: Answerer = say_nothing,
    principal: str | None = None,
) -> AsyncGenerator[Client]:
    """Open a client of a server of its own on the database; every message is judged."""
    server = build(place.tracker())
    try:
        async with judged_client(
            server, revision, capabilities=capabilities, answer=answer, principal=principal
        ) as client:
            yield client
    finally:
        await server.close()


@pytest.fixture
def enter(place: Place) -> Enter:
    """Open clients of one database, each with a server of its own."""

    def enter(*arguments: str, **options: object) -> AbstractAsyncContextManager[Client]:
        return open_client(place, *arguments, **options)  # pyright: ignore[reportArgumentType]  # as open_client has them

    return enter
