"""One file, served to several people, each without the tables that do not exist for him."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.stage import judged_client, scene

from mcp_kernel.auth.policy import Pattern, Role
from mcp_kernel.auth.policy import Policy as Roles
from mcp_kernel.server.access import Authorization
from mcp_kernel.server.principal import Principal
from mcp_server_sqlite.database import MOST_ASPECTS, MOST_AT_ONCE, Database
from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.refusals import Refusal
from mcp_server_sqlite.server import build


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "shop.db"
    with closing(sqlite3.connect(found)) as raw:
        raw.executescript("CREATE TABLE goods (name); CREATE TABLE wages (sum); INSERT INTO goods VALUES ('tea');")
    return found


@scene
async def test_each_set_of_tables_is_withheld_from_whom_it_is_denied(path: Path) -> None:
    database = Database.open(path, Policy(deny_tables=frozenset({"Vault"})))
    no_wages, no_goods = await database.without(frozenset({"wages"})), await database.without(frozenset({"GOODS"}))
    for _ in range(2):
        assert await database.table_names() == ["goods", "wages"]
        assert await no_wages.table_names() == ["goods"]
        assert await no_goods.table_names() == ["wages"]
        with pytest.raises(Refusal, match="not served here"):
            await no_goods.query("SELECT * FROM goods")
        assert (await no_wages.query("SELECT * FROM goods")).rows == [["tea"]]
    assert await database.without(frozenset({"vault"})) is database
    assert await database.without(frozenset({"WAGES"})) is no_wages
    await database.close()


@scene
async def test_what_the_operator_withholds_stays_withheld(path: Path) -> None:
    database = Database.open(path, Policy(deny_tables=frozenset({"wages"})))
    narrowed = await database.without(frozenset({"goods"}))
    assert await narrowed.table_names() == []
    await database.close()


@scene
async def test_a_table_that_is_denied_and_not_there_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    allowed: Any = {"tools": (Pattern("query"),)}
    server = build([Database.open(path)], Policy())
    server.use([Authorization()])
    server.govern(Roles([Role("clerk", allowed, frozenset({"wages", "wagse"}))]))
    async with judged_client(server, principal=Principal("ann", ("clerk",))) as client:
        for _ in range(2):
            assert "tea" in str(await client.call_tool("query", {"sql": "SELECT * FROM goods"}))
    await server.close()
    (record,) = [each for each in caplog.records if "wagse" in each.getMessage()]
    assert "deny_tables" in record.getMessage()
    assert not any("named wages" in each.getMessage() for each in caplog.records)


@scene
async def test_all_together_are_as_many_as_may(path: Path) -> None:
    database = Database.open(path)
    narrowed = await database.without(frozenset({"wages"}))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    running = [asyncio.ensure_future(narrowed.query(endless)) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match="as many as may"):
        await database.query("SELECT 1")
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert (await database.query("SELECT 1")).rows == [[1]]
    await database.close()


@scene
async def test_sets_that_are_not_asked_for_keep_no_connection(path: Path) -> None:
    database, before = Database.open(path), set(threading.enumerate())
    for number in range(MOST_ASPECTS + 8):
        narrowed = await database.without(frozenset({f"t{number}"}))
        assert await narrowed.table_names() == ["goods", "wages"]
    assert len(set(threading.enumerate()) - before) <= MOST_ASPECTS + 1  # one of them may be about to end
    first = await database.without(frozenset({"t0"}))
    assert await first.table_names() == ["goods", "wages"]
    await database.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
