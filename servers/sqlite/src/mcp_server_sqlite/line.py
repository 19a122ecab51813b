"""Line: a reader behind aiosqlite's thread, where a call is one hop and a cancelled call ends its statement first."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from .fences import Leash
from .policy import Policy
from .reader import Reader
from .refusals import Refusal, describe_file_error

T = TypeVar("T")
GRACE = 2.0  # seconds that one long instruction (instr over megabytes) is waited for after its interrupt


class Line(aiosqlite.Connection):
    """One connection. aiosqlite's own calls are one thread hop each; `run` takes a whole job over in one."""

    def __init__(self, path: Path, policy: Policy, identity: tuple[int, int]) -> None:
        self.identity = identity
        self.ending: asyncio.Future[Any] | None = None  # of the job that a lost line still runs
        self._reader: Reader | None = None
        self._path, self._policy = path, policy
        super().__init__(self._open, 64)
        # A statement that cannot be interrupted must not keep the process from ending.
        self._thread.daemon = True

    def _open(self) -> sqlite3.Connection:
        try:
            self._reader = Reader(self._path, self._policy)
        except sqlite3.Error as error:
            raise Refusal(describe_file_error(error, self._path) or f"SQLite cannot open {self._path}.") from None
        return self._reader.raw

    async def run(self, job: Callable[[Reader], T], leash: Leash) -> T:
        """Run a job on the reader's thread within the leash.

        Cancelled, or at the deadline, the statement is interrupted and its end awaited. When it does not end within
        the grace the line is lost: the caller is answered, the thread ends when the instruction does.
        """
        work = self._begin(job)
        try:
            done, _ = await asyncio.wait([work], timeout=max(leash.left(), 0) + 0.05)
            if not done:
                await self._stop(work)
        except asyncio.CancelledError:
            leash.stopped = True
            await self._stop(work)
            raise
        if not work.done():
            raise Refusal(
                f"The statement was given up after {leash.seconds:g} s, the time a query may take here: one function "
                "call in it takes long by itself. Use it on shorter values."
            )
        return work.result()

    def _begin(self, job: Callable[[Reader], T]) -> asyncio.Future[T]:
        """Put the job on the thread's queue, as aiosqlite does, but answer to a loop that may be gone by then."""
        reader = self._reader
        if reader is None:
            raise RuntimeError("this line is not open")
        loop = asyncio.get_running_loop()
        work: asyncio.Future[T] = loop.create_future()

        def perform() -> None:
            try:
                result = job(reader)
            except BaseException as error:
                answer = partial(_fail, work, error)
            else:
                answer = partial(_succeed, work, result)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(answer)

        self._queue(perform)
        return work

    async def _stop(self, work: asyncio.Future[T]) -> None:
        """Interrupt until the job ends, for an interrupt that comes between two statements is lost."""
        patience = GRACE
        while not work.done() and patience > 0:
            await self.interrupt()
            await asyncio.wait([work], timeout=0.05)
            patience -= 0.05
        if not work.done():
            self.ending = work
            self._queue(self._drop)
        else:
            work.exception()  # looked at, so that asyncio does not report it

    def _queue(self, step: Callable[[], None]) -> None:
        self._tx.put_nowait((None, step))  # pyright: ignore[reportUnknownMemberType]  aiosqlite has no types here

    @property
    def lost(self) -> bool:
        """Whether a statement was given up on this line; it closes itself when that ends."""
        return self.ending is not None

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self.stop()  # pyright: ignore[reportUnknownMemberType]  aiosqlite leaves its future untyped

    async def hang_up(self) -> None:
        """Close, on the connection's own thread."""
        reader = self._reader
        if reader is None or self.lost:
            return
        self._reader = None
        await self._execute(reader.close)  # pyright: ignore[reportUnknownMemberType]  aiosqlite has no types here
        await self.close()


def _succeed(work: asyncio.Future[T], result: T) -> None:
    if not work.done():
        work.set_result(result)


def _fail(work: asyncio.Future[T], error: BaseException) -> None:
    if not work.done():
        work.set_exception(error)
        work.exception()  # looked at: a caller who gave up does not come back for it
