"""Documents into both indexes, several at a time, and out of them; any part may be done again."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from . import passages
from .chunks import CHUNKS, DOCUMENT, HASH, HEADING, START, Chunk, Collection, check_embedder, chunk_id
from .embedders import Embedder
from .engine import Engine
from .keywords import Pending
from .records import Indexed, Outcome
from .rules import Metadata, check_id, check_metadata, check_text, fingerprint, make_id
from .step import to_entries

_BATCH: Final = 250  # passages embedded and written at a time


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is to be indexed, with the size and time of the file that it was read from, if it was."""

    id: str
    text: str
    metadata: Metadata
    hash: str
    mark: tuple[int, int] | None = None

    @classmethod
    def make(cls, text: str, metadata: Mapping[str, object] | None = None, identifier: str | None = None) -> Draft:
        """Check a document; raises `Refusal`."""
        text = check_text(text)
        checked = check_metadata(metadata or {})
        chosen = make_id(text) if identifier is None else check_id(identifier)
        return cls(chosen, text, checked, fingerprint(text, checked))

    def note(self, collection: str) -> Pending:
        """What it takes to index it again."""
        return Pending(collection, self.id, json.dumps({"metadata": self.metadata, "hash": self.hash}), self.text)


@dataclass(frozen=True, slots=True)
class Layout:
    """A document in passages, and the metadata that all of them carry."""

    draft: Draft
    total: int
    pieces: Iterable[passages.Passage]
    metadata: Metadata

    @classmethod
    def make(cls, draft: Draft) -> Layout:
        """Cut a document; one of many passages is cut twice, so that they are never held all at once."""
        pieces = list(islice(passages.split(draft.text), _BATCH + 1))
        whole = len(pieces) <= _BATCH
        total = len(pieces) if whole else sum(1 for _ in passages.split(draft.text))
        own: Metadata = {DOCUMENT: draft.id} if total == 1 else {DOCUMENT: draft.id, CHUNKS: total}
        return cls(draft, total, pieces if whole else passages.split(draft.text), {**draft.metadata, **own})

    def chunks(self) -> Iterator[tuple[Chunk, str]]:
        """The passages as they are stored, each with what is embedded of it; what goes without saying is not said,
        since each key takes Chroma as long as a tenth of a passage."""
        for piece in self.pieces:
            place = dict(self.metadata)
            if piece.position == 0:
                place[HASH] = self.draft.hash
            if piece.start:
                place[START] = piece.start
            if piece.heading:
                place[HEADING] = piece.heading
            yield Chunk(chunk_id(self.draft.id, piece.position), piece.text, place), piece.searchable


class Writer:
    """Writes documents under the lock. What it begins is noted before, and struck out when both indexes have it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def index(self, name: str, drafts: Sequence[Draft]) -> list[Indexed]:
        """Index documents, each id once; what is there already in this very form is left alone."""
        embedder = await self._engine.preparation.embedder()
        async with self._engine.writing(f"indexing into {name}"):
            collection = await self._load(name)
            known: dict[str, Chunk] = {}
            if collection is not None:
                check_embedder(collection, embedder.name)
                firsts = [chunk_id(draft.id, 0) for draft in drafts]
                found = await self._engine.call(self._engine.chroma.get, collection, firsts, include=["metadatas"])
                known = {chunk.document: chunk for chunk in found}
            changed = [
                each for each in drafts if each.id not in known or known[each.id].metadata.get(HASH) != each.hash
            ]
            totals: dict[str, int] = {}
            if changed:
                await self._engine.keywords.note([draft.note(name) for draft in changed])
                totals = await self._put(name, changed, embedder)
            # Still under the lock: what others write under these ids strikes the marks out again.
            marks = {draft.id: draft.mark for draft in drafts if draft.mark is not None}
            await self._engine.keywords.keep_marks(name, marks)
        answers: list[Indexed] = []
        for draft in drafts:
            status: Outcome = "created" if draft.id not in known else "updated" if draft.id in totals else "unchanged"
            total = totals[draft.id] if draft.id in totals else known[draft.id].number(CHUNKS, 1)
            answers.append(Indexed(draft.id, name, status, total))
        return answers

    async def delete(self, name: str, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Delete documents; returns those that are gone now and those that were not there."""
        engine = self._engine
        async with engine.writing(f"deleting from {name}"):
            collection = await self._load(name)
            there = {} if collection is None else await self._chunks_of(collection, ids)
            for of, document in await engine.keywords.unsettled():  # begun and not finished: it is not to come back
                if of == name and document in ids:
                    there.setdefault(document, [])
            if collection is not None and there:
                await engine.keywords.note([Pending(name, each, "{}") for each in there])
                await self._take_out(collection, there)
        return [each for each in ids if each in there], [each for each in ids if each not in there]

    async def redo(self, pending: Pending) -> None:
        """Finish what a process that died had begun, under the lock."""
        body = json.loads(pending.body)
        collection = await self._load(pending.collection)
        if body:
            embedder = await self._engine.preparation.embedder()
            if collection is not None:
                check_embedder(collection, embedder.name)
            draft = Draft(pending.document, pending.text, body["metadata"], body["hash"])
            await self._put(pending.collection, [draft], embedder)
        elif collection is not None:
            there = await self._chunks_of(collection, [pending.document])
            await self._take_out(collection, {pending.document: [], **there})

    async def _put(self, name: str, drafts: Sequence[Draft], embedder: Embedder) -> dict[str, int]:
        """Write documents over whatever there is of them; returns how many passages each has."""
        engine = self._engine
        ids = [draft.id for draft in drafts]
        collection = await self._load(name)
        old = {} if collection is None else await self._chunks_of(collection, ids)
        there = {chunk.id for chunks in old.values() for chunk in chunks}
        layouts = [Layout.make(draft) for draft in drafts]
        waiting = (each for layout in layouts for each in layout.chunks())
        batch = list(islice(waiting, _BATCH))
        if collection is None:
            collection = await self._create(name, embedder, batch[0][1])
        await engine.keywords.add_collection(collection.uuid)
        async with engine.keywords.writing():
            await engine.keywords.remove(collection.uuid, ids)
            while batch:
                await self._write(collection, batch, there, embedder)
                chunks = [chunk for chunk, _ in batch]
                await engine.keywords.remove_chunks(collection.uuid, [chunk.id for chunk in chunks])
                await engine.keywords.put(collection.uuid, to_entries(chunks))
                batch = list(islice(waiting, _BATCH))
            totals = {layout.draft.id: layout.total for layout in layouts}
            await engine.remove(collection, list(_find_stale(old, totals)))
            await engine.keywords.settle(name, ids)
        return totals

    async def _create(self, name: str, embedder: Embedder, text: str) -> Collection:
        engine = self._engine
        vectors = await engine.call(embedder.embed, [text])
        collection = await engine.call(engine.chroma.create, name, embedder.name, int(vectors.shape[1]))
        check_embedder(collection, embedder.name)
        return await engine.load(collection)

    async def _write(
        self, collection: Collection, batch: Sequence[tuple[Chunk, str]], there: Container[str], embedder: Embedder
    ) -> None:
        """Write passages that are not there in this very form, in place of those that are."""
        engine = self._engine
        old = [chunk.id for chunk, _ in batch if chunk.id in there]
        found = {chunk.id: chunk for chunk in await engine.call(engine.chroma.get, collection, old)}
        same = {chunk.id for chunk, _ in batch if found.get(chunk.id) == chunk}
        fresh = [(chunk, searchable) for chunk, searchable in batch if chunk.id not in same]
        if fresh:
            vectors = await engine.call(embedder.embed, [searchable for _, searchable in fresh])
            await engine.replace(
                collection, [chunk for chunk, _ in fresh], vectors, [each for each in old if each not in same]
            )

    async def _take_out(self, collection: Collection, there: Mapping[str, Sequence[Chunk]]) -> None:
        engine = self._engine
        await engine.remove(collection, [chunk.id for chunks in there.values() for chunk in chunks])
        await engine.keywords.add_collection(collection.uuid)
        async with engine.keywords.writing():
            await engine.keywords.remove(collection.uuid, list(there))
            await engine.keywords.settle(collection.name, list(there))

    async def _chunks_of(self, collection: Collection, ids: Sequence[str]) -> dict[str, list[Chunk]]:
        """The chunks of documents, without texts; an item that others stored is a document of one chunk."""
        engine, found = self._engine, dict[str, list[Chunk]]()
        condition = {DOCUMENT: {"$in": list(ids)}}
        select = engine.chroma.select
        for chunk in await engine.call(select, collection, None, 0, where=condition, include=["metadatas"]):
            found.setdefault(chunk.document, []).append(chunk)
        others = [each for each in ids if each not in found]
        for chunk in await engine.call(engine.chroma.get, collection, others, include=["metadatas"]):
            if DOCUMENT not in chunk.metadata:
                found[chunk.id] = [chunk]
        return found

    async def _load(self, name: str) -> Collection | None:
        found = await self._engine.call(self._engine.chroma.find, name)
        return None if found is None else await self._engine.load(found)


def _find_stale(old: Mapping[str, Iterable[Chunk]], totals: Mapping[str, int]) -> Iterator[str]:
    """The ids of chunks that the new version of their document did not write over."""
    for document, chunks in old.items():
        for chunk in chunks:
            if chunk.position >= totals[document] or chunk.id == document:
                yield chunk.id
