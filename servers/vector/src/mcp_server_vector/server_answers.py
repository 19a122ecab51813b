"""What the tools answer: as data for programs, as text for models, with everything from documents marked as theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mcp_kernel import Untrusted

from .indexing import Tally
from .records import Document, Hit, Overview

T = TypeVar("T")
_SHARE = 3  # of the budget: what a long text may take where there are several


@dataclass(frozen=True, slots=True)
class Found:
    """One passage."""

    rank: int
    id: Untrusted
    chunk: int
    chunks: int
    text: Untrusted
    source: Untrusted
    metadata: dict[str, Untrusted | int | float | bool]
    similarity_score: float
    heading: Untrusted | None = None

    def __str__(self) -> str:
        place = f", part {self.chunk + 1} of {self.chunks}" if self.chunks > 1 else ""
        return f"{self.rank}. score {self.similarity_score:.3f}, id {self.id}{place}\n{self.text.fenced}"


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found."""

    results: list[Found]
    note: str | None = None

    def __str__(self) -> str:
        text = "\n\n".join(map(str, self.results)) if self.results else "Nothing was found."
        return f"{text}\n\n{self.note}" if self.note else text

    def fit(self, budget: int) -> Results:
        """Keep the best that fit."""
        kept = _fitting(self.results, budget)
        shown = kept or [replace(each, text=_cut(each.text, budget // 8), metadata={}) for each in self.results[:1]]
        note = f"{len(shown)} of {len(self.results)} results fit; ask for fewer, or get one by its id."
        return Results(shown, f"{note} {self.note}" if self.note else note)


@dataclass(frozen=True, slots=True)
class Kept:
    """One document."""

    id: Untrusted
    text: Untrusted
    source: Untrusted
    metadata: dict[str, Untrusted | int | float | bool]
    chunks: int

    def __str__(self) -> str:
        return f"id {self.id}\n{self.text.fenced}"


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents as they were indexed."""

    documents: list[Kept]
    missing: list[str] = field(default_factory=list[str])
    note: str | None = None

    def __str__(self) -> str:
        parts = [str(each) for each in self.documents] or ["No documents."]
        if self.missing:
            parts.append(f"Not there: {', '.join(self.missing)}")
        return "\n\n".join([*parts, self.note] if self.note else parts)

    def fit(self, budget: int) -> Documents:
        """Keep the first that fit; of one that alone is too long, its beginning."""
        kept = _fitting(self.documents, budget)
        shown = kept or [replace(each, text=_cut(each.text, budget // 8)) for each in self.documents[:1]]
        note = f"{len(shown)} of {len(self.documents)} documents fit; get the others by their ids."
        return Documents(shown, self.missing, note)


@dataclass(frozen=True, slots=True)
class Collections:
    """The collections; `filling` are those whose watched files are still being indexed."""

    collections: list[Overview]
    filling: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        lines = [describe(each) for each in self.collections]
        lines += [f"{name}: its watched files are still being indexed" for name in self.filling]
        return "\n".join(lines) if lines else "There is no collection yet: index_document makes one."


@dataclass(frozen=True, slots=True)
class Deleted:
    """What is gone."""

    deleted: list[str]
    not_found: list[str]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was passed over."""

    path: Untrusted
    reason: str


@dataclass(frozen=True, slots=True)
class Files:
    """What became of files."""

    collection: str
    created: int
    updated: int
    unchanged: int
    deleted: int
    skipped: list[Skipped]
    skipped_count: int

    def __str__(self) -> str:
        counts = (
            f"{self.created} created, {self.updated} updated, {self.unchanged} unchanged, {self.deleted} deleted, "
            f"{self.skipped_count} skipped"
        )
        lines = [f"{self.collection}: {counts}", *(f"- {each.path}: {each.reason}" for each in self.skipped)]
        return "\n".join(lines)


def describe(overview: Overview) -> str:
    """A collection in a line."""
    counts = f"{overview.documents} documents in {overview.chunks} chunks"
    by = f"embedded with {overview.embedder}" if overview.embedder else "embedded with something unknown"
    return f"{overview.name}: {counts}, {by}" + (f". {overview.problem}" if overview.problem else "")


def show_hits(collection: str, hits: Sequence[Hit], *, is_filling: bool = False) -> Results:
    """Number the hits, and mark what is from documents; say so where there will be more of them."""
    note = "Files of this collection are still being indexed: search again in a moment for what is missing."
    found = [_show_hit(collection, rank, hit) for rank, hit in enumerate(hits, 1)]
    return Results(found, note if is_filling else None)


def _show_hit(collection: str, rank: int, hit: Hit) -> Found:
    source = locate(collection, hit.id, hit.metadata)
    return Found(
        rank=rank,
        id=Untrusted(hit.id, source),
        chunk=hit.chunk,
        chunks=hit.chunks,
        text=Untrusted(hit.text, source),
        source=Untrusted(source, source),
        metadata=_mark(hit.metadata, source),
        similarity_score=hit.score,
        heading=Untrusted(hit.heading, source) if hit.heading else None,
    )


def show_documents(collection: str, documents: Sequence[Document], asked: Sequence[str] | None) -> Documents:
    """Mark what is from documents, and name those that were asked for and are not there."""
    shown: list[Kept] = []
    for each in documents:
        source = locate(collection, each.id, each.metadata)
        marked = (Untrusted(each.id, source), Untrusted(each.text, source), Untrusted(source, source))
        shown.append(Kept(*marked, _mark(each.metadata, source), each.chunks))
    there = {each.id for each in documents}
    return Documents(shown, [each for each in dict.fromkeys(asked or ()) if each not in there])


def show_tally(collection: str, tally: Tally) -> Files:
    """Count the files, with the first that were passed over."""
    skipped = [Skipped(Untrusted(path, "a file's name"), reason) for path, reason in tally.skipped[:50]]
    counts = (tally.created, tally.updated, tally.unchanged, tally.deleted)
    return Files(collection, *counts, skipped, len(tally.skipped))


def locate(collection: str, identifier: str, metadata: Mapping[str, object]) -> str:
    """Where a document is from: what its metadata says, or its URI here."""
    from urllib.parse import quote

    said = metadata.get("source")
    if isinstance(said, str) and said:
        return said
    return f"vector://collections/{quote(collection, safe='')}/documents/{quote(identifier, safe='')}"


def _mark(metadata: Mapping[str, str | int | float | bool], source: str) -> dict[str, Untrusted | int | float | bool]:
    return {
        str(Untrusted(key, source)): Untrusted(value, source) if isinstance(value, str) else value
        for key, value in metadata.items()
    }


def _fitting(items: Sequence[T], budget: int) -> list[T]:
    """The first items whose text, once for programs and escaped, fits."""
    import json

    kept: list[T] = []
    left = budget - 500
    for item in items:
        left -= len(json.dumps(str(item))) + 600
        if left < 0:
            break
        kept.append(item)
    return kept


def _cut(text: Untrusted, budget: int) -> Untrusted:
    return Untrusted(f"{text[: max(budget, 100)]}…", text.source)
