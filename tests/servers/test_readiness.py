"""Each server's `/readyz`, with its real backend there, taken away and, where that can be, given back."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.cluster import run_cluster
from tests.stage import scene

import mcp_server_everything.server
import mcp_server_filesystem.server
import mcp_server_git.server
import mcp_server_postgres.server
import mcp_server_sqlite.server
import mcp_server_ticketing.server
import mcp_server_vector.server
from mcp_kernel.testing.asgi import Site
from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_filesystem.denial import Denial
from mcp_server_filesystem.sandbox import Directory, Sandbox
from mcp_server_filesystem.sandbox import Policy as FilePolicy
from mcp_server_git.repository import Repositories
from mcp_server_postgres.database import Database as PostgresDatabase
from mcp_server_postgres.policy import Policy as PostgresPolicy
from mcp_server_postgres.target import Target
from mcp_server_sqlite.database import Database
from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.sample import create_sample
from mcp_server_ticketing.seeding import SAMPLE
from mcp_server_ticketing.storage_postgres import PostgresStorage
from mcp_server_ticketing.storage_sqlite import SqliteStorage
from mcp_server_ticketing.tracker import Tracker
from mcp_server_vector.embedders import DEFAULT, choose
from mcp_server_vector.settings import Settings
from mcp_server_vector.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_kernel import Server

READY = (200, "ready")


async def ask(server: Server) -> tuple[int, str]:
    """What `/readyz` says now, however fresh the last answer is."""
    if server.readiness is not None:
        server.readiness.fresh = 0.0
    async with Site(server.asgi(), patience=20.0) as site:
        visit = site.get("/readyz")
        return await visit.started(), (await visit.whole()).decode()


def unready(name: str) -> tuple[int, str]:
    return 503, f"{name}: cannot be used; the server's log says why"


@scene
async def test_the_server_that_needs_nothing_is_ready() -> None:
    assert await ask(mcp_server_everything.server.build()) == READY


def make_sqlite(path: Path) -> tuple[Server, Path, str]:
    create_sample(path / "shop.db")
    return mcp_server_sqlite.server.build([Database.open(path / "shop.db", name="shop")], Policy()), path, "shop.db"


def make_files(path: Path) -> tuple[Server, Path, str]:
    (path / "desk").mkdir()
    sandbox = Sandbox([Directory(path / "desk")], FilePolicy(denial=Denial(())))
    return mcp_server_filesystem.server.build(sandbox), path, "desk"


def make_git(path: Path) -> tuple[Server, Path, str]:
    subprocess.run(["git", "init", "--quiet", str(path / "list")], check=True)
    return mcp_server_git.server.build(Repositories([path / "list"])), path / "list", ".git"


@pytest.mark.parametrize(
    ("make", "name"), [(make_sqlite, "database shop"), (make_files, "directories"), (make_git, "repositories")]
)
@scene
async def test_what_is_moved_away_is_missed_until_it_is_back(
    make: Callable[[Path], tuple[Server, Path, str]], name: str, tmp_path: Path
) -> None:
    server, folder, item = make(tmp_path)
    assert await ask(server) == READY
    if name == "directories":  # it is held open: moved, it is still served; it must go
        shutil.rmtree(folder / item)
        assert await ask(server) == unready(name)
        (folder / item).mkdir()
    else:
        (folder / item).rename(folder / "aside")
        assert await ask(server) == unready(name)
        (folder / "aside").rename(folder / item)
    assert await ask(server) == READY
    await server.close()


@scene
async def test_a_file_that_is_no_database_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database" * 1000)
    server = mcp_server_sqlite.server.build([Database.open(path, name="x")], Policy())
    assert await ask(server) == unready("database x")


@scene
async def test_tickets_in_a_file_of_another_program_are_not_ready(tmp_path: Path) -> None:
    create_sample(tmp_path / "shop.db")
    for path, expected in ((tmp_path / "new.db", READY), (tmp_path / "shop.db", unready("database"))):
        storage = SqliteStorage(path, SAMPLE)
        assert await ask(mcp_server_ticketing.server.build(Tracker(storage))) == expected
        await storage.close()


@scene
async def test_an_index_that_cannot_be_opened_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    for place, expected in ((tmp_path / "index", READY), (tmp_path / "file", unready("index"))):
        store = Store(Settings(place, choose(DEFAULT)))
        await store.engine.preparation.embedder()
        assert await ask(mcp_server_vector.server.build(store)) == expected
        await store.close()


def test_a_postgresql_that_ends_is_missed_by_both_servers(tmp_path: Path) -> None:
    with run_cluster() as cluster:
        url = cluster.url()
        check_postgres(url, READY, READY)
    check_postgres(url, unready("database"), unready("database"))


@scene
async def check_postgres(url: str, *expected: tuple[int, str]) -> None:
    server = mcp_server_postgres.server.build(PostgresDatabase(Target(Dsn(url)), PostgresPolicy(allow_superuser=True)))
    storage = PostgresStorage(Dsn(url), SAMPLE)
    assert await ask(server) == expected[0]
    assert await ask(mcp_server_ticketing.server.build(Tracker(storage))) == expected[1]
    await storage.close()
