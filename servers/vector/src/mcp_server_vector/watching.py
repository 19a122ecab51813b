"""Directories whose files are kept in step with their collections, from one run of the server to the next."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from .folders import Folder, Gone
from .globs import Glob
from .indexing import Indexer, Tally
from .refusals import Refusal
from .store import DEFAULT_COLLECTION

logger = logging.getLogger(__name__)

_GATHER: Final = 200  # milliseconds in which changes are gathered
_RETRY: Final = 5.0
_LOOK: Final = 20.0  # seconds from one look through a directory that cannot be watched to the next
_ALL: Final = Glob("**/*")


class Watch:
    """Keeps the watched folders of an indexer in step; `changed` hears the name of each collection that changed."""

    def __init__(self, indexer: Indexer, watched: Iterable[Folder], changed: Callable[[str], None]) -> None:
        self._indexer = indexer
        self._watched = tuple(watched)
        self._changed = changed
        self._indexer.store.filling.update((_name(folder), folder.path) for folder in self._watched)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for folder in self._watched:
                group.create_task(self._watch(folder))

    async def _watch(self, folder: Folder) -> None:
        while True:
            try:
                await self._follow(folder)
            except* (OSError, RuntimeError, UnicodeError, Gone) as problems:
                # The directory is gone, the system watches no more of them, or a name is not UTF-8: what watchfiles
                # raises of that comes in a group.
                problem = problems.exceptions[0]
                logger.warning("%s is not watched, and looked through every %g s: %s", folder.path, _LOOK, problem)
            with suppress(Gone):
                await self._look(folder, {""})
            await asyncio.sleep(_LOOK)

    async def _follow(self, folder: Folder) -> None:
        from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  # its stop_event names anyio's type

        ready, identity = asyncio.Event(), await asyncio.to_thread(_identify, folder)
        first = asyncio.create_task(self._look(folder, {""}, ready))
        first.add_done_callback(lambda look: look.cancelled() or look.exception())  # looked at, whoever ends first
        try:
            # The watch begins before the first look, so that nothing slips between them.
            changes = awatch(
                folder.path, watch_filter=None, debounce=_GATHER, step=50, rust_timeout=1000, yield_on_timeout=True
            )
            async for found in changes:
                ready.set()
                if first.done():
                    first.result()
                if await asyncio.to_thread(_identify, folder) != identity:
                    raise FileNotFoundError("it is not the directory that it was")
                places = {place for _, path in found if (place := folder.place(Path(path))) is not None}
                if places:
                    await first
                    await self._look(folder, _topmost(places))
        finally:
            first.cancel()

    async def _look(self, folder: Folder, places: Iterable[str], ready: asyncio.Event | None = None) -> None:
        collection = _name(folder)
        if ready is not None:
            await ready.wait()
        tally = Tally()
        # Together, since a write takes time however little it is of: a checkout changes hundreds of files at once.
        await self._persist(lambda: self._indexer.update(folder, [*places], collection, _ALL, tally))
        self._indexer.store.filling.discard((collection, folder.path))
        for path, problem in tally.skipped:
            logger.info("%s is not indexed: %s", path, problem)
        if tally.created or tally.updated or tally.deleted:
            self._changed(collection)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Try until it is done: another server may hold the lock, a disk may be full for a while."""
        while True:
            try:
                return await work()
            except Gone:
                raise
            except (Refusal, OSError, sqlite3.Error) as problem:
                logger.warning("watching goes on in %g s: %s", _RETRY, problem)
                await asyncio.sleep(_RETRY)


def _identify(folder: Folder) -> tuple[int, int] | None:
    """What tells a directory from another one of its name; None where there is none."""
    try:
        found = folder.path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _name(folder: Folder) -> str:
    return folder.collection or DEFAULT_COLLECTION


def _topmost(places: set[str]) -> list[str]:
    """Leave out what lies in another of the places."""
    return [each for each in sorted(places) if places.isdisjoint(_outer(each))]


def _outer(place: str) -> Iterator[str]:
    """The directories that a place lies in."""
    while place:
        place = place.rpartition("/")[0]
        yield place
