"""The search: by meaning, by words, or both, and under the same filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .chunks import CHUNKS, HEADING, Chunk, Collection, check_embedder
from .embedders import Embedder
from .engine import Engine
from .fusion import fuse, similarity
from .records import Hit, Mode
from .refusals import Mismatch
from .rules import Filter, check_filter

_CANDIDATES: Final = 100  # of each search, at least; the fusion sees no more
_DEEPEST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Question:
    """How to search."""

    top_k: int = 5
    mode: Mode = "hybrid"
    where: Filter | None = None
    where_document: Filter | None = None
    min_score: float = 0.0


class Search:
    """Searches the collections of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, collection: Collection, query: str, question: Question) -> list[Hit]:
        """Find passages, the best first."""
        filters = {
            "where": check_filter(question.where, "where"),
            "where_document": check_filter(question.where_document, "where_document"),
        }
        wanted = max(question.top_k, _CANDIDATES if question.mode == "hybrid" else 0)
        semantic: dict[str, float] = {}
        keyword: dict[str, float] = {}
        weight = 1.0
        if question.mode != "keyword":
            embedder = await self._embedder(collection)
            weight = embedder.weight
            vector = await self._embed(embedder, query)
            semantic = await self._nearest(collection, vector, wanted, filters)
        if question.mode != "semantic":
            keyword = await self._matching(collection, query, wanted, filters)
        scores = semantic
        if question.mode == "keyword":
            scores = keyword
        elif question.mode == "hybrid":
            scores = fuse(semantic, keyword, weight)
        kept = [each for each in scores if scores[each] >= question.min_score]
        return await self._read(
            collection, sorted(kept, key=lambda each: (-scores[each], each)), scores, question.top_k
        )

    async def _read(
        self, collection: Collection, best: Sequence[str], scores: Mapping[str, float], top_k: int
    ) -> list[Hit]:
        """The best chunks; those that were deleted meanwhile make room for the next."""
        hits: list[Hit] = []
        for start in range(0, len(best), top_k):
            found = await self._engine.call(self._engine.chroma.get, collection, best[start : start + top_k])
            hits += [to_hit(chunk, scores[chunk.id]) for chunk in found]
            if len(hits) >= top_k:
                break
        return hits[:top_k]

    async def _embedder(self, collection: Collection) -> Embedder:
        check_embedder(collection, self._engine.settings.embedder.name)
        return await self._engine.preparation.embedder()

    async def _embed(self, embedder: Embedder, query: str) -> list[float]:
        found = await self._engine.call(embedder.embed, [query])
        return [float(each) for each in found[0]]

    async def _nearest(
        self,
        collection: Collection,
        vector: Sequence[float],
        wanted: int,
        filters: Mapping[str, Filter | None],
    ) -> dict[str, float]:
        if collection.dimension is not None and collection.dimension != len(vector):
            raise Mismatch(
                f"The collection {collection.name} holds vectors of {collection.dimension} numbers and the embedder "
                f"makes {len(vector)}: it was filled by another model of the same name. Index into a new collection."
            )
        found = await self._engine.call(self._engine.chroma.nearest, collection, vector, wanted, **filters)
        return {chunk: similarity(distance, collection.distance) for chunk, distance in found.items()}

    async def _matching(
        self,
        collection: Collection,
        query: str,
        wanted: int,
        filters: Mapping[str, Filter | None],
    ) -> dict[str, float]:
        """The best matches that pass the filters: looks deeper until there are enough, or no more."""
        allowed: set[str] | None = None
        if any(filters.values()):
            allowed = {*(await self._engine.call(self._engine.chroma.passing, collection, **filters))}
        depth = wanted
        while True:
            found = await self._engine.keywords.search(collection.uuid, query, depth)
            if allowed is None:
                return found
            kept = {each: score for each, score in found.items() if each in allowed}
            if len(kept) >= min(wanted, len(allowed)) or len(found) < depth or depth >= _DEEPEST:
                return kept
            depth *= 8


def to_hit(chunk: Chunk, score: float) -> Hit:
    """A chunk as it is answered."""
    return Hit(
        id=chunk.document,
        chunk=chunk.position,
        chunks=chunk.number(CHUNKS, 1),
        text=chunk.text.strip(),
        heading=str(chunk.metadata.get(HEADING, "")),
        metadata=chunk.given,
        score=round(score, 4),
    )
