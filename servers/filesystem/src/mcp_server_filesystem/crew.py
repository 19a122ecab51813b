"""Threads for work that may block: taken on when they are needed, and left behind when a dead disk holds them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar, cast

from .refusals import Refusal

T = TypeVar("T")

_MOST = 32
_Job = tuple[Callable[[], object], Callable[[], None] | None, "asyncio.Future[object]", asyncio.AbstractEventLoop]


class Crew:
    """A pool of daemon threads, so that the process can end whatever holds them.

    When all are held, further work is refused instead of waiting for what may never end.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._busy = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T], after: Callable[[], None] | None = None) -> T:
        """Run a function in a thread; what is cancelled is not waited for.

        `after` is run by the same thread whatever became of the work, and nobody waits for it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        with self._lock:
            if self._busy >= self._most * 8:
                raise Refusal("Too many calls wait for a disk that does not answer. Try again in a moment.")
            self._busy += 1
            if self._busy > self._threads and self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"files-{self._threads}", daemon=True).start()
        self._jobs.put((work, after, future, loop))
        return cast("T", await future)

    def close(self) -> None:
        """Send the threads home."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, after, future, loop = job
            value: object = None
            failure: BaseException | None = None
            try:
                if not future.cancelled():
                    value = work()
            except BaseException as error:  # whoever waits hears of it
                failure = error
            if after is None:
                self._rest()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, future, value, failure)
            del job, work, future, value, failure
            if after is not None:
                with suppress(OSError):  # what cannot be closed is closed
                    after()
                self._rest()

    def _rest(self) -> None:
        with self._lock:
            self._busy -= 1


def _settle(future: asyncio.Future[object], value: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)
