"""What the store answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .rules import Scalar

Mode: TypeAlias = Literal["hybrid", "semantic", "keyword"]
Outcome: TypeAlias = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, with where it is from."""

    id: str
    chunk: int
    chunks: int
    text: str
    heading: str
    metadata: Mapping[str, Scalar]
    score: float


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was indexed."""

    id: str
    text: str
    metadata: Mapping[str, Scalar]
    chunks: int


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of a document."""

    id: str
    collection: str
    status: Outcome
    chunks: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A collection at a glance; `problem` says why it cannot be searched by meaning, if it cannot."""

    name: str
    documents: int
    chunks: int
    embedder: str | None
    dimension: int | None
    distance: str
    problem: str | None = None
