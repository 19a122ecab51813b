"""The inline first step of a handler: to the coroutine it is a task like any other."""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest
from tests.stage import scene, scene_out_of_time

from mcp_kernel.server.steps import Steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Pause:
    """Yields None to the loop, as `asyncio.sleep(0)` does."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def make_steps() -> Steps:
    return Steps(asyncio.get_running_loop())


def current() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def is_cancelled(task: asyncio.Task[None]) -> bool:
    await asyncio.wait([task], timeout=5)
    return task.cancelled()


@scene
async def test_a_coroutine_that_never_waits_ends_at_once() -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        said.append("done")

    for _ in range(3):
        assert steps.begin(work()) is None
    assert said == ["done"] * 3
    steps.close()


@scene
async def test_a_coroutine_that_waits_goes_on_as_a_task() -> None:
    steps, gate, said = make_steps(), asyncio.Event(), list[str]()

    async def work() -> None:
        said.append("began")
        await gate.wait()
        said.append("done")

    task = steps.begin(work())
    assert said == ["began"]
    assert task is not None
    gate.set()
    await task
    assert said == ["began", "done"]


@scene
async def test_it_is_the_same_task_from_the_first_step_to_the_last() -> None:
    steps, seen = make_steps(), list[asyncio.Task[object]]()

    async def work() -> None:
        seen.append(current())
        for wait in (Pause(), asyncio.sleep(0), turns(3)):
            await wait
            seen.append(current())

    outside = current()
    task = steps.begin(work())
    assert current() is outside
    assert task is not None
    await task
    assert set(seen) == {task}
    assert task is not outside


# What a first step may wait for; each ends by itself.
def ready() -> Awaitable[object]:
    future = asyncio.get_running_loop().create_future()
    future.set_result("ready")
    return future


def soon() -> Awaitable[object]:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.done() or future.set_result(None))
    return future


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(turns(2))
        group.create_task(turns(3))


async def in_time() -> None:
    async with asyncio.timeout(5):
        await turns(2)


WAITS: dict[str, Callable[[], Awaitable[object]]] = {
    "a ready future": ready,
    "a future": soon,
    "a bare yield": Pause,
    "sleep": lambda: asyncio.sleep(0.001),
    "gather": lambda: asyncio.gather(turns(1), turns(4)),
    "a task": lambda: asyncio.create_task(turns(2)),
    "shield": lambda: asyncio.shield(turns(2)),
    "wait": lambda: asyncio.wait([asyncio.ensure_future(turns(2))]),
    "wait_for": lambda: asyncio.wait_for(turns(2), 5),
    "a group": in_a_group,
    "a timeout": in_time,
    "a thread": lambda: asyncio.to_thread(int),
    "an async generator": lambda: anext(generate()),
}


async def generate() -> AsyncIterator[int]:
    await turns(1)
    yield 1


@pytest.mark.parametrize("first", WAITS)
@pytest.mark.parametrize("second", ["a future", "a group", "a timeout", "gather"])
@scene
async def test_a_first_step_may_wait_for_anything(first: str, second: str) -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        await WAITS[first]()
        await WAITS[second]()
        said.append("done")

    for _ in range(2):
        task = steps.begin(work())
        if task is not None:
            await task
    assert said == ["done"] * 2
    steps.close()


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


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("first", [True, False])
@scene
async def test_what_a_coroutine_raises_comes_out_of_it(before: bool, first: bool) -> None:
    steps = make_steps()

    async def work() -> None:
        if not before:
            await turns(2)
        raise KeyError("lost")

    if not first:
        steps.begin(turns(0))
    if before:
        with pytest.raises(KeyError):
            steps.begin(work())
    else:
        task = steps.begin(work())
        assert task is not None
        with pytest.raises(KeyError):
            await task
    assert steps.begin(turns(0)) is None
    steps.close()


@scene
async def test_a_future_that_fails_fails_the_coroutine() -> None:
    steps, said = make_steps(), list[str]()
    for when in range(3):
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work(future: asyncio.Future[None] = future) -> None:
            try:
                await future
            except KeyError as error:
                said.append(str(error))

        task = steps.begin(work())
        assert task is not None
        await turns(when)
        future.set_exception(KeyError("x"))
        await task
    assert said == ["'x'"] * 3


@scene
async def test_a_coroutine_may_begin_another() -> None:
    steps, said = make_steps(), list[tuple[str, bool]]()
    tasks: list[asyncio.Task[None]] = []

    async def work(depth: int) -> None:
        me = current()
        if depth:
            for _ in range(2):
                if (task := steps.begin(work(depth - 1))) is not None:
                    tasks.append(task)
        said.append(("before", current() is me))
        await turns(depth)
        said.append(("after", current() is me))

    if (task := steps.begin(work(3))) is not None:
        tasks.append(task)
    for task in tasks:
        await task
    assert len(said) == 2 * (1 + 2 + 4 + 8)
    assert all(same for _, same in said)
    steps.close()


@scene
async def test_begun_from_a_callback_there_is_no_task_around_it() -> None:
    steps, outside = make_steps(), list[object]()
    done = asyncio.Event()

    def callback() -> None:
        outside.append(asyncio.current_task())
        steps.begin(turns(0))
        outside.append(asyncio.current_task())
        done.set()

    asyncio.get_running_loop().call_soon(callback)
    await done.wait()
    assert outside == [None, None]
    steps.close()


@pytest.mark.parametrize("waits", [0, 1, 3])
@scene
async def test_a_variable_that_one_sets_the_next_does_not_see(waits: int) -> None:
    steps, seen = make_steps(), list[str]()

    async def work(name: str) -> None:
        seen.append(WHO.get())
        WHO.set(name)
        await turns(waits)
        seen.append(WHO.get())

    for name in ("alice", "bob", "carol"):
        task = steps.begin(work(name))
        if task is not None:
            await task
    assert seen == ["nobody", "alice", "nobody", "bob", "nobody", "carol"]
    assert WHO.get() == "nobody"
    steps.close()


@scene
async def test_a_variable_that_was_taken_back_is_no_trace() -> None:
    steps, seen = make_steps(), list[str]()

    async def work() -> None:
        token = WHO.set("alice")
        seen.append(WHO.get())
        WHO.reset(token)

    steps.begin(work())
    steps.begin(work())
    assert seen == ["alice", "alice"]
    steps.close()


@pytest.mark.parametrize("waits", [0, 2])
@scene
async def test_each_sees_the_variables_of_whoever_began_it(waits: int) -> None:
    steps, seen = make_steps(), list[str]()

    async def work() -> None:
        seen.append(WHO.get())
        await turns(waits)
        seen.append(WHO.get())

    for name in ("alice", "bob", "bob", "nobody"):
        token = WHO.set(name)
        task = steps.begin(work())
        WHO.reset(token)
        if task is not None:
            await task
    assert seen == ["alice"] * 2 + ["bob"] * 4 + ["nobody"] * 2
    steps.close()


@scene_out_of_time
async def test_a_timeout_begun_in_the_first_step_ends_a_later_one() -> None:
    steps, said = make_steps(), list[str]()

    async def work() -> None:
        try:
            async with asyncio.timeout(3):
                await asyncio.sleep(1)
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


@scene
async def test_many_at_once_are_kept_apart() -> None:
    steps, chance, sums = make_steps(), random.Random(7), dict[int, int]()

    async def work(number: int, waits: list[int]) -> None:
        me = current()
        WHO.set(str(number))
        for count in waits:
            await turns(count)
            assert current() is me
            assert WHO.get() == str(number)
        sums[number] = sum(waits)

    plans = {number: [chance.randrange(4) for _ in range(chance.randrange(5))] for number in range(500)}
    begun = [steps.begin(work(number, waits)) for number, waits in plans.items()]
    await asyncio.gather(*(task for task in begun if task is not None))
    assert sums == {number: sum(waits) for number, waits in plans.items()}
    steps.close()


@scene
async def test_letting_go_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    steps = make_steps()
    steps.begin(turns(0))
    steps.begin(turns(0))
    steps.close()
    steps.close()
    await turns(3)
    assert asyncio.all_tasks() == before


def test_the_loop_may_end_with_a_task_in_reserve(recwarn: pytest.WarningsRecorder) -> None:
    async def main() -> None:
        make_steps().begin(turns(0))

    asyncio.run(main())
    assert list(recwarn) == []
