"""Threads for work that may block: taken on when they are needed, and left behind when a dead disk holds them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar, cast

from .refusals import Refusal

T = TypeVar("T")

_MOST = 32
_MOST_LEFT = 128
_WAITING = 8  # pieces of work for each thread that may wait


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], object]
    after: Callable[[], None] | None
    future: asyncio.Future[object]
    loop: asyncio.AbstractEventLoop
    begun: bool = False
    left: bool = False
    ended: bool = False


class Crew:
    """A pool of daemon threads, so that the process can end whatever holds them.

    A thread whose work nobody waits for any more is left behind, and another one takes its place. When too many are,
    further work is refused instead of waiting for what may never end.

    Args:
        most: How many threads work at once.
        most_left: How many more may be left behind.
    """

    def __init__(self, most: int = _MOST, most_left: int = _MOST_LEFT) -> None:
        self._most = most
        self._most_left = most_left
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0  # but for those that were left behind
        self._left = 0
        self._busy = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T], after: Callable[[], None] | None = None) -> T:
        """Run a function in a thread; what is cancelled is not waited for.

        `after` is run by the same thread whatever became of the work, and nobody waits for it.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, after, loop.create_future(), loop)
        with self._lock:
            if self._left >= self._most_left:
                raise Refusal(
                    f"{self._left} calls hang on a disk or a network drive that does not answer, so nothing more is "
                    "begun until one of them ends. Tell the user: that disk has to answer again, or to be unmounted."
                )
            if self._busy >= self._most * _WAITING:
                raise Refusal("Too many calls wait for a disk that does not answer. Try again in a moment.")
            self._busy += 1
            self._take_on()
        self._jobs.put(job)
        try:
            return cast("T", await job.future)
        finally:
            if job.future.cancelled():
                with self._lock:
                    self._leave(job)
                    self._take_on()

    def close(self) -> None:
        """Send the threads home."""
        for _ in range(self._threads + self._left):
            self._jobs.put(None)

    def _take_on(self) -> None:
        if self._busy > self._threads and self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._serve, name="files", daemon=True).start()

    def _leave(self, job: _Job) -> None:
        """Leave the thread behind that is at a job which nobody waits for. Called with the lock held."""
        if job.begun and not job.ended and not job.left:
            job.left = True
            self._left += 1
            self._threads -= 1
            self._busy -= 1

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._work(job)
            if job.after is not None:
                with self._lock:
                    self._leave(job)
                with suppress(OSError):  # what cannot be closed is closed
                    job.after()
            with self._lock:
                job.ended = True
                if not job.left:
                    self._busy -= 1
                    continue
                self._left -= 1
                if self._threads >= self._most:  # others are at work in its place
                    return
                self._threads += 1

    def _work(self, job: _Job) -> None:
        value: object = None
        failure: BaseException | None = None
        with self._lock:
            job.begun = True
        try:
            if not job.future.cancelled():
                value = job.work()
        except BaseException as error:  # whoever waits hears of it
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            job.loop.call_soon_threadsafe(_settle, job.future, value, failure)


def _settle(future: asyncio.Future[object], value: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)
