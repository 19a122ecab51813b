"""The inline first step of a handler that is cancelled: at any moment it ends as a task does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.waits import WAITS, current, is_cancelled, make_steps, turns
from tests.stage import elapse, scene, scene_out_of_time

if TYPE_CHECKING:
    pass


# A ready future is no wait, and wait_for of Python 3.11 loses a cancellation that comes as its inner task ends.
@pytest.mark.parametrize("wait", [name for name in WAITS if name not in ("a ready future", "wait_for")])
@pytest.mark.parametrize("after", range(4))
@scene
async def test_a_cancelled_coroutine_ends_where_it_waits(wait: str, after: int) -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        try:
            await WAITS[wait]()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("cancelled")
            raise
        finally:
            await turns(1)
            said.append("tidied up")

    for warm_up in range(2):
        task = steps.begin(work())
        assert task is not None
        await turns(after)
        task.cancel()
        assert await is_cancelled(task)
        assert said == ["cancelled", "tidied up"] * (warm_up + 1)


@pytest.mark.parametrize("after", range(1, 4))
@scene
async def test_a_cancelled_wait_cancels_what_it_waits_for(after: int) -> None:
    steps, ended = make_steps(), list[str]()

    async def inner(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def in_gather() -> None:
        await asyncio.gather(inner("a"), inner("b"))

    async def in_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner("c"))
            group.create_task(inner("d"))

    for work in (in_gather, in_group):
        task = steps.begin(work())
        assert task is not None
        await turns(after)
        task.cancel()
        assert await is_cancelled(task)
    await turns(3)
    assert sorted(ended) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("after", range(3))
@scene
async def test_what_ran_before_is_cancelled_with_whoever_waits_for_it(after: int) -> None:
    steps = make_steps()
    for together in (False, True):
        inner = asyncio.ensure_future(asyncio.Event().wait())
        await turns(1)

        async def work(inner: asyncio.Future[Any] = inner, together: bool = together) -> None:
            await (asyncio.gather(inner) if together else inner)

        task = steps.begin(work())
        assert task is not None
        await turns(after)
        task.cancel()
        assert await is_cancelled(task)
        assert inner.cancelled()


@pytest.mark.parametrize("after", range(3))
@scene
async def test_what_is_shielded_goes_on(after: int) -> None:
    steps, gate = make_steps(), asyncio.Event()
    inner = asyncio.ensure_future(gate.wait())

    async def work() -> None:
        await asyncio.shield(inner)

    task = steps.begin(work())
    assert task is not None
    await turns(after)
    task.cancel()
    assert await is_cancelled(task)
    assert not inner.done()
    gate.set()
    await inner


@pytest.mark.parametrize("after", range(3))
@scene
async def test_a_coroutine_may_swallow_its_cancellation(after: int) -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("swallowed")
        await turns(3)
        said.append("done")

    task = steps.begin(work())
    assert task is not None
    await turns(after)
    task.cancel()
    await task
    assert said == ["swallowed", "done"]


@scene
async def test_what_came_before_the_cancellation_is_not_lost_in_the_handover() -> None:
    steps, said = make_steps(), list[object]()
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            said.append(await future)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("cancelled")

    task = steps.begin(work())
    assert task is not None
    future.set_result("value")
    await turns(3)
    task.cancel()
    await task
    assert said == ["value", "cancelled"]


@scene_out_of_time
async def test_a_timeout_begun_in_the_first_step_ends_a_later_one() -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        try:
            async with asyncio.timeout(3):
                await elapse(1)
                await asyncio.Event().wait()
        except TimeoutError:
            said.append(f"after {asyncio.get_running_loop().time():.0f}")
        assert current().cancelling() == 0

    for _ in range(2):
        task = steps.begin(work())
        assert task is not None
        await task
    assert said == ["after 3", "after 6"]


@scene
async def test_a_timeout_that_has_passed_already_ends_the_first_wait() -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        try:
            async with asyncio.timeout(-1):
                await asyncio.Event().wait()
        except TimeoutError:
            said.append("out of time")

    for _ in range(2):
        task = steps.begin(work())
        assert task is not None
        await task
    assert said == ["out of time"] * 2


@scene
async def test_a_group_in_the_first_step_ends_with_the_task_that_fails() -> None:
    steps, said = make_steps(), list[str]()

    async def fail() -> None:
        raise KeyError("x")

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.Event().wait()
        except* KeyError:
            said.append("failed")
        assert current().cancelling() == 0

    for _ in range(2):
        task = steps.begin(work())
        assert task is not None
        await task
    assert said == ["failed"] * 2


@pytest.mark.parametrize("waits", [0, 1])
@scene
async def test_one_that_cancels_itself_does_not_cancel_the_next(waits: int) -> None:
    steps, said = make_steps(), list[str]()

    async def cancel_myself() -> None:
        current().cancel()
        if waits:
            await turns(waits)

    async def work() -> None:
        await turns(2)
        said.append("done")

    for _ in range(3):
        task = steps.begin(cancel_myself())
        if task is not None:
            assert await is_cancelled(task)
        task = steps.begin(work())
        assert task is not None
        await task
    assert said == ["done"] * 3


@scene
async def test_a_coroutine_that_raises_its_cancellation_at_once_is_over() -> None:
    steps = make_steps()

    async def work() -> None:
        raise asyncio.CancelledError

    assert steps.begin(work()) is None
    assert steps.begin(turns(0)) is None
    steps.close()
