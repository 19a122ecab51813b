"""What the command line says of the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .embedders import Choice


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are, and what may be done with them."""

    folder: Path
    embedder: Choice
    url: str | None = None
    read_only: bool = False
