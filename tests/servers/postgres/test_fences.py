"""Time, rows, bytes, cost: what an answer may take, and that a call which is given up stops in the database too."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest
from tests.servers.postgres.conftest import Desk, Opener, Shop, command

from mcp_server_postgres.policy import Policy
from mcp_server_postgres.pool import MOST_AT_ONCE, MOST_CONNECTIONS
from mcp_server_postgres.refusals import Refusal

ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b"


def running(shop: Shop) -> int:
    """How many of the server's statements the database works on."""
    rows = command(
        shop.superuser,
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%' "
        f"AND application_name = 'mcp-server-postgres' AND datname = '{shop.database}'",
    )
    return int(rows[0][0])


def test_a_query_without_end_is_stopped_by_the_clock(desk: Opener, shop: Shop) -> None:
    hurried = desk(Policy(query_timeout=0.4))
    hurried.query("SELECT 1")
    began = time.monotonic()
    assert "Stopped after 0.4 s" in hurried.refusal(ENDLESS)
    assert time.monotonic() - began < 2
    assert running(shop) == 0
    assert hurried.one("SELECT 1") == 1


def test_the_database_itself_keeps_the_time_too(desk: Opener) -> None:
    hurried = desk(Policy(query_timeout=0.4))
    assert hurried.one("SELECT current_setting('statement_timeout')") == "400ms"
    assert hurried.one("SELECT current_setting('lock_timeout')") == "400ms"
    assert hurried.one("SELECT current_setting('idle_in_transaction_session_timeout')") == "5400ms"


def test_a_result_that_comes_in_many_quick_steps_is_stopped_by_the_clock(desk: Opener) -> None:
    slow = desk(Policy(query_timeout=0.6, max_rows=1_000_000, max_bytes=0))
    work = "SELECT count(*) FROM generate_series(1, 5000) x WHERE x > g"
    began = time.monotonic()
    with pytest.raises(Refusal, match=r"Stopped after 0\.6 s"):
        slow.query(f"SELECT g::text FROM generate_series(1, 100000) g WHERE ({work}) > -1", None, 100000)
    assert time.monotonic() - began < 3


def test_a_query_behind_a_lock_is_stopped_by_the_clock(desk: Opener, shop: Shop) -> None:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none

    hurried = desk(Policy(query_timeout=0.5))

    async def play() -> str:
        outsider = await asyncpg.connect(shop.superuser)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # untyped
        try:
            await outsider.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")  # pyright: ignore[reportUnknownMemberType]  # as above
            with pytest.raises(Refusal) as caught:
                await hurried.database.query("SELECT * FROM customers")
            return str(caught.value)
        finally:
            await outsider.close()  # pyright: ignore[reportUnknownMemberType]  # as above

    said = hurried.run(play())
    assert "Stopped after" in said or "lock" in said
    assert hurried.one("SELECT count(*) FROM customers") == 3


def test_a_call_that_is_cancelled_is_cancelled_in_the_database(reader: Desk, shop: Shop) -> None:
    async def play() -> None:
        task = asyncio.create_task(reader.database.query(ENDLESS))
        async with asyncio.timeout(8):
            while not await asyncio.to_thread(running, shop):
                pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    reader.run(play())
    assert running(shop) == 0
    assert reader.one("SELECT 1") == 1


def test_a_call_that_is_cancelled_while_it_is_planned_leaves_its_connection_fit(desk: Opener, shop: Shop) -> None:
    command(
        shop.superuser,
        "CREATE OR REPLACE FUNCTION dawdles() RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$BEGIN FOR i IN 1..2000000000 LOOP END LOOP; RETURN 1; END$$",
    )
    planning = desk(Policy(query_timeout=19))
    before = planning.one("SELECT pg_backend_pid()")
    asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DECLARE%dawdles%' AND state = 'active'"

    async def play() -> None:
        task = asyncio.create_task(planning.database.query("SELECT id FROM customers WHERE id = dawdles()"))
        async with asyncio.timeout(8):
            while not (await asyncio.to_thread(command, shop.superuser, asked))[0][0]:
                pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    planning.run(play())
    assert command(shop.superuser, asked) == [(0,)]
    assert planning.one("SELECT pg_backend_pid()") == before


def test_rows_are_cut_and_the_answer_says_how_to_go_on(desk: Opener) -> None:
    few = desk(Policy(max_rows=50))
    cut = few.run(few.database.query("SELECT id FROM big ORDER BY id", None, 10))
    assert (cut.row_count, cut.truncated) == (10, True)
    assert "OFFSET 10" in str(cut.note)
    cut = few.run(few.database.query("SELECT id FROM big ORDER BY id", None, 5000))
    assert (cut.row_count, cut.truncated) == (50, True)
    whole = few.run(few.database.query("SELECT id FROM customers", None, 3))
    assert (whole.row_count, whole.truncated, whole.note) == (3, False, None)


def test_bytes_are_cut_and_the_answer_says_how_to_go_on(desk: Opener) -> None:
    small = desk(Policy(max_bytes=5000, max_rows=1000))
    cut = small.run(small.database.query("SELECT id, body FROM big ORDER BY id", None, 1000))
    assert 10 < cut.row_count < 60
    assert cut.truncated
    assert f"OFFSET {cut.row_count}" in str(cut.note)


def test_a_value_that_is_too_long_is_cut_in_the_database(reader: Desk) -> None:
    tracemalloc.start()
    try:
        result = reader.run(reader.database.query("SELECT repeat('x', 300000000) AS a, 'short' AS b"))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    ((long, short),) = result.rows
    assert (long["bytes"], len(long["$cut"]), short) == (300000000, 1000, "short")  # pyright: ignore[reportArgumentType, reportCallIssue, reportIndexIssue, reportOptionalSubscript]  # a stated form
    assert "substr" in str(result.note)
    ((blob, items),) = reader.query("SELECT decode(repeat('ff', 200000), 'hex'), array_fill('abc'::text, ARRAY[90000])")
    assert blob["bytes"] == 200000
    assert blob["$cut"]["bytes"] == 1000
    assert items["bytes"] > 90000


def test_many_rows_are_not_held_in_memory_to_give_a_hundred(reader: Desk) -> None:
    tracemalloc.start()
    try:
        began = time.monotonic()
        assert len(reader.query("SELECT a.id, b.body FROM big a, big b")) == 100
        assert time.monotonic() - began < 3
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_plan_that_costs_too_much_is_refused_before_it_runs(desk: Opener) -> None:
    frugal = desk(Policy(max_cost=2000))
    assert frugal.one("SELECT body FROM big WHERE id = $1", [7]) == "x" * 100
    assert "expects a cost" in frugal.refusal("SELECT count(*) FROM big a, big b")
    with pytest.raises(Refusal, match="expects a cost"):
        frugal.run(frugal.database.explain_query("SELECT count(*) FROM big a, big b", analyze=True))


def test_more_calls_than_may_wait_are_refused_at_once(desk: Opener) -> None:
    busy = desk(Policy(query_timeout=1.5))

    async def play() -> list[object]:
        calls = [busy.database.query(ENDLESS) for _ in range(MOST_AT_ONCE)]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0)
        extra = await asyncio.gather(busy.database.query("SELECT 1"), return_exceptions=True)
        return [*extra, *await asyncio.gather(*tasks, return_exceptions=True)]

    began = time.monotonic()
    said = [str(each) for each in busy.run(play())]
    assert "as many as may" in said[0]
    stopped = [each for each in said[1:] if "Stopped after" in each]
    assert len(stopped) >= MOST_CONNECTIONS
    assert all("Stopped after" in each or "stayed busy" in each for each in said[1:])
    assert time.monotonic() - began < 6
    assert busy.one("SELECT 1") == 1


def test_waiting_calls_are_served_in_the_order_of_their_coming(desk: Opener) -> None:
    queue = desk(Policy(query_timeout=8))
    done: list[int] = []

    async def ask(number: int) -> None:
        await queue.database.query("SELECT count(*) FROM generate_series(1, 200000)")
        done.append(number)

    async def play() -> None:
        await asyncio.gather(*(ask(number) for number in range(24)))

    queue.run(play())
    assert len(done) == 24
    assert sorted(done[:8]) != done[16:]
    assert max(done[:4]) < 16
