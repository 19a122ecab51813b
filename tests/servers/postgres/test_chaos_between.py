"""Worse moments to lose a database in: between two messages, in a handshake, while everybody waits, without a word."""

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
from tests.servers.postgres.bridge import Bridge, build_bridge
from tests.servers.postgres.conftest import Desk, command
from tests.servers.postgres.test_chaos import SLOW, answer, until_running

from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_postgres.database import Database
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal, Unavailable
from mcp_server_postgres.target import Target

pytestmark = pytest.mark.slow
GUESTS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guest'"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of our own: it is stopped."""
    with run_cluster() as cluster:
        command(cluster.url(), "CREATE ROLE guest LOGIN; CREATE TABLE t AS SELECT 1 AS a; GRANT SELECT ON t TO guest")
        yield cluster


@pytest.fixture
def desk(cluster: Cluster) -> Iterator[Desk]:
    with asyncio.Runner() as runner:
        desk = Desk(Database(Target(Dsn(cluster.url("guest"))), Policy(query_timeout=4)), runner)
        yield desk
        runner.run(desk.database.close())


@pytest.mark.parametrize("turn", range(1, 7))
def test_a_connection_cut_before_any_message_is_told_and_replaced(cluster: Cluster, turn: int) -> None:
    async def play() -> None:
        async def cut(turns: list[str]) -> None:
            if len(turns) == turn:
                await asyncio.to_thread(command, cluster.url(), GUESTS)

        async with build_bridge(Bridge("127.0.0.1", cluster.port)) as bridge:
            dsn = f"postgresql://guest@127.0.0.1:{bridge.here}/postgres?sslmode=disable"
            database = Database(Target(Dsn(dsn)), Policy(query_timeout=8))
            await bridge.take(database.query("SELECT 1"))
            bridge.turns.clear()
            bridge.before = cut
            told: list[str] = []
            for _ in range(2):
                try:
                    assert (await database.query("SELECT a FROM t")).rows == [[1]]
                except Unavailable as lost:
                    told.append(str(lost))
            bridge.before = None
            assert (await database.query("SELECT a FROM t")).rows == [[1]]
            assert len(told) == (turn != 5)  # the fifth cleans up, which nobody waits for
            assert all("connection to the database was lost" in each for each in told)
            await database.close()

    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(play(), 30))


def test_everybody_waits_while_the_database_restarts(cluster: Cluster, desk: Desk) -> None:
    async def play() -> list[Any]:
        slow = [asyncio.create_task(desk.database.query(SLOW)) for _ in range(30)]
        await until_running(cluster, 8)
        await asyncio.to_thread(cluster.stop, signal.SIGINT)
        await asyncio.to_thread(cluster.start)
        return await asyncio.gather(*slow, return_exceptions=True)

    assert answer(desk) == 1
    began = time.monotonic()
    said = desk.run(play())
    assert time.monotonic() - began < 30
    assert all(isinstance(each, Refusal) for each in said), said
    assert len([each for each in said if isinstance(each, Unavailable)]) >= 8
    assert answer(desk) == 1


def test_a_process_of_the_database_that_stands_still_is_left(cluster: Cluster, desk: Desk) -> None:
    async def play() -> tuple[str, float]:
        task = asyncio.create_task(desk.database.query(SLOW))
        await until_running(cluster)
        sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active' AND usename = 'guest'"
        ((pid,),) = await asyncio.to_thread(command, cluster.url(), sql)
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(Refusal) as caught:
                await task
            waited = time.monotonic() - began
            assert (await desk.database.query("SELECT a FROM t")).rows == [[1]]
            return str(caught.value), waited
        finally:
            os.kill(pid, signal.SIGCONT)

    assert answer(desk) == 1
    said, waited = desk.run(play())
    assert "Stopped after 4 s" in said
    assert waited < 10
    assert answer(desk) == 1


def test_a_database_that_takes_connections_and_says_nothing_is_told(cluster: Cluster) -> None:
    assert cluster.process is not None
    with asyncio.Runner() as runner:
        desk = Desk(Database(Target(Dsn(cluster.url("guest"))), Policy(query_timeout=3)), runner)
        cluster.process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            said = desk.refusal("SELECT 1")
            assert "did not answer in time" in said or "Stopped after" in said
            assert time.monotonic() - began < 8
        finally:
            cluster.process.send_signal(signal.SIGCONT)
        assert answer(desk) == 1
        runner.run(desk.database.close())


@pytest.mark.parametrize("reset", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_a_pooler_that_forgets_statements_between_transactions_is_not_noticed(cluster: Cluster, reset: str) -> None:
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed here")
    settings = f"server_reset_query = {reset}\nserver_reset_query_always = 1\n"
    with cluster.pooler(program, settings) as port, asyncio.Runner() as runner:
        dsn = f"postgresql://guest@127.0.0.1:{port}/postgres"
        desks = [
            Desk(Database(Target(Dsn(dsn)), Policy(query_timeout=8, deny_tables=frozenset(denied))), runner)
            for denied in ([], ["u"])
        ]

        async def play() -> None:
            calls = [
                desk.database.query(f"SELECT {number % 3} + $1::int, a FROM t", [number])
                for number in range(12)
                for desk in desks
            ]
            rows = [result.rows[0][0] for result in await asyncio.gather(*calls)]
            assert rows == [number % 3 + number for number in range(12) for _ in desks]

        for _ in range(4):
            runner.run(asyncio.wait_for(play(), 30))
        assert desks[0].run(desks[0].database.describe_table("t")).name == "t"
        for desk in desks:
            runner.run(desk.database.close())
