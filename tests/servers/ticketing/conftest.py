"""Fresh databases of either kind, and clients of servers on them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cluster import run_cluster
from tests.servers.ticketing.place import Enter, Place, command, open_client

from mcp_kernel.testing.eras import Client


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


@pytest.fixture
def enter(place: Place) -> Enter:
    """Open clients of one database, each with a server of its own."""

    def enter(*arguments: str, **options: object) -> AbstractAsyncContextManager[Client]:
        return open_client(place, *arguments, **options)  # pyright: ignore[reportArgumentType]  # as open_client has them

    return enter
