"""Work in threads: what hangs is left behind, and neither the call nor the server waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine

import pytest
from tests.stage import scene

from mcp_server_filesystem.crew import Crew
from mcp_server_filesystem.refusals import Refusal


@scene
async def test_results_and_failures_come_back() -> None:
    crew = Crew()
    assert await asyncio.gather(*(crew.run(lambda number=number: number * 2) for number in range(100))) == [
        number * 2 for number in range(100)
    ]

    def fail() -> None:
        raise Refusal("no")

    with pytest.raises(Refusal, match="no"):
        await crew.run(fail)
    crew.close()


@scene
async def test_the_loop_waits_for_work_that_is_done_at_once_and_is_not_woken_for_it() -> None:
    crew = Crew(moment=30)

    def fail() -> None:
        raise Refusal("no")

    for _ in range(3):
        assert is_done_at_once(crew.run(lambda: "told"))
        with pytest.raises(Refusal, match="no"):
            is_done_at_once(crew.run(fail))
    crew.close()


@scene
async def test_the_loop_waits_for_nothing_while_something_hangs() -> None:
    crew, release = Crew(most_left=1, moment=0.001), threading.Event()
    try:
        first = asyncio.ensure_future(hang(crew, release))
        await asyncio.sleep(0)
        assert not is_done_at_once(crew.run(lambda: "told"))
        await first  # its thread is left behind now
        with pytest.raises(Refusal, match="1 calls hang"):
            await crew.run(lambda: None)
    finally:
        release.set()
        crew.close()


def is_done_at_once(work: Coroutine[object, None, object]) -> bool:
    """Whether a piece of work ends before the event loop is asked to do something else."""
    try:
        work.send(None)
    except StopIteration:
        return True
    work.close()
    return False


@scene
async def test_a_call_that_hangs_ends_in_time_and_others_go_on() -> None:
    crew, release = Crew(2), threading.Event()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await crew.run(lambda: release.wait(30))
        assert await crew.run(lambda: "alive") == "alive"
    finally:
        release.set()
        crew.close()


async def hang(crew: Crew, release: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await crew.run(lambda: release.wait(30))


@scene
async def test_another_thread_takes_the_place_of_one_that_hangs_but_not_of_any_number() -> None:
    crew, release = Crew(1, most_left=2), threading.Event()
    try:
        await hang(crew, release)
        assert await crew.run(lambda: "alive") == "alive"
        await hang(crew, release)
        with pytest.raises(Refusal, match="2 calls hang"):
            await crew.run(lambda: None)
    finally:
        release.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await crew.run(lambda: "alive") == "alive"
                break
            except Refusal:  # the threads are on their way back
                await asyncio.sleep(0)
    crew.close()


@scene
async def test_work_that_waits_is_begun_when_what_hangs_before_it_is_left() -> None:
    crew, release = Crew(1), threading.Event()
    try:
        first = asyncio.ensure_future(hang(crew, release))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await crew.run(lambda: "alive") == "alive"
        await first
    finally:
        release.set()
        crew.close()


@scene
async def test_nobody_waits_for_what_comes_after_the_answer() -> None:
    crew, release, ended = Crew(1), threading.Event(), threading.Event()

    def fail() -> str:
        raise Refusal("no")

    def linger() -> None:
        ended.set() if release.wait(30) else None

    def stumble() -> None:
        raise OSError

    try:
        assert await crew.run(lambda: "told", linger) == "told"
        assert not ended.is_set()
    finally:
        release.set()
    assert await asyncio.to_thread(ended.wait, 10)
    with pytest.raises(Refusal, match="no"):
        await crew.run(fail, ended.clear)
    assert await crew.run(lambda: "told", stumble) == "told"
    assert await crew.run(lambda: "alive") == "alive"
    assert not ended.is_set()
    crew.close()


@scene
async def test_when_every_thread_hangs_further_work_is_refused_at_last() -> None:
    crew, release = Crew(1), threading.Event()
    waiting = [asyncio.ensure_future(crew.run(lambda: release.wait(30))) for _ in range(8)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(Refusal, match="disk"):
            await crew.run(lambda: None)
    finally:
        release.set()
        await asyncio.gather(*waiting)
        crew.close()
