"""Threads for work that may block: taken on when they are needed, and left behind when a dead disk holds them.

Most work takes less time than it takes a thread to wake the event loop up. So while nothing else is at work the loop
itself waits for a moment, and only then goes on and is woken when the work is done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TypeVar, cast

from .refusals import Refusal

T = TypeVar("T")

_MOST = 32
_MOST_LEFT = 128
_MOMENT = 0.001  # seconds; a thread that computes may keep the loop waiting five times as long
_WAITING = 8  # pieces of work for each thread that may wait


@dataclass(slots=True, eq=False)
class _Job:
    """A piece of work. Whoever ends it tells `future`, where there is one by then, and otherwise opens `ready`."""

    work: Callable[[], object]
    after: Callable[[], None] | None
    future: asyncio.Future[object] | None = None
    ready: threading.Lock = field(default_factory=threading.Lock)
    value: object = None
    failure: BaseException | None = None
    done: bool = False
    begun: bool = False
    left: bool = False
    ended: bool = False

    def result(self) -> object:
        """What the work gave, or raise what it raised."""
        if self.failure is not None:
            raise self.failure
        return self.value


class Crew:
    """A pool of daemon threads, so that the process can end whatever holds them.

    A thread whose work nobody waits for any more is left behind, and another one takes its place. When too many are,
    further work is refused instead of waiting for what may never end.

    Args:
        most: How many threads work at once.
        most_left: How many more may be left behind.
        moment: Seconds for which the event loop itself waits, where nothing else is at work.
    """

    def __init__(self, most: int = _MOST, most_left: int = _MOST_LEFT, moment: float = _MOMENT) -> None:
        self._most = most
        self._most_left = most_left
        self._moment = moment
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0  # but for those that were left behind
        self._left = 0
        self._busy = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T], after: Callable[[], None] | None = None) -> T:
        """Run a function in a thread; what is cancelled is not waited for.

        `after` is run by the same thread whatever became of the work, and nobody waits for it.
        """
        job = _Job(work, after)
        with self._lock:
            if self._left >= self._most_left:
                raise Refusal(
                    f"{self._left} calls hang on a disk or a network drive that does not answer, so nothing more is "
                    "begun until one of them ends. Tell the user: that disk has to answer again, or to be unmounted."
                )
            if self._busy >= self._most * _WAITING:
                raise Refusal("Too many calls wait for a disk that does not answer. Try again in a moment.")
            waits = not self._busy and not self._left
            self._busy += 1
            self._take_on()
        if waits:
            job.ready.acquire()
            self._jobs.put(job)
            if job.ready.acquire(timeout=self._moment):
                return cast("T", job.result())
        return cast("T", await self._wait(job, begun=waits))

    async def _wait(self, job: _Job, *, begun: bool) -> object:
        """Have the loop woken up when a job is done; one that is not begun is begun now."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if job.done:
                return job.result()
            job.future = future
        if not begun:
            self._jobs.put(job)
        try:
            return await future
        finally:
            if future.cancelled():
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
                with suppress(OSError):  # what cannot be closed is closed
                    job.after()
                with self._lock:
                    self._end(job)
            if not job.left:
                continue
            with self._lock:
                self._left -= 1
                if self._threads >= self._most:  # others are at work in its place
                    return
                self._threads += 1

    def _end(self, job: _Job) -> None:
        """Have a job no longer counted as work. Called with the lock held."""
        job.ended = True
        if not job.left:
            self._busy -= 1

    def _work(self, job: _Job) -> None:
        with self._lock:
            job.begun = True
            wanted = job.future is None or not job.future.cancelled()
        try:
            if wanted:
                job.value = job.work()
        except BaseException as error:  # whoever waits hears of it
            job.failure = error
        with self._lock:  # before anybody hears of it, so that whoever does finds this thread free, or left behind
            job.done = True
            future = job.future
            if job.after is None:
                self._end(job)
            else:
                self._leave(job)
        if future is None:
            job.ready.release()
            return
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            future.get_loop().call_soon_threadsafe(_settle, future, job)


def _settle(future: asyncio.Future[object], job: _Job) -> None:
    if future.done():
        return
    if job.failure is None:
        future.set_result(job.value)
    else:
        future.set_exception(job.failure)
