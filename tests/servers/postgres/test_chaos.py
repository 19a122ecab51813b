"""The database is killed, restarted, cut off and crowded: every call ends with a clear word, and the next one works."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster import Cluster, run_cluster
from tests.servers.postgres.conftest import Desk, command

from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_postgres.database import Database
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal, Unavailable
from mcp_server_postgres.target import Target

pytestmark = pytest.mark.slow
SLOW = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of our own: it is killed."""
    with run_cluster() as cluster:
        command(cluster.url(), "CREATE ROLE guest LOGIN; CREATE TABLE t AS SELECT 1 AS a; GRANT SELECT ON t TO guest")
        yield cluster


@pytest.fixture
def desk(cluster: Cluster) -> Iterator[Desk]:
    with asyncio.Runner() as runner:
        desk = Desk(Database(Target(Dsn(cluster.url("guest"))), Policy(query_timeout=6)), runner)
        yield desk
        runner.run(desk.database.close())


async def until_running(cluster: Cluster, count: int = 1) -> None:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%' AND usename = 'guest'"
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(command, cluster.url(), sql))[0][0] < count:
            pass


def answer(desk: Desk, patience: float = 8.0) -> Any:
    """Ask until the database is back; returns what it says."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return desk.one("SELECT a FROM t")
        except Unavailable:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_database_that_ends_in_mid_query_says_so_and_is_found_again(
    cluster: Cluster, desk: Desk, number: int
) -> None:
    async def play() -> str:
        task = asyncio.create_task(desk.database.query(SLOW))
        await until_running(cluster)
        await asyncio.to_thread(cluster.stop, number)
        with pytest.raises(Unavailable) as caught:
            await task
        return str(caught.value)

    assert answer(desk) == 1
    said = desk.run(play())
    assert "lost" in said or "terminat" in said
    assert "refused" in desk.refusal("SELECT 1")
    cluster.start()
    assert answer(desk) == 1


def test_a_crash_of_one_process_takes_all_connections_and_they_are_replaced(cluster: Cluster, desk: Desk) -> None:
    async def play() -> str:
        task = asyncio.create_task(desk.database.query(SLOW))
        await until_running(cluster)
        sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active' AND usename = 'guest'"
        ((pid,),) = await asyncio.to_thread(command, cluster.url(), sql)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable) as caught:
            await task
        return str(caught.value)

    assert "lost" in desk.run(play())
    assert answer(desk) == 1


def test_a_restart_while_nothing_runs_is_not_noticed(cluster: Cluster, desk: Desk) -> None:
    assert answer(desk) == 1
    cluster.stop()
    cluster.start()
    assert desk.one("SELECT a FROM t") == 1


def test_connections_cut_from_outside_are_replaced(cluster: Cluster, desk: Desk) -> None:
    async def play() -> list[Any]:
        tasks = [asyncio.create_task(desk.database.query(SLOW)) for _ in range(4)]
        await until_running(cluster, 4)
        await asyncio.to_thread(
            command, cluster.url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guest'"
        )
        return await asyncio.gather(*tasks, return_exceptions=True)

    said = desk.run(play())
    assert all(isinstance(each, Unavailable) for each in said), said
    assert desk.one("SELECT a FROM t") == 1


def test_fifty_slow_queries_do_not_stop_the_server(cluster: Cluster, desk: Desk) -> None:
    async def play() -> tuple[list[Any], float]:
        slow = [asyncio.create_task(desk.database.query(SLOW)) for _ in range(50)]
        await until_running(cluster, 8)
        began = time.monotonic()
        with pytest.raises(Refusal):
            await desk.database.query("SELECT a FROM t")
        waited = time.monotonic() - began
        return await asyncio.gather(*slow, return_exceptions=True), waited

    began = time.monotonic()
    said, waited = desk.run(play())
    assert waited < 1
    assert time.monotonic() - began < 15
    assert all(isinstance(each, Refusal) for each in said)
    assert len([each for each in said if "as many as may" in str(each)]) >= 18
    assert desk.one("SELECT a FROM t") == 1
    active = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'guest' AND state <> 'idle'"
    assert command(cluster.url(), active) == [(0,)]


def test_a_database_without_a_free_connection_says_so(cluster: Cluster, desk: Desk) -> None:
    command(cluster.url(), "ALTER ROLE guest CONNECTION LIMIT 0")
    try:
        assert "too many connections" in desk.refusal("SELECT 1")
    finally:
        command(cluster.url(), "ALTER ROLE guest CONNECTION LIMIT -1")
    assert answer(desk) == 1


def test_a_call_that_is_given_up_while_connecting_leaves_nothing(cluster: Cluster, desk: Desk) -> None:
    async def play() -> None:
        for _ in range(20):
            task = asyncio.create_task(desk.database.query("SELECT 1"))
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        calls = [desk.database.query("SELECT a FROM t") for _ in range(16)]
        assert [result.rows for result in await asyncio.gather(*calls)] == [[[1]]] * 16

    desk.run(play())
    command(cluster.url(), "SELECT 1")


def test_a_standby_answers_and_cannot_withhold(
    cluster: Cluster, desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with cluster.standby() as standby, asyncio.Runner() as runner:
        plain = Desk(Database(Target(Dsn(standby.url("guest")))), runner)
        assert answer(plain) == 1
        assert "pg_sleep" in plain.refusal("SELECT pg_sleep(9)")
        strict = Desk(Database(Target(Dsn(standby.url("guest"))), Policy(deny_tables=frozenset({"u"}))), runner)
        assert "standby" in strict.refusal("SELECT 1")
        for each in (plain, strict):
            runner.run(each.database.close())


def test_it_works_behind_a_pooler_that_changes_connections_under_it(cluster: Cluster) -> None:
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed here")
    with cluster.pooler(program) as port, asyncio.Runner() as runner:
        pooled = Desk(
            Database(Target(Dsn(f"postgresql://guest@127.0.0.1:{port}/postgres")), Policy(query_timeout=6)), runner
        )

        async def play() -> list[Any]:
            calls = [
                pooled.database.query(f"SELECT {number % 3} + $1::int, a FROM t", [number]) for number in range(24)
            ]
            return [result.rows[0][0] for result in await asyncio.gather(*calls)]

        for _ in range(3):
            assert runner.run(play()) == [number % 3 + number for number in range(24)]
        assert "pg_sleep" in pooled.refusal("SELECT pg_sleep(9)")
        assert "Nothing can be changed" in pooled.refusal("DROP TABLE t")
        assert pooled.run(pooled.database.describe_table("t")).name == "t"
        runner.run(pooled.database.close())
