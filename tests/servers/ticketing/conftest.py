"""A desk on a fresh database, and the server of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from tests.stage import MODERN, Json, judged_client

from mcp_kernel.testing.eras import Answerer, Client, say_nothing
from mcp_server_ticketing.seeding import SAMPLE
from mcp_server_ticketing.server import build
from mcp_server_ticketing.storage_sqlite import SqliteStorage
from mcp_server_ticketing.tracker import Tracker

Enter = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def open_tracker(path: Path) -> AsyncGenerator[Tracker]:
    """A tracker on a file, closed at the end."""
    tracker = Tracker(SqliteStorage(path, SAMPLE))
    try:
        yield tracker
    finally:
        await tracker.storage.close()


@pytest.fixture
def enter(tmp_path: Path) -> Enter:
    """Open a client of a server with a file of its own; every message is judged."""

    @asynccontextmanager
    async def enter(
        revision: str = MODERN,
        *,
        capabilities: Json | None = None,
        answer: Answerer = say_nothing,
        principal: str | None = None,
    ) -> AsyncGenerator[Client]:
        async with open_tracker(tmp_path / "tickets.db") as tracker:
            server = build(tracker)
            async with judged_client(
                server, revision, capabilities=capabilities, answer=answer, principal=principal
            ) as client:
                yield client
            await server.close()

    return enter
