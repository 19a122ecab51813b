"""One writer at a time on a data directory, among processes; and readers of this process that are not disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from .refusals import Busy, Refusal

PATIENCE: Final = 5.0
_PAUSE: Final = 0.02
_OPEN: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class Gate:
    """Many may be inside together, or one alone. Whoever is inside must not wait for the write lock."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = False

    @asynccontextmanager
    async def together(self) -> AsyncGenerator[None]:
        """Be inside with others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            async with self._changed:
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Be inside without others; new ones wait."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            try:
                await self._changed.wait_for(lambda: self._inside == 0)
                yield
            finally:
                self._alone = False
                self._changed.notify_all()


class WriteLock:
    """The lock of a directory, by `flock` on a file in it; the file names its holder, for whoever waits.

    The system frees the lock of a process that dies. It does not serve those who wait in turn, so that one who writes
    again and again would shut out the rest: a second lock is held by whoever is next, and nobody passes by him.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "writer.lock"
        self._next = folder / "next.lock"
        self._ours = asyncio.Lock()
        self._waiting = 0

    def is_wanted(self) -> bool:
        """Whether anybody waits for the lock, here or in another process; its holder may ask."""
        if self._waiting:
            return True
        try:
            descriptor = os.open(self._next, _OPEN, 0o600)
        except OSError:
            return False
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def hold(self, purpose: str, patience: float = PATIENCE) -> AsyncGenerator[None]:
        """Hold the lock; raises `Busy` when others keep it for longer than `patience` seconds."""
        deadline = time.monotonic() + patience
        waits = patience > 0  # who does not wait is not waited for
        self._waiting += waits
        try:
            async with asyncio.timeout(max(patience, 0.001)):
                await self._ours.acquire()
        except TimeoutError:
            raise Busy(f"This server is still writing ({self._holder()}): call again when it is done.") from None
        finally:
            self._waiting -= waits
        try:
            descriptor = await self._take(deadline, purpose)
            try:
                yield
            finally:
                os.close(descriptor)  # which gives the lock back
        finally:
            self._ours.release()

    async def _take(self, deadline: float, purpose: str) -> int:
        turn = await self._wait(self._next, deadline)
        try:
            descriptor = await self._wait(self._path, deadline)
        finally:
            os.close(turn)
        self._sign(descriptor, purpose)
        return descriptor

    async def _wait(self, path: Path, deadline: float) -> int:
        try:
            descriptor = os.open(path, _OPEN, 0o600)
        except OSError as error:
            raise Refusal(f"{path} cannot be opened for writing: {error.strerror}.") from error
        try:
            while not _try_lock(descriptor):
                if time.monotonic() >= deadline:
                    raise Busy(
                        f"Another process writes to {path.parent} and did not finish in time: {self._holder()}. "
                        "Call again, or end that process; searching goes on meanwhile."
                    )
                await asyncio.sleep(_PAUSE)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _sign(self, descriptor: int, purpose: str) -> None:
        note = {"pid": os.getpid(), "program": Path(sys.argv[0]).name, "purpose": purpose, "since": int(time.time())}
        with suppress(OSError):  # a full disk: the lock holds without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode(), 0)

    def _holder(self) -> str:
        try:
            note = json.loads(self._path.read_bytes())
            since = max(int(time.time()) - int(note["since"]), 0)
            return f"{note['program']} (process {note['pid']}) is {note['purpose']}, since {since} s"
        except (OSError, ValueError, KeyError, TypeError):
            return "it has not said what it does"


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
