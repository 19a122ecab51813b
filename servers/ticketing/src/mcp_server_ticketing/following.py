"""Following an SQLite file: its folder is watched, the engine says whether it changed, and the history what."""

from __future__ import annotations

import asyncio
import importlib
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from .storage import Change

_TICK_MS: Final = 1_000
_AT_ONCE: Final = 1_000  # events; after more of them everything counts as changed


class Follower:
    """Looks into a file through a connection of its own, and tells what others changed.

    `last` is the number of the last event that is known; it outlives a pause in following.
    """

    def __init__(self, path: Path, origin: str) -> None:
        self.last = 0
        self._path, self._origin = path, origin
        self._raw: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._version = -1
        self._turn = threading.Lock()  # a look goes on in its thread when its caller is cancelled

    async def follow(self, hear: Callable[[Change | None], None]) -> None:
        """Tell of what others change, until cancelled.

        The folder is watched, since the -wal beside the file comes and goes; besides, the engine is asked every
        second: a network file system tells of nothing.
        """
        names = {self._path.name, f"{self._path.name}-wal", f"{self._path.name}-journal"}
        try:
            await asyncio.to_thread(
                importlib.import_module, "watchfiles"
            )  # takes a while, and nobody shall wait for it
            from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  its stop_event names anyio's type

            while True:
                for change in await asyncio.to_thread(self.look):
                    hear(change)
                # The folder is not there for now, or the system has no more watches to give.
                with suppress(OSError, RuntimeError):  # watchfiles' own error is one of these
                    async for _ in awatch(
                        self._path.parent,
                        watch_filter=lambda _change, name: Path(name).name in names,
                        debounce=100,
                        step=20,
                        rust_timeout=_TICK_MS,
                        yield_on_timeout=True,
                        recursive=False,
                    ):
                        for change in await asyncio.to_thread(self.look):
                            hear(change)
                await asyncio.sleep(_TICK_MS / 1000)
        finally:
            self.close()

    def look(self) -> list[Change | None]:
        """What others changed since the last look."""
        with self._turn:
            try:
                status = self._path.stat()
                file = (status.st_dev, status.st_ino)
                if self._raw is None or self._file != file:
                    return self._begin(file)
                return self._compare(self._raw)
            except OSError:  # the file is away, for now
                return []
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    self._drop()
                return []

    def close(self) -> None:
        """Close the connection; the next look opens another."""
        with self._turn:
            self._drop()

    def _begin(self, file: tuple[int, int]) -> list[Change | None]:
        """Open the file; one that took the place of another has no event in common with it."""
        replaced = self._file not in ((0, 0), file)
        self._drop()
        uri = f"file:{quote(os.fsencode(self._path))}?mode=ro"
        self._raw = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.05, check_same_thread=False)
        self._file = file
        if replaced:
            self.last = 0
            self._compare(self._raw)
            return [None]
        (self._version,) = self._raw.execute("PRAGMA data_version").fetchone()
        return self._read_events(self._raw)

    def _compare(self, raw: sqlite3.Connection) -> list[Change | None]:
        (version,) = raw.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return []
        before, changes = self.last, self._read_events(raw)
        self._version = version
        return changes if self.last != before else [None]  # else somebody wrote without the tracker

    def _read_events(self, raw: sqlite3.Connection) -> list[Change | None]:
        sql = "SELECT id, origin, ticket_id, what FROM history WHERE id > ? ORDER BY id LIMIT ?"
        with closing(raw.execute(sql, (self.last, _AT_ONCE + 1))) as cursor:
            events: list[tuple[int, str, int, str]] = cursor.fetchall()
        if len(events) > _AT_ONCE:
            (self.last,) = raw.execute("SELECT max(id) FROM history").fetchone()
            return [None]
        if events:
            self.last = events[-1][0]
        return [
            Change(ticket_id, what in ("created", "closed"))
            for _, origin, ticket_id, what in events
            if origin != self._origin
        ]

    def _drop(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None
