"""What a coroutine may wait for in its first step, and how a test looks at it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp_kernel.server.steps import Steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator


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


# What a first step may wait for; each ends by itself.
def ready() -> Awaitable[object]:
    future = asyncio.get_running_loop().create_future()
    future.set_result("ready")
    return future


def soon() -> Awaitable[object]:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.done() or future.set_result(None))
    return future


def later() -> Awaitable[object]:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.001, lambda: future.done() or future.set_result(None))
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
    "a timer": later,
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
