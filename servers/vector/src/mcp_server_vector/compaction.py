"""Collections written anew without what was deleted from them, in quiet moments.

Chroma's graph of vectors keeps those that were deleted as ways through, for ever: files, memory, and the time that a
write or a search takes grow with every document that is replaced. A collection of which most vectors are deleted is
copied, chunk by chunk and vector by vector, into another that then takes its name. Nothing is embedded again.

Until the copy is whole, and says so, the collection is what it was. Then it is deleted, which Chroma does at once or
not at all, and the copy gets its name; a process that dies in between leaves a whole copy whose collection is gone,
which whoever opens the directory next gives the name. Any other copy that is found is dropped.

Python stands still while Chroma copies a page, a tenth of a second, and while it deletes a collection, three seconds
for 20,000 chunks. So larger ones are left as they are.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import Final

from .chunks import Collection
from .engine import Engine
from .refusals import Busy

logger = logging.getLogger(__name__)

QUIET: Final = 10.0  # seconds without a write
_LONGEST: Final = 360  # times as long are waited, where somebody wrote again and again before it was done
MOST: Final = 20_000  # chunks of a collection
_PAGE: Final = 50  # chunks copied until it is looked whether somebody waits
_ROOM: Final = 2  # times what the data directory holds must be free


class Compaction:
    """Waits until nobody writes; gives way to whoever wants to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: asyncio.Task[None] | None = None
        self._patience = 1

    def schedule(self) -> None:
        """Compact in a quiet moment what is worn, if anything is; called after each write."""
        self.cancel()
        if self._engine.worn:
            self._waiting = asyncio.create_task(self._wait())

    def cancel(self) -> None:
        """Wait no longer. What is under way is not stopped by this."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait(self) -> None:
        while self._engine.worn and not self._engine.is_closing:
            await asyncio.sleep(QUIET * self._patience)
            await self._engine.finish(self.run())

    async def run(self) -> None:
        """Compact what is worn, unless somebody else writes."""
        for name in sorted(self._engine.worn):
            try:
                await self._compact(name)
            except Busy:
                self._patience = min(self._patience * 2, _LONGEST)
                return
            except Exception as problem:
                if not self._engine.is_closing:
                    logger.warning(
                        "the collection %s could not be compacted, and nothing of it is lost: %s", name, problem
                    )
            self._engine.worn.discard(name)
        self._patience = 1

    async def _compact(self, name: str) -> None:
        engine = self._engine
        async with engine.writing(f"compacting {name}"):
            await self.settle()  # a full disk may have ended the last one in the midst
            collection = await engine.call(engine.chroma.find, name)
            if collection is None or not await engine.call(self._has_room):
                return
            collection = await engine.load(collection)
            if await engine.call(engine.chroma.count, collection) > MOST:
                return
            written = await engine.last_write(collection)
            with engine.watched():
                copy = await engine.call(engine.chroma.begin_copy, collection)
            if copy is None:
                return
            whole = await self._copy(collection, await engine.load(copy))
            # Other programs may write to it without the lock.
            if whole and written is not None and written == await engine.last_write(collection):
                await self._exchange(collection, copy)
            else:
                await self._drop(copy)
                if engine.is_wanted():
                    raise Busy("Somebody waits to write.")

    async def _copy(self, collection: Collection, copy: Collection) -> bool:
        """Copy all chunks; False when somebody wants to write meanwhile, or they became others."""
        engine, offset, copied = self._engine, 0, -1
        while copied and not engine.is_wanted():
            with engine.watched():
                copied = await engine.call(engine.chroma.copy, collection, copy, _PAGE, offset)
            await engine.keep(copy)
            offset += copied
        return not copied and offset == await engine.call(engine.chroma.count, collection)

    async def _exchange(self, collection: Collection, copy: Collection) -> None:
        async with self._engine.alone():
            with self._engine.watched():
                copy = await self._engine.call(self._engine.chroma.call_whole, copy, collection)
            await self._drop(collection)
            await self._finish(copy)
            await self._engine.reopen()

    async def _finish(self, copy: Collection) -> None:
        await self._engine.keywords.rename_collection(copy.copy_of or "", copy.uuid)
        with self._engine.watched():
            await self._engine.call(self._engine.chroma.finish_copy, copy)

    async def _drop(self, collection: Collection) -> None:
        with self._engine.watched():
            await self._engine.call(self._engine.chroma.drop, collection)

    async def settle(self) -> None:
        """Under the lock: finish or drop what a process left that ended in the midst."""
        engine = self._engine
        if engine.settings.url is not None:
            return
        for copy in await engine.call(engine.chroma.copies):
            if copy.copy_of is not None and await engine.call(engine.chroma.find, copy.stands_for or "") is None:
                await self._finish(copy)
            else:
                await self._drop(copy)

    def _has_room(self) -> bool:
        folder = self._engine.settings.folder
        held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return shutil.disk_usage(folder).free > _ROOM * held
