"""The inline first step of a handler: to the coroutine it is a task like any other."""

from __future__ import annotations

import asyncio
import gc
import random
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest
from tests.server.waits import WAITS, Pause, current, make_steps, turns
from tests.stage import scene

if TYPE_CHECKING:
    pass

WHO: ContextVar[str] = ContextVar("who", default="nobody")


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
            begun = [steps.begin(work(depth - 1)) for _ in range(2)]
            tasks.extend(task for task in begun if task is not None)
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


@scene  # which fails for what a loop complains of
async def test_what_is_dropped_with_a_task_in_reserve_is_not_complained_of() -> None:
    steps = make_steps()

    async def work() -> None:
        """Ends at once."""

    steps.begin(work())
    await asyncio.sleep(0)  # until then the loop itself keeps the task
    del steps
    gc.collect()


def test_the_loop_may_end_with_a_task_in_reserve(recwarn: pytest.WarningsRecorder) -> None:
    async def main() -> None:
        make_steps().begin(turns(0))

    asyncio.run(main())
    assert list(recwarn) == []
