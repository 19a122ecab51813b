"""Watching one file for commits by anybody: its folder is watched, and the engine confirms what changed."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote as quote_url

TICK_MS = 1_000


class _Witness:
    """Tells whether the file has changed since it was last asked.

    PRAGMA data_version compares within one connection, so one is kept open. It holds no lock between two questions.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw: sqlite3.Connection | None = None
        self.seen = self._look()

    def ask(self) -> bool:
        """Whether something was committed, or the file replaced, since the last answer."""
        now = self._look()
        if now is None or now == self.seen:
            return False
        self.seen = now
        return True

    def _look(self) -> tuple[int, int, int] | None:
        """Give what identifies file and version; None while that cannot be told, to be asked again."""
        try:
            status = self.path.stat()
        except OSError:
            self.close()
            return (0, 0, 0)
        try:
            if self.raw is None or self.seen is None or self.seen[:2] != (status.st_dev, status.st_ino):
                self.close()
                uri = f"file:{quote_url(os.fsencode(self.path))}?mode=ro"
                self.raw = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.5, check_same_thread=False)
            (version,) = self.raw.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return status.st_dev, status.st_ino, int(version)

    def close(self) -> None:
        if self.raw is not None:
            self.raw.close()
            self.raw = None


async def watch(path: Path) -> AsyncIterator[None]:
    """Yield once for every confirmed change; several commits within a moment are one.

    The folder is watched, since the file may be replaced and its -wal comes and goes. Besides, the engine is asked
    every second: in WAL mode a commit becomes visible through shared memory, of which no file system tells, and a
    network file system tells nothing at all.
    """
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  its stop_event names anyio's type

    names = {path.name, f"{path.name}-wal", f"{path.name}-journal"}
    witness = await asyncio.to_thread(_Witness, path)
    stop = asyncio.Event()
    try:
        while True:
            with suppress(FileNotFoundError):  # the folder itself is not there (yet)
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
    finally:
        stop.set()
        witness.close()
