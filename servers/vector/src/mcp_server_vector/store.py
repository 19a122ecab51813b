"""The store: documents in, passages out."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from . import passages
from .chunks import DOCUMENT, START, Chunk, Collection, check_embedder
from .compaction import Compaction
from .engine import Engine
from .keywords import Pending
from .preparation import Report
from .records import Document, Hit, Indexed, Overview
from .refusals import Mismatch, Missing, Stale
from .rules import Filter, check_collection, check_filter, check_id, check_query
from .search import Question, Search
from .settings import Settings
from .vectors import PAGE
from .writing import Draft, Writer

DEFAULT_COLLECTION: Final = "documents"


class Store:
    """Collections of documents, in Chroma for what they mean and in a keyword index for what they say."""

    def __init__(self, settings: Settings) -> None:
        self.engine = Engine(settings, self._redo, self._settle)
        self._writer = Writer(self.engine)
        self._search = Search(self.engine)
        self.compaction = Compaction(self.engine)
        self.filling: set[tuple[str, Path]] = set()
        """Collections with the watched directories whose files are not all indexed yet."""

    async def _redo(self, pending: Pending) -> None:
        await self._writer.redo(pending)

    async def _settle(self) -> None:
        await self.compaction.settle()

    async def prepare(self, report: Report | None = None, *, embedder: bool = True) -> None:
        """Wait for what is loaded behind the handshake."""
        await self.engine.open(report)
        if embedder:
            await self.engine.preparation.embedder(report)

    def is_filling(self, collection: str) -> bool:
        """Whether the watched files of a collection are still being indexed for the first time."""
        return any(name == collection for name, _ in self.filling)

    async def check(self) -> None:
        """Read from both indexes, once all is loaded."""
        await self.prepare()
        async with self.engine.steady():
            found = await self.engine.call(self.engine.chroma.collections)
            await self.engine.keywords.documents(found[0].uuid if found else "", 1)

    async def close(self) -> None:
        """End."""
        self.compaction.cancel()
        await self.engine.close()

    # --- writing ---

    async def index(self, collection: str, draft: Draft) -> Indexed:
        """Index a document, once: what is there already in this very form is left alone."""
        (indexed,) = await self.index_all(collection, [draft])
        return indexed

    async def index_all(self, collection: str, drafts: Sequence[Draft]) -> list[Indexed]:
        """Index several documents at once, which takes much less time; each id may come once."""
        check_collection(collection)
        try:
            return await self.engine.finish(self._writer.index(collection, drafts))
        finally:
            self.compaction.schedule()

    async def delete(self, collection: str, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Delete documents; returns those that are gone now and those that were not there."""
        async with self.engine.steady():
            await self._find(collection)
        checked = [check_id(each) for each in dict.fromkeys(ids)]
        try:
            return await self.engine.finish(self._writer.delete(collection, checked))
        finally:
            self.compaction.schedule()

    # --- reading ---

    async def search(self, collection: str, query: str, question: Question) -> list[Hit]:
        """Find passages, the best first."""
        query = check_query(query)
        try:
            async with self._reading(collection) as found:
                return await self._search.run(found, query, question)
        except Stale:
            return await self.engine.finish(self._search_undisturbed(collection, query, question))

    async def _search_undisturbed(self, collection: str, query: str, question: Question) -> list[Hit]:
        async with self.engine.undisturbed(collection) as found:
            if found is None:
                raise await self._miss(collection)
            return await self._search.run(found, query, question)

    async def collections(self) -> list[Overview]:
        """Every collection."""
        async with self.engine.steady():
            return [await self._look(each) for each in await self.engine.call(self.engine.chroma.collections)]

    async def look(self, name: str) -> Overview:
        """One collection."""
        async with self.engine.steady():
            return await self._look(await self._find(name))

    async def _look(self, collection: Collection) -> Overview:
        chunks, documents = await self.engine.keywords.count(collection.uuid)
        try:
            check_embedder(collection, self.engine.settings.embedder.name)
            problem = None
        except Mismatch as mismatch:
            problem = str(mismatch)
        return Overview(
            collection.name, documents, chunks, collection.embedder, collection.dimension, collection.distance, problem
        )

    async def names(self) -> list[str]:
        """The names of the collections."""
        async with self.engine.steady():
            return [each.name for each in await self.engine.call(self.engine.chroma.collections)]

    async def ids(self, collection: str, limit: int, prefix: str = "") -> list[str]:
        """The ids of a collection's documents, those that begin so."""
        async with self.engine.steady():
            return await self.engine.keywords.documents((await self._find(collection)).uuid, limit, prefix)

    async def ids_under(self, collection: str, path: str) -> list[str]:
        """The ids of documents that are this file, or files in this directory."""
        async with self.engine.steady():
            uuid = (await self._find(collection)).uuid
            inside = await self.engine.keywords.documents(uuid, -1, path.rstrip(os.sep) + os.sep)
            return [*(each for each in await self.engine.keywords.documents(uuid, 1, path) if each == path), *inside]

    async def marks(self, collection: str) -> dict[str, tuple[int, int]]:
        """Sizes and times of the files that were indexed."""
        await self.engine.open()
        return await self.engine.keywords.marks(collection)

    async def get(self, collection: str, ids: Sequence[str] | None, where: Filter | None, limit: int) -> list[Document]:
        """Documents by their ids, or by a filter, or just some."""
        condition = check_filter(where, "where")
        documents: list[Document] = []
        async with self._reading(collection) as found:
            async for each in self._candidates(found, ids, condition, limit):
                chunks = await self._chunks_of(found, each)
                if not chunks or (ids is not None and condition and not await self._meets(found, chunks, condition)):
                    continue
                text = passages.join((chunk.number(START), chunk.text) for chunk in chunks)
                documents.append(Document(each, text, chunks[0].given, len(chunks)))
                if len(documents) == limit:
                    break
        return documents

    async def _candidates(
        self, collection: Collection, ids: Sequence[str] | None, condition: Filter | None, limit: int
    ) -> AsyncIterator[str]:
        if ids is not None:
            for each in ids:
                yield check_id(each)
            return
        seen: set[str] = set()
        offset, page = 0, min(PAGE, limit * 4)
        while True:
            chunks = await self.engine.call(self.engine.chroma.select, collection, page, offset, where=condition)
            for chunk in chunks:
                if chunk.document not in seen:
                    seen.add(chunk.document)
                    yield chunk.document
            offset += len(chunks)
            if len(chunks) < page:
                return

    async def _meets(self, collection: Collection, chunks: Sequence[Chunk], condition: Filter) -> bool:
        ids = [chunk.id for chunk in chunks]
        return bool(await self.engine.call(self.engine.chroma.get, collection, ids, where=condition))

    async def _chunks_of(self, collection: Collection, document: str) -> list[Chunk]:
        """All chunks of a document, in order; an item that others stored is a document of one chunk."""
        chroma = self.engine.chroma
        found = await self.engine.call(chroma.select, collection, None, 0, where={DOCUMENT: document})
        if not found:
            found = await self.engine.call(chroma.get, collection, [document])
            found = [chunk for chunk in found if DOCUMENT not in chunk.metadata]
        return sorted(found, key=lambda chunk: chunk.position)

    @asynccontextmanager
    async def _reading(self, name: str) -> AsyncGenerator[Collection]:
        async with self.engine.reading(check_collection(name)) as found:
            if found is None:
                raise await self._miss(name)
            yield found

    async def _find(self, name: str) -> Collection:
        found = await self.engine.call(self.engine.chroma.find, check_collection(name))
        if found is None:
            raise await self._miss(name)
        return found

    async def _miss(self, name: str) -> Missing:
        if self.is_filling(name):
            return Missing(f"The collection {name} is being made of the watched files: try again in a moment.")
        names = [each.name for each in await self.engine.call(self.engine.chroma.collections)]
        there = f"there are: {', '.join(names[:20])}" if names else "there is none yet; index_document makes one"
        return Missing(f"There is no collection {name}; {there}.")
