"""Line: a reader behind aiosqlite's thread, where a call is one hop and a cancelled call ends its statement first."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

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
        self.lost = False
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
        reader = self._reader
        if reader is None:
            raise RuntimeError("this line is not open")
        work = asyncio.ensure_future(cast("asyncio.Future[T]", self._execute(job, reader)))  # pyright: ignore[reportUnknownMemberType]  aiosqlite has no types here
        try:
            done, _ = await asyncio.wait([work], timeout=max(leash.left(), 0) + 0.05)
            if not done:
                await self._stop(work, leash)
        except asyncio.CancelledError:
            leash.stopped = True
            await self._stop(work, leash)
            raise
        if not work.done():
            raise Refusal(
                f"The statement was given up after {leash.seconds:g} s, the time a query may take here: one function "
                "call in it takes long by itself. Use it on shorter values."
            )
        return work.result()

    async def _stop(self, work: "asyncio.Future[Any]", leash: Leash) -> None:
        """Interrupt until the job ends, for an interrupt that comes between two statements is lost."""
        patience = GRACE
        while not work.done() and patience > 0:
            await self.interrupt()
            await asyncio.wait([work], timeout=0.05)
            patience -= 0.05
        if not work.done():
            self.lost, self.ending = True, work
            work.add_done_callback(_forget_result)
        elif not work.cancelled():
            work.exception()  # looked at, so that asyncio does not report it

    async def hang_up(self) -> None:
        """Close, on the connection's own thread; a lost line is closed when its statement ends."""
        reader = self._reader
        if reader is None:
            return
        self._reader = None
        if self.lost:
            self.stop()  # pyright: ignore[reportUnknownMemberType]  aiosqlite leaves its future untyped
            return
        await self._execute(reader.close)  # pyright: ignore[reportUnknownMemberType]  aiosqlite has no types here
        await self.close()


def _forget_result(work: "asyncio.Future[Any]") -> None:
    if not work.cancelled():
        work.exception()
