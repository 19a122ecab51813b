"""Both indexes of one data directory: opened together, written under one lock, kept in step."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from .embedders import Choice
from .keywords import Entry, Keywords, Pending
from .lock import WriteLock
from .preparation import Preparation, Report
from .refusals import Busy, Refusal
from .vectors import HEADING, PAGE, Chroma, Chunk, Collection

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_THREADS: Final = 4
_KEYWORDS: Final = "keywords.sqlite3"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are, and what may be done with them."""

    folder: Path
    embedder: Choice
    url: str | None = None
    read_only: bool = False


class Engine:
    """Chroma, the keyword index and the embedder; `redo` does a write again that was begun and not finished."""

    def __init__(self, settings: Settings, redo: Callable[[Pending], Awaitable[None]]) -> None:
        self.settings = settings
        self.preparation = Preparation(settings.embedder)
        self.chroma = Chroma(settings.folder, settings.url)
        self._redo = redo
        self._lock = WriteLock(settings.folder)
        self._keywords: Keywords | None = None
        self._opening = asyncio.Lock()
        self._seen = ""
        self.unfinished: set[asyncio.Task[object]] = set()
        self._loaded: set[str] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="chroma")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def finish(self, work: Coroutine[object, None, T]) -> T:
        """Do what may write to its end even when its caller goes away, since threads cannot be called back."""
        task = asyncio.create_task(work)
        self.unfinished.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except sqlite3.Error as error:
            raise Refusal(
                f"The keyword index in {self.settings.folder} cannot be written: {error}. See to its disk, then call "
                "again; what was acknowledged is kept."
            ) from error

    def _forget(self, task: asyncio.Task[object]) -> None:
        self.unfinished.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone and not ask

    @property
    def keywords(self) -> Keywords:
        """The keyword index; after `open`."""
        if self._keywords is None:
            raise RuntimeError("not open")
        return self._keywords

    # --- reading ---

    async def open(self, report: Report | None = None) -> None:
        """Be ready to read, in step with what others wrote, as far as they let us."""
        await self.preparation.chroma(report)
        if self._keywords is None or await self.call(self.chroma.stamp) != self._seen:
            await self.finish(self._open())

    async def _open(self) -> None:
        async with self._opening:
            if self._keywords is None:
                await self._open_both()
            elif await self.call(self.chroma.stamp) != self._seen:
                with suppress(Busy):  # somebody is writing: what was there before is still a good answer
                    async with self._lock.hold("catching up", patience=0):
                        await self._catch_up()

    async def load(self, collection: Collection) -> None:
        """Have Chroma load a collection's vectors: when it does so it may write, so that must not meet a writer."""
        if collection.uuid in self._loaded or self.settings.url is not None or collection.dimension is None:
            return
        with suppress(Busy):
            async with self._lock.hold("loading", patience=1):
                await self.call(self.chroma.settle, collection, [1.0] * collection.dimension)
                await self._record()
        self._loaded.add(collection.uuid)

    async def check_step(self, collection: Collection) -> None:
        """Behind a URL others write without our noticing: compare the counts at least."""
        if self.settings.url is None:
            return
        chunks, _ = await self.keywords.count(collection.uuid)
        if await self.call(self.chroma.count, collection) != chunks:
            async with self._lock.hold("catching up"):
                await self._bring_in_step(collection)

    # --- writing ---

    @asynccontextmanager
    async def writing(self, purpose: str) -> AsyncGenerator[None]:
        """Be the only one who writes, with everything before it finished; raises `Busy`."""
        if self.settings.read_only:
            raise Refusal("This server was started with --read-only: nothing can be changed.")
        await self.open()
        async with self._lock.hold(purpose):
            await self._catch_up()
            try:
                yield
            finally:
                await self._record()

    async def close(self) -> None:
        """End: what is under way may finish, or is finished by whoever opens the directory next."""
        if self.unfinished:
            await asyncio.wait(self.unfinished, timeout=0.4)
        keywords, self._keywords = self._keywords, None
        if keywords is not None:
            await keywords.close()
            await self.call(self.chroma.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _open_both(self) -> None:
        folder = self.settings.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refusal(f"The data directory {folder} cannot be made: {error.strerror}.") from error
        known = (folder / _KEYWORDS).exists() and (
            self.settings.url is not None or await self.call(self.chroma.stamp) != ""
        )
        try:
            async with self._lock.hold("opening", patience=1 if known else 5):
                await self._open_files()
                await self._catch_up()
        except Busy:
            if not known:
                raise
            await self._open_files()
            self._seen = "behind"  # catch up when the other is done

    async def _open_files(self) -> None:
        if self._keywords is not None:
            return
        await self.call(self.chroma.open)
        try:
            self._keywords = await Keywords.open(self.settings.folder / _KEYWORDS)
        except (sqlite3.Error, OSError) as error:
            raise Refusal(
                f"The keyword index {self.settings.folder / _KEYWORDS} cannot be opened ({error}): it can be deleted, "
                "and is built again from Chroma."
            ) from error

    async def _catch_up(self) -> None:
        """Under the lock: see what others wrote, finish what they could not, mend what went past this index."""
        stamp = await self.call(self.chroma.stamp)
        if stamp != self._seen and self._seen:
            await self.call(self.chroma.reopen)
            self._loaded.clear()
        if stamp != self._seen and await self.keywords.recall("stamp") != stamp:
            await self._bring_all_in_step()
        for collection, document in await self.keywords.unsettled():
            pending = await self.keywords.pending(collection, document)
            if pending is None:
                continue
            try:
                await self._redo(pending)
            except Refusal as refusal:  # needs another embedder, say: it stays on record for a server that has it
                logger.warning("an unfinished write of %r waits: %s", document, refusal)
        if stamp != self._seen:
            await self._record()

    async def _record(self) -> None:
        """Remember what Chroma's file looks like when both indexes are in step."""
        self._seen = await self.call(self.chroma.stamp)
        with suppress(sqlite3.Error):  # a full disk, say: then everything is compared again next time
            await self.keywords.remember("stamp", self._seen)

    async def _bring_all_in_step(self) -> None:
        for collection in await self.call(self.chroma.collections):
            await self._bring_in_step(collection)

    async def _bring_in_step(self, collection: Collection) -> None:
        """Make the keyword index hold what Chroma holds."""
        await self.keywords.add_collection(collection.uuid)
        left = await self.keywords.hashes(collection.uuid)
        offset = 0
        while True:
            page = await self.call(self.chroma.select, collection, PAGE, offset)
            entries = [to_entry(chunk) for chunk in page]
            await self._replace(collection, [each for each in entries if left.pop(each.chunk, None) != each.hash])
            offset += len(page)
            if len(page) < PAGE:
                break
        if left:
            async with self.keywords.writing():
                await self.keywords.remove_chunks(collection.uuid, left)

    async def _replace(self, collection: Collection, entries: Sequence[Entry]) -> None:
        if entries:
            async with self.keywords.writing():
                await self.keywords.remove_chunks(collection.uuid, [entry.chunk for entry in entries])
                await self.keywords.put(collection.uuid, entries)


def to_entry(chunk: Chunk) -> Entry:
    """What the keyword index keeps of a chunk."""
    heading = str(chunk.metadata.get(HEADING, ""))
    text = f"{heading}\n{chunk.text}" if heading and heading not in chunk.text else chunk.text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return Entry(chunk.id, chunk.document, digest, text)


def to_entries(chunks: Iterable[Chunk]) -> list[Entry]:
    """What the keyword index keeps of chunks."""
    return [to_entry(chunk) for chunk in chunks]
