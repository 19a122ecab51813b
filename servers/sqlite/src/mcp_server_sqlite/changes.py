"""Watching one file for commits by anybody: its folder is watched, and the engine confirms what changed."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote as quote_url

from .refusals import is_busy

TICK_MS = 1_000


class Witness:
    """Tells whether the file has changed since it was last asked.

    PRAGMA data_version compares within one connection, so one is kept open. It holds no lock between two questions.
    It is asked in a thread, which nobody can stop: whoever ends the watch meanwhile leaves the closing to it. A
    connection that is closed under a statement takes the process with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw: sqlite3.Connection | None = None
        self.file = (0, 0)
        self.opened = 0
        self.ended = False
        self.asking = threading.Lock()
        self.seen = self._look()

    def ask(self) -> bool:
        """Whether something was committed, or the file replaced, since the last answer."""
        with self.asking:
            now = None if self.ended else self._look()
            if now is None or now == self.seen:
                changed = False
            else:
                self.seen, changed = now, True
        if self.ended:  # perhaps while it was asked: looked at when it can be closed again
            self.end()
        return changed

    def end(self) -> None:
        """Ask no more, and close what is open: here, or where it is being asked just now."""
        self.ended = True
        if self.asking.acquire(blocking=False):
            try:
                self._close()
            finally:
                self.asking.release()

    def _look(self) -> tuple[int, int] | None:
        """Give what changes with every commit; None while that cannot be told, to be asked again.

        Versions of two connections cannot be compared, so a file that had to be opened anew counts as changed.
        """
        try:
            status = self.path.stat()
            if self.raw is None or self.file != (status.st_dev, status.st_ino):
                self._close()
                uri = f"file:{quote_url(os.fsencode(self.path))}?mode=ro"
                self.raw = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.05, check_same_thread=False)
                self.file = (status.st_dev, status.st_ino)
                self.opened += 1
            (version,) = self.raw.execute("PRAGMA data_version").fetchone()
        except OSError:
            self._close()
            return (0, 0)
        except sqlite3.Error as error:
            if not is_busy(error):
                self._close()
            return None
        return self.opened, int(version)

    def _close(self) -> None:
        if self.raw is not None:
            self.raw.close()
            self.raw = None


def watch(path: Path) -> AsyncGenerator[None, None]:
    """Yield once for every confirmed change from this call on; several commits within a moment are one.

    The first look is taken here and now, not when the caller first waits: what is committed between the two counts. A
    file that is locked at that moment is told of once more than needed, which is better than once less.
    """
    return _follow(path, Witness(path))


async def _follow(path: Path, witness: Witness) -> AsyncGenerator[None, None]:
    """Watch the folder, since the file may be replaced and its -wal comes and goes.

    Besides, the engine is asked every second: in WAL mode a commit becomes visible through shared memory, of which no
    file system tells, and a network file system tells nothing at all.
    """
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  its stop_event names anyio's type

    names = {path.name, f"{path.name}-wal", f"{path.name}-journal"}
    stop = asyncio.Event()
    try:
        while True:
            # The folder is not there (yet), or the system has no more watches to give: asked every second all the same.
            with suppress(OSError, RuntimeError, UnicodeError, ExceptionGroup):  # the last of names that are not UTF-8
                async for _ in awatch(
                    path.parent,
                    watch_filter=lambda _change, name: Path(name).name in names,
                    debounce=100,
                    step=20,
                    stop_event=stop,
                    rust_timeout=TICK_MS,
                    yield_on_timeout=True,
                    recursive=False,
                ):
                    if await asyncio.to_thread(witness.ask):
                        yield
            await asyncio.sleep(TICK_MS / 1000)
            if await asyncio.to_thread(witness.ask):
                yield
    finally:
        stop.set()
        witness.end()
