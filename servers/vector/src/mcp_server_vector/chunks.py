"""Chunks and collections, as Chroma holds them and the rest of this server knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .refusals import Mismatch
from .rules import Scalar

EMBEDDER: Final = "mcp:embedder"
DIMENSION: Final = "mcp:dimension"
DOCUMENT: Final = "mcp:document"
CHUNKS: Final = "mcp:chunks"
HASH: Final = "mcp:hash"
START: Final = "mcp:start"
HEADING: Final = "mcp:heading"
STANDS_FOR: Final = "mcp:stands-for"
COPY_OF: Final = "mcp:copy-of"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stored chunk: what Chroma calls an item."""

    id: str
    text: str
    metadata: Mapping[str, Scalar | None]

    def number(self, key: str, default: int = 0) -> int:
        """A whole number among the metadata."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) else default

    @property
    def given(self) -> dict[str, Scalar]:
        """The metadata as they were given, without what the store adds."""
        return {key: value for key, value in self.metadata.items() if value is not None and not key.startswith("mcp:")}

    @property
    def document(self) -> str:
        """The id of its document; an item that others stored is one of its own."""
        return str(self.metadata.get(DOCUMENT, self.id))

    @property
    def position(self) -> int:
        """Where it stands among the chunks of its document, from 0."""
        number = self.id.rpartition("#")[2] if DOCUMENT in self.metadata else ""
        return int(number) if number.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection, with what it remembers of how it was embedded.

    A copy that is made in compacting says what name it stands for, and when it is whole, of which uuid it is.
    """

    name: str
    uuid: str
    embedder: str | None
    dimension: int | None
    distance: str
    handle: Any = field(repr=False, compare=False)
    stands_for: str | None = None
    copy_of: str | None = None


def check_embedder(collection: Collection, name: str) -> None:
    """Refuse to mix the vectors of two embedders."""
    if collection.embedder is None:
        raise Mismatch(
            f"The collection {collection.name} does not say what it was embedded with, so that nothing here can be "
            "compared with it: search it with mode keyword, or index its documents into another collection."
        )
    if collection.embedder != name:
        raise Mismatch(
            f"The collection {collection.name} was embedded with {collection.embedder}, and this server runs {name}: "
            f"start it with --embedder {collection.embedder}, search with mode keyword, or use another collection."
        )


def chunk_id(document: str, position: int) -> str:
    """The id of a chunk; no two documents share one, since every chunk's id ends in its number."""
    return f"{document}#{position}"
