"""Threads for handlers that are no coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

_MOST: Final = 16
_MOMENT: Final = (
    0.001  # seconds; a thread that computes keeps the loop waiting up to five times as long, by Python's rule
)


class Threads:
    """A bounded number of threads, which begin with the first work.

    Most work takes less time than it takes a thread to wake the event loop up. So while nothing else is at work the
    loop itself waits for a moment, and only then goes on and is woken when the work is done.

    Args:
        most: How many threads there are at most.
        moment: Seconds for which the event loop waits.
    """

    def __init__(self, most: int = _MOST, moment: float = _MOMENT) -> None:
        self._most = most
        self._moment = moment
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function in a thread, and return or raise what it does."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # with the first work: a start need not wait for it

            self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="handler")
        future = self._pool.submit(work)
        if not self._waiting:
            try:
                return future.result(self._moment)
            except TimeoutError:  # or what the work has raised
                if future.done():
                    return future.result()
        self._waiting += 1
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin nothing more, and wait for nothing."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
