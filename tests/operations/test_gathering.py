"""The figures of several workers, added up by their parent: real sockets, without the processes."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.stage import scene

from mcp_kernel.operations.figures import MOST_SERIES, Figures, Report, Total, add, write_line
from mcp_kernel.operations.gathering import Gathering, Reporter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

HUGE = 2 << 60


class Worker:
    """What a worker says of itself, and the way to its parent."""

    def __init__(self, end: socket.socket) -> None:
        self.calls, self.running, self.sessions = 0.0, 0.0, list[str]()
        self.reporter = Reporter(end.detach())

    def report(self) -> Report:
        return Report(
            {"calls": {(("echo",), 1): [self.calls]}, "seconds": {((), 3): [self.calls, 0.0, self.calls / 2]}},
            {"running": {((), 1): [self.running]}},
            {"sessions": self.sessions},
        )

    async def total(self) -> Total:
        total = await self.reporter.total()
        assert total is not None
        return total


@pytest.fixture
def gathering() -> Generator[Gathering]:
    gathering = Gathering(patience=0.2)
    yield gathering
    gathering.close()


@asynccontextmanager
async def workers(gathering: Gathering, count: int) -> AsyncGenerator[list[Worker]]:
    """So many of them, each of which has found its parent."""
    found = [Worker(gathering.enter()) for _ in range(count)]
    for each in found:
        await each.reporter.open(each.report)
    async with asyncio.timeout(5):
        for each in found:
            while (await each.total()).heard != count:
                """It asks again."""
    try:
        yield found
    finally:
        for each in found:
            await each.reporter.close()


def calls(total: Total) -> float:
    return total.figures["calls"][("echo",), 1][0]


@scene
async def test_whoever_asks_is_told_what_all_have_counted(gathering: Gathering) -> None:
    async with workers(gathering, 3) as all_of_them:
        for number, each in enumerate(all_of_them):
            each.calls, each.running, each.sessions = 10.0**number, 1.0, ["a", f"b{number}"]
        for each in all_of_them:
            total = await each.total()
            assert (calls(total), total.heard, total.silent) == (111.0, 3, 0)
            assert total.figures["seconds"][(), 3] == [111.0, 0.0, 55.5]
            assert total.figures["running"][(), 1] == [3.0]
            assert total.figures["sessions"][(), 1] == [4.0]


@scene
async def test_what_only_grows_outlives_whoever_counted_it(gathering: Gathering) -> None:
    async with workers(gathering, 2) as (first, second):
        first.calls, second.calls, second.running = 5.0, 7.0, 1.0
        assert calls(await first.total()) == 12.0
        second.calls = 8.0
        await second.reporter.close()
        async with asyncio.timeout(5):
            while (total := await first.total()).heard != 1:
                assert calls(total) >= 12.0
        assert calls(total) == 13.0
        assert total.figures["running"][(), 1] == [0.0]
        third = Worker(gathering.enter())
        third.calls = 2.0
        await third.reporter.open(third.report)
        assert calls(await third.total()) == 15.0
        await third.reporter.close()


@scene
async def test_one_that_hangs_is_waited_for_once_and_counts_as_it_was(gathering: Gathering) -> None:
    loop = asyncio.get_running_loop()
    async with workers(gathering, 1) as (asker,):
        hung = gathering.enter()
        with hung:
            hung.sendall(write_line("report", 0, Report({"calls": {(("echo",), 1): [40.0]}})))
            asker.calls = 2.0
            async with asyncio.timeout(5):
                while calls(await asker.total()) != 42.0:
                    """It has not come in yet."""
            began = loop.time()
            totals = [await asker.total() for _ in range(20)]
            assert loop.time() - began < 2.0, "each of them waited"
            assert {(calls(each), each.heard, each.silent) for each in totals} == {(42.0, 1, 1)}
            hung.sendall(write_line("report", 1, Report({"calls": {(("echo",), 1): [41.0]}})))
            async with asyncio.timeout(5):
                while calls(total := await asker.total()) != 43.0:
                    assert calls(total) == 42.0
            assert total.silent <= 1


BAD: dict[str, bytes] = {
    "no JSON": b"{\n",
    "no message": b"[]\n",
    "no report": b'["report",1]\n',
    "no number": b'["report",1,[{"calls":[[["echo"],["1"]]]},{},{}]]\n',
    "not a number": b'["report",1,[{"calls":[[["echo"],[NaN]]]},{},{}]]\n',
    "less than nothing": b'["report",1,[{"calls":[[["echo"],[-5]]]},{},{}]]\n',
    "too much": b'["report",1,[{"calls":[[["echo"],[%d]]]},{},{}]]\n' % HUGE,
    "a half": b'["report",1,[{"calls":[[["echo"],[7',
}


@pytest.mark.parametrize("said", BAD.values(), ids=BAD.keys())
@scene
async def test_what_one_says_that_is_no_report_spoils_nothing(gathering: Gathering, said: bytes) -> None:
    async with workers(gathering, 2) as (first, second):
        first.calls, second.calls = 1.0, 2.0
        with gathering.enter() as bad:
            bad.sendall(write_line("report", 0, Report({"calls": {(("echo",), 1): [4.0]}})) + said)
            bad.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(5):
                while (total := await first.total()).heard + total.silent != 2 or calls(total) != 7.0:
                    assert calls(total) in (3.0, 7.0)
            assert calls(await second.total()) == 7.0


@scene
async def test_values_of_another_number_are_not_mixed_with_others(gathering: Gathering) -> None:
    async with workers(gathering, 2) as (first, second):
        first.calls = second.calls = 1.0
        with gathering.enter() as odd:
            odd.sendall(write_line("total", 1, Report({"seconds": {((), 2): [9.0, 9.0]}, "calls": {((), 1): [9.0]}})))
            assert odd.recv(65536)
            total = await first.total()
            assert total.figures["seconds"][(), 3] == [2.0, 0.0, 1.0]
            assert calls(total) == 2.0


@scene
async def test_many_ask_at_once_and_each_is_told(gathering: Gathering) -> None:
    async with workers(gathering, 4) as all_of_them:
        for each in all_of_them:
            each.calls = 3.0
        totals = await asyncio.gather(*(each.total() for each in all_of_them * 25))
        assert {calls(total) for total in totals} == {12.0}


@scene
async def test_without_the_parent_nothing_is_told_rather_than_too_little() -> None:
    gathering = Gathering()
    async with workers(gathering, 1) as (alone,):
        waiting = asyncio.ensure_future(alone.reporter.total())
        gathering.close()
        await waiting
        assert await alone.reporter.total() is None


def test_what_is_made_up_cannot_grow_a_sum_without_end() -> None:
    total: Figures = {}
    for number in range(3):
        add(total, {"calls": {((f"{number}-{each}",), 1): [1.0] for each in range(MOST_SERIES)}})
    assert len(total["calls"]) == MOST_SERIES + 1
    assert total["calls"][("other",), 1] == [2.0 * MOST_SERIES]
