"""Both indexes of one data directory: opened together, written under one lock, kept in step."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from .chunks import Chunk, Collection
from .keywords import Keywords, Pending, refuse
from .lock import Gate, WriteLock
from .preparation import Preparation, Report
from .refusals import Busy, Missing, Refusal
from .safekeeping import Safekeeping, Saved
from .settings import Settings
from .step import bring_in_step, check_not_lost
from .vectors import PAGE, Chroma, Glance, Stamp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_THREADS: Final = 4
_KEYWORDS: Final = "keywords.sqlite3"
WORN: Final = 5_000  # vectors, deleted ones too: with fewer nothing takes long
WORN_SHARE: Final = 5  # of them for each that is there


class Engine:
    """Chroma, the keyword index and the embedder.

    Under the lock, `redo` does a write again that was begun and not finished, `settle` sees to copies that were left.
    """

    def __init__(
        self, settings: Settings, redo: Callable[[Pending], Awaitable[None]], settle: Callable[[], Awaitable[None]]
    ) -> None:
        self.settings = settings
        self.preparation = Preparation(settings.embedder)
        self.chroma = Chroma(settings.folder, settings.url)
        self._redo = redo
        self._settle = settle
        self.is_closing = False
        self._lock = WriteLock(settings.folder)
        self._gate = Gate()
        self._safekeeping = Safekeeping(settings.folder)
        self._keywords: Keywords | None = None
        self._opening = asyncio.Lock()
        self._seen: tuple[Glance | None, int] | None = None
        self._stamp: tuple[Stamp, int] | None = None
        self._failed = False
        self.unfinished: set[asyncio.Task[object]] = set()
        self.worn: set[str] = set()
        """Names of collections that hold many more deleted vectors than others."""
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
            raise refuse(error, self.settings.folder / _KEYWORDS) from error

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
        if self._keywords is None or not self.chroma.is_open or self._glance() != self._seen:
            await self.finish(self._open())

    async def _open(self) -> None:
        async with self._opening:
            if self._keywords is None:
                await self._open_both()
                return
            if not self.chroma.is_open:  # it could not be opened again after a mending, on a full disk say
                await self.call(self.chroma.open)
            if self._glance() != self._seen and not self._failed:
                with suppress(Busy):  # somebody is writing: what was there before is still a good answer
                    async with self._lock.hold("catching up", patience=0):
                        await self._catch_up()

    @asynccontextmanager
    async def steady(self) -> AsyncGenerator[None]:
        """Read while nothing is reopened underneath; whoever is inside must not wait for the lock."""
        await self.open()
        async with self._gate.together():
            try:
                yield
            except sqlite3.Error as error:
                raise refuse(error, self.settings.folder / _KEYWORDS) from error

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncGenerator[Collection | None]:
        """A collection, if there is one, ready for chunks to be read; raises `Busy`."""
        if self.settings.url is not None:
            await self.open()
            await self.finish(self._check_step(name))
        while True:
            async with self.steady():
                collection = await self.call(self.chroma.find, name)
                if collection is None or self._is_loaded(collection):
                    yield collection
                    return
            await self.finish(self._load_to_read(name))

    async def _load_to_read(self, name: str) -> None:
        async with self.undisturbed(name):
            pass

    @asynccontextmanager
    async def undisturbed(self, name: str) -> AsyncGenerator[Collection | None]:
        """A collection, if there is one, in its latest state, while nobody writes; inside `finish`. Raises `Busy`."""
        async with self._lock.hold(f"loading {name}"):
            await self._recover()
            await self._catch_up()
            collection = await self.call(self.chroma.find, name)
            if collection is not None:
                collection = await self.load(collection)
                await self._record()
            yield collection

    def _is_loaded(self, collection: Collection) -> bool:
        return self.settings.url is not None or collection.uuid in self._loaded

    # --- writing ---

    @asynccontextmanager
    async def writing(self, purpose: str) -> AsyncGenerator[None]:
        """Be the only one who writes, with everything before it finished; raises `Busy`."""
        if self.settings.read_only:
            raise Refusal("This server was started with --read-only: nothing can be changed.")
        await self.open()
        async with self._lock.hold(purpose):
            await self._recover()
            await self._catch_up()
            try:
                yield
            finally:
                await self._record()

    async def load(self, collection: Collection) -> Collection:
        """Under the lock: have Chroma load a collection's vectors, which may save them too, and mend them before.

        Until this was done not even a text may be read, since Chroma loads the vectors for that as well.
        """
        if self._is_loaded(collection):
            return collection
        saved = await self._read_saved(collection)
        if saved is not None and await self.call(self._safekeeping.is_torn, saved):
            await self._mend(collection, saved)
            found = await self.call(self.chroma.find, collection.name)
            if found is None:
                raise Missing(f"The collection {collection.name} was deleted meanwhile: call list_collections.")
            collection = found
        await self.keep(collection)
        with self.watched():
            await self.call(self.chroma.count, collection)
        await self.keep(collection)
        self._loaded.add(collection.uuid)
        return collection

    async def _mend(self, collection: Collection, saved: Saved) -> None:
        async with self.alone():
            await self.call(self.chroma.close)
            self._loaded.clear()
            try:
                with self._disk():
                    await self.call(self._safekeeping.restore, collection.uuid, saved)
            finally:
                await self.call(self.chroma.open)
        logger.warning(
            "the vector index of %s was damaged, as by a kill while it was saved: its last whole copy is back in "
            "place, and what was written since is added from Chroma's log",
            collection.name,
        )

    async def replace(
        self, collection: Collection, chunks: Sequence[Chunk], vectors: Vectors, old: Sequence[str]
    ) -> None:
        """Write chunks into Chroma, in place of old ones; the collection is loaded, and the lock held."""
        async with self.alone() if old else nullcontext():  # nobody here looks while neither is there
            with self.watched():
                await self.call(self.chroma.replace, collection, chunks, vectors, old)
        await self.keep(collection)

    async def remove(self, collection: Collection, ids: Sequence[str]) -> None:
        """Delete chunks from Chroma; the collection is loaded, and the lock held."""
        for start in range(0, len(ids), PAGE):
            with self.watched():
                await self.call(self.chroma.delete, collection, ids[start : start + PAGE])
            await self.keep(collection)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While nobody here reads; new ones wait."""
        return self._gate.alone()

    async def keep(self, collection: Collection) -> None:
        """After a write: copy the files of vectors if Chroma has saved them, and see whether they are worn."""
        if self.settings.url is not None or not self._safekeeping.is_news(collection.uuid):
            return
        saved = await self._read_saved(collection)
        if saved is not None:
            with self._disk():
                await self.call(self._safekeeping.keep, collection.uuid, saved)
            vectors = await self.call(self._safekeeping.count_vectors, saved)
            if vectors >= WORN and collection.stands_for is None:
                chunks, _ = await self.keywords.count(collection.uuid)
                if vectors >= WORN_SHARE * chunks:
                    self.worn.add(collection.name)

    def is_wanted(self) -> bool:
        """Whether somebody waits to write, or the end has come; asked by whoever holds the lock."""
        return self.is_closing or self._lock.is_wanted()

    async def last_write(self, collection: Collection) -> str | None:
        """What changes with each write to a collection, other programs' too."""
        async with self.alone():
            return await self.call(self._safekeeping.last_write, collection.uuid)

    async def reopen(self) -> None:
        """Let go of all that Chroma has in memory, and of the files of collections that are gone; inside `alone`."""
        self._loaded.clear()
        await self.call(self.chroma.reopen)
        await self.call(self._safekeeping.tidy)

    async def _read_saved(self, collection: Collection) -> Saved | None:
        async with self.alone():
            return await self.call(self._safekeeping.read, collection.uuid)

    @contextmanager
    def watched(self) -> Generator[None]:
        """Where Chroma failed to write, on a full disk say, it is not written with again: see `_recover`."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    @contextmanager
    def _disk(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise Refusal(
                f"The data directory {self.settings.folder} cannot be written to: {error.strerror}. See to its disk, "
                "then call again; what was acknowledged is kept."
            ) from error

    async def close(self) -> None:
        """End: what is under way may finish, or is finished by whoever opens the directory next."""
        self.is_closing = True
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
        known = (folder / _KEYWORDS).exists() and (self.settings.url is not None or self.chroma.glance() is not None)
        try:
            async with self._lock.hold("opening", patience=1 if known else 5):
                await self._open_files()
                await self.call(self._safekeeping.tidy)
                await self._catch_up()
        except Busy:
            if not known:
                raise
            await self._open_files()

    async def _open_files(self) -> None:
        if self._keywords is not None:
            return
        keywords = await Keywords.open(self.settings.folder / _KEYWORDS)
        try:
            await check_not_lost(keywords, self.chroma, self.settings.folder)
            await self.call(self.chroma.open)
        except BaseException:
            await keywords.close()
            raise
        self._keywords = keywords

    async def _recover(self) -> None:
        """Under the lock: after a write of Chroma failed, open it anew, once there is room on the disk again.

        To write on with what is open may wait for a lock that it holds itself, for a quarter of an hour and with the
        interpreter's lock in its hands. What only reads goes on with it.
        """
        if not self._failed:
            return
        await check_not_lost(self.keywords, self.chroma, self.settings.folder)
        with self._disk():
            await self.call(self._safekeeping.find_room)
        async with self.alone():
            self._loaded.clear()
            await self.call(self.chroma.reopen)
        self._failed, self._seen, self._stamp = False, None, None

    async def _catch_up(self) -> None:
        """Under the lock: see what others wrote, finish what they could not, mend what went past this index."""
        changed = self._glance() != self._seen
        if changed:
            await self._compare()
        unsettled = await self.keywords.unsettled()
        for collection, document in unsettled:
            pending = await self.keywords.pending(collection, document)
            if pending is None:
                continue
            try:
                await self._redo(pending)
            except (Refusal, sqlite3.Error) as problem:  # another embedder is needed, or room: it stays on record
                if self._failed:
                    raise
                logger.warning("an unfinished write of %r waits: %s", document, problem)
        if changed or unsettled:
            await self._record()

    async def _compare(self) -> None:
        await check_not_lost(self.keywords, self.chroma, self.settings.folder)
        async with self.alone():
            stamp = await self._read_stamp()
            if self._stamp is not None and stamp != self._stamp:
                await self.call(self.chroma.reopen)
                self._loaded.clear()
        await self._settle()
        if await self.keywords.recall("stamp") != stamp[0].content:
            for collection in await self.call(self.chroma.collections):
                await bring_in_step(self.keywords, collection, self._pages(await self.load(collection)))

    def _glance(self) -> tuple[Glance | None, int]:
        """What is seen of the files from outside, which takes no lock; by this others are told."""
        return self.chroma.glance(), self._safekeeping.glance()

    async def _read_stamp(self) -> tuple[Stamp, int]:
        return await self.call(self.chroma.stamp), self._safekeeping.glance()

    async def _record(self) -> None:
        """Remember what is in Chroma when both indexes are in step."""
        async with self.alone():
            stamp = await self._read_stamp()
        self._stamp, self._seen = stamp, self._glance()
        with suppress(sqlite3.Error):  # a full disk, say: then everything is compared again next time
            await self.keywords.remember("stamp", stamp[0].content)

    async def _check_step(self, name: str) -> None:
        """Behind a URL others write without our noticing: compare the counts at least."""
        collection = await self.call(self.chroma.find, name)
        if collection is None:
            return
        chunks, _ = await self.keywords.count(collection.uuid)
        if await self.call(self.chroma.count, collection) != chunks:
            async with self._lock.hold("catching up"):
                await bring_in_step(self.keywords, collection, self._pages(collection))

    async def _pages(self, collection: Collection) -> AsyncGenerator[list[Chunk]]:
        """All chunks of a collection, which is loaded."""
        offset = 0
        while page := await self.call(self.chroma.select, collection, PAGE, offset):
            yield page
            offset += len(page)
