"""The store: documents in, passages out."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

from . import passages
from .embedders import Embedder
from .engine import Engine, Settings, to_entries
from .keywords import Pending
from .preparation import Report
from .records import Document, Hit, Indexed, Outcome, Overview
from .refusals import Mismatch, Missing
from .rules import (
    Filter,
    Metadata,
    Scalar,
    check_collection,
    check_filter,
    check_id,
    check_metadata,
    check_query,
    check_text,
    fingerprint,
    make_id,
)
from .search import Question, Search
from .vectors import CHUNK, CHUNKS, DOCUMENT, HASH, HEADING, PAGE, START, Chunk, Collection, check_embedder, chunk_id

DEFAULT_COLLECTION: Final = "documents"
_BATCH: Final = 128  # passages embedded and written at a time


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is to be indexed."""

    id: str
    text: str
    metadata: Metadata
    hash: str

    @classmethod
    def make(cls, text: str, metadata: Mapping[str, object] | None = None, identifier: str | None = None) -> Draft:
        """Check a document; raises `Refusal`."""
        text = check_text(text)
        checked = check_metadata(metadata or {})
        chosen = make_id(text) if identifier is None else check_id(identifier)
        return cls(chosen, text, checked, fingerprint(text, checked))


class Store:
    """Collections of documents, in Chroma for what they mean and in a keyword index for what they say."""

    def __init__(self, settings: Settings) -> None:
        self.engine = Engine(settings, self._redo)
        self._search = Search(self.engine)

    async def prepare(self, report: Report | None = None, *, embedder: bool = True) -> None:
        """Wait for what is loaded behind the handshake."""
        await self.engine.open(report)
        if embedder:
            await self.engine.preparation.embedder(report)

    async def close(self) -> None:
        """End."""
        await self.engine.close()

    # --- writing ---

    async def index(self, collection: str, draft: Draft) -> Indexed:
        """Index a document, once: what is there already in this very form is left alone."""
        check_collection(collection)
        return await self.engine.finish(self._index(collection, draft))

    async def delete(self, collection: str, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Delete documents; returns those that are gone now and those that were not there."""
        check_collection(collection)
        checked = [check_id(each) for each in dict.fromkeys(ids)]
        return await self.engine.finish(self._delete(collection, checked))

    async def _index(self, name: str, draft: Draft) -> Indexed:
        embedder = await self.engine.preparation.embedder()
        async with self.engine.writing(f"indexing into {name}"):
            collection = await self._load(name)
            status: Outcome = "created"
            if collection is not None:
                check_embedder(collection, embedder.name)
                first = await self.engine.call(self.engine.chroma.get, collection, [chunk_id(draft.id, 0)])
                if first and first[0].metadata.get(HASH) == draft.hash:
                    return Indexed(draft.id, name, "unchanged", first[0].number(CHUNKS, 1))
                status = "updated" if first else "created"
            body = {"text": draft.text, "metadata": draft.metadata, "hash": draft.hash}
            pending = Pending(name, draft.id, json.dumps(body))
            await self.engine.keywords.note(pending)
            chunks = await self._put(name, draft, embedder)
        return Indexed(draft.id, name, status, chunks)

    async def _put(self, name: str, draft: Draft, embedder: Embedder) -> int:
        """Write a document over whatever there is of it. May be done again at any point."""
        engine = self.engine
        collection = await self._load(name)
        old = [] if collection is None else await self._chunks_of(collection, draft.id)
        merged: dict[str, Scalar | None] = {key: None for chunk in old for key in chunk.metadata}
        total = sum(1 for _ in passages.split(draft.text))
        base = {**merged, **draft.metadata, DOCUMENT: draft.id, HASH: draft.hash, CHUNKS: total}
        pieces = passages.split(draft.text)
        batch = list(islice(pieces, _BATCH))
        vectors = await engine.call(embedder.embed, [piece.searchable for piece in batch])
        if collection is None:
            collection = await engine.call(engine.chroma.create, name, embedder.name, int(vectors.shape[1]))
            check_embedder(collection, embedder.name)
            collection = await engine.load(collection)
        await engine.keywords.add_collection(collection.uuid)
        async with engine.keywords.writing():
            await engine.keywords.remove(collection.uuid, draft.id)
            while batch:
                chunks = [to_chunk(draft.id, piece, base) for piece in batch]
                await engine.upsert(collection, chunks, vectors)
                await engine.keywords.remove_chunks(collection.uuid, [chunk.id for chunk in chunks])
                await engine.keywords.put(collection.uuid, to_entries(chunks))
                batch = list(islice(pieces, _BATCH))
                if batch:
                    vectors = await engine.call(embedder.embed, [piece.searchable for piece in batch])
            stale = [chunk.id for chunk in old if chunk.position >= total or chunk.id == draft.id]
            await engine.remove(collection, stale)
            await engine.keywords.settle(name, draft.id)
        return total

    async def _delete(self, name: str, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        engine = self.engine
        gone: list[str] = []
        async with engine.writing(f"deleting from {name}"):
            collection = await self.engine.load(await self._find(name))
            for each in ids:
                chunks = await self._chunks_of(collection, each)
                if not chunks:
                    continue
                await engine.keywords.note(Pending(name, each, "{}"))
                await self._take_out(collection, each, [chunk.id for chunk in chunks])
                gone.append(each)
        return gone, [each for each in ids if each not in gone]

    async def _take_out(self, collection: Collection, document: str, chunks: Sequence[str]) -> None:
        engine = self.engine
        await engine.remove(collection, chunks)
        await engine.keywords.add_collection(collection.uuid)
        async with engine.keywords.writing():
            await engine.keywords.remove(collection.uuid, document)
            await engine.keywords.settle(collection.name, document)

    async def _redo(self, pending: Pending) -> None:
        """Finish what a process that died had begun, under the lock."""
        body = json.loads(pending.body)
        if body:
            embedder = await self.engine.preparation.embedder()
            collection = await self.engine.call(self.engine.chroma.find, pending.collection)
            if collection is not None:
                check_embedder(collection, embedder.name)
            draft = Draft(pending.document, body["text"], body["metadata"], body["hash"])
            await self._put(pending.collection, draft, embedder)
            return
        collection = await self._load(pending.collection)
        if collection is not None:
            chunks = await self._chunks_of(collection, pending.document)
            await self._take_out(collection, pending.document, [chunk.id for chunk in chunks])

    # --- reading ---

    async def search(self, collection: str, query: str, question: Question) -> list[Hit]:
        """Find passages, the best first."""
        query = check_query(query)
        async with self._reading(collection) as found:
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

    async def ids(self, collection: str, limit: int) -> list[str]:
        """The ids of a collection's documents."""
        async with self.engine.steady():
            return await self.engine.keywords.documents((await self._find(collection)).uuid, limit)

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

    async def keep_mark(self, collection: str, path: str, mark: tuple[int, int]) -> None:
        """Remember the size and time of a file that was indexed."""
        await self.engine.keywords.keep_mark(collection, path, mark)

    async def get(self, collection: str, ids: Sequence[str] | None, where: Filter | None, limit: int) -> list[Document]:
        """Documents by their ids, or by a filter, or just some."""
        condition = check_filter(where, "where")
        documents: list[Document] = []
        async with self._reading(collection) as found:
            async for each in self._candidates(found, ids, condition, limit):
                chunks = await self._chunks_of(found, each, documents=True)
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

    async def _chunks_of(self, collection: Collection, document: str, *, documents: bool = False) -> list[Chunk]:
        """All chunks of a document, in order; an item that others stored is a document of one chunk."""
        chroma = self.engine.chroma
        include = ["metadatas", "documents"] if documents else ["metadatas"]
        found = await self.engine.call(chroma.select, collection, None, 0, where={DOCUMENT: document}, include=include)
        if not found:
            found = await self.engine.call(chroma.get, collection, [document], include=include)
            found = [chunk for chunk in found if DOCUMENT not in chunk.metadata]
        return sorted(found, key=lambda chunk: chunk.position)

    @asynccontextmanager
    async def _reading(self, name: str) -> AsyncGenerator[Collection]:
        async with self.engine.reading(check_collection(name)) as found:
            if found is None:
                raise await self._miss(name)
            yield found

    async def _load(self, name: str) -> Collection | None:
        """Under the lock: a collection, if there is one, with its vectors loaded."""
        found = await self.engine.call(self.engine.chroma.find, name)
        return None if found is None else await self.engine.load(found)

    async def _find(self, name: str) -> Collection:
        found = await self.engine.call(self.engine.chroma.find, check_collection(name))
        if found is None:
            raise await self._miss(name)
        return found

    async def _miss(self, name: str) -> Missing:
        names = [each.name for each in await self.engine.call(self.engine.chroma.collections)]
        there = f"there are: {', '.join(names[:20])}" if names else "there is none yet; index_document makes one"
        return Missing(f"There is no collection {name}; {there}.")


def to_chunk(document: str, piece: passages.Passage, metadata: Mapping[str, Scalar | None]) -> Chunk:
    """A passage as it is stored."""
    place: dict[str, Scalar | None] = {CHUNK: piece.position, START: piece.start, HEADING: piece.heading or None}
    return Chunk(chunk_id(document, piece.position), piece.text, {**metadata, **place})
