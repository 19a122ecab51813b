"""How many trips to the database a call takes, counted between the server and the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.servers.postgres.bridge import Bridge, build_bridge
from tests.servers.postgres.conftest import Desk, Opener, Shop, command

from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_postgres.database import Database
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.target import Target

KEY = "SELECT id, name FROM customers WHERE id = 1"


@asynccontextmanager
async def counted(shop: Shop, policy: Policy) -> AsyncGenerator[tuple[Database, Bridge]]:
    """The shop behind a bridge that counts."""
    place, dsn = urlsplit(shop.admin), urlsplit(shop.url())
    login = f"postgresql://{dsn.username}:{dsn.password}"
    async with build_bridge(Bridge(str(place.hostname), place.port or 5432)) as bridge:
        database = Database(Target(Dsn(f"{login}@127.0.0.1:{bridge.here}/{shop.database}?sslmode=disable")), policy)
        try:
            yield database, bridge
        finally:
            await database.close()


def count(shop: Shop, policy: Policy, *calls: str) -> list[list[str]]:
    """The turns of each call, on one connection."""

    async def play() -> list[list[str]]:
        async with counted(shop, policy) as (database, bridge):
            return [await bridge.take(database.query(sql)) for sql in calls]

    with asyncio.Runner() as runner:
        return runner.run(asyncio.wait_for(play(), 30))


def test_a_statement_that_is_known_takes_one_trip_and_one_to_clean_up(shop: Shop) -> None:
    assert count(shop, Policy(), KEY, KEY, KEY)[1:] == [["Sync", "Query"], ["Sync", "Query"]]


def test_a_new_statement_takes_four_trips_and_a_fifth_for_what_stands_behind_its_tables(shop: Shop) -> None:
    checked = "SELECT total FROM sales.orders WHERE id = 1"
    plain, behind = count(shop, Policy(), KEY, checked, KEY.replace("1", "2"), checked.replace("1", "2"))[2:]
    assert plain == ["Flush", "Sync", "Flush", "Sync", "Query"]
    assert behind == ["Flush", "Sync", "Sync", "Flush", "Sync", "Query"]


def test_a_known_statement_is_held_against_what_is_withheld_each_time(shop: Shop) -> None:
    policy = Policy(deny_tables=frozenset({"credentials"}), mask_columns=frozenset({("customers", "ssn")}))
    assert count(shop, policy, KEY, KEY, KEY)[2] == ["Sync"] * 3 + ["Query"]


def test_each_question_about_a_table_takes_one_trip(shop: Shop) -> None:
    async def play() -> list[list[str]]:
        async with counted(shop, Policy()) as (database, bridge):
            await bridge.take(database.describe_table("orders"))  # whose questions are described once
            return [await bridge.take(database.list_tables()), await bridge.take(database.describe_table("orders"))]

    with asyncio.Runner() as runner:
        listed, described = runner.run(asyncio.wait_for(play(), 30))
    assert listed == ["Sync", "Query"]
    assert described == ["Sync"] * 9 + ["Query"]


def test_rows_come_in_steps_of_one_trip_or_two(shop: Shop) -> None:
    many = "SELECT id FROM big"

    async def play() -> list[str]:
        async with counted(shop, Policy(max_rows=5000, max_bytes=0)) as (database, bridge):
            await bridge.take(database.query(many, None, 5000))
            return await bridge.take(database.query(many, None, 5000))

    with asyncio.Runner() as runner:
        assert runner.run(asyncio.wait_for(play(), 30)) == ["Sync", "Flush", "Sync", "Flush", "Sync", "Query"]


def test_a_table_that_became_another_is_read_as_what_it_is(desk: Opener, shop: Shop) -> None:
    make = "CREATE TABLE turned AS SELECT {} AS a; GRANT SELECT ON turned TO PUBLIC"
    command(shop.superuser, make.format("1::int4"))
    fresh: Desk = desk(Policy(max_rows=99))
    try:
        for _ in range(2):
            assert fresh.query("SELECT a FROM turned") == [[1]]
        command(shop.superuser, "DROP TABLE turned", make.format("1.5::float4"))
        assert fresh.query("SELECT a FROM turned") == [[1.5]]
        command(shop.superuser, "ALTER TABLE turned ALTER a TYPE text USING 'long'")
        for _ in range(2):
            assert fresh.query("SELECT a FROM turned") == [["long"]]
    finally:
        command(shop.superuser, "DROP TABLE turned")
