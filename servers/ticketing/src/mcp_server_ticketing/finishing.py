"""Work that is not to be left half done."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[object, object, T]) -> T:
    """Await something to its end, even where the caller is cancelled meanwhile; the cancellation goes on after it.

    What it returns is lost then: work that makes something to keep must put it away itself.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:  # once more: the work is bounded by its own time limit
                continue
        if not task.cancelled():
            task.exception()  # looked at: the cancellation is what the caller hears of
        raise
