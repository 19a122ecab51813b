"""A text in passages: cut where its author would pause, with a little of the one before in each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

SIZE: Final = 1000
"""Characters of a passage at most: about 200 word pieces, and of technical text one in five has more than the 256 that
MiniLM reads (docs/decisions/0037-two-scores-mixed.md says why it stays so)."""

OVERLAP: Final = 150

_HEADING: Final = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
# Where to cut, the best first: before a heading, after a paragraph, a sentence, a line, a word.
_PAUSES: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^(?=#{1,6}[ \t]+\S)",
        r"\n[ \t]*\n\s*",
        "(?<![.!?\u2026])[.!?\u2026]+[\"')\\]]*\\s+|[\u3002\uff01\uff1f]+",
        r"\n",
        r"\s",
    )
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text, from `start` on, with the heading that it stands under."""

    position: int
    start: int
    text: str
    heading: str

    @property
    def searchable(self) -> str:
        """What is embedded and indexed: a passage deep in a section does not name what it is about."""
        if not self.heading or self.heading in self.text:
            return self.text
        return f"{self.heading}\n{self.text}"


def split(text: str, size: int = SIZE, overlap: int = OVERLAP) -> Iterator[Passage]:
    """Cut a text, lazily; no more than a passage is ever copied. `join` makes it whole again."""
    headings = _HEADING.finditer(text)
    upcoming = next(headings, None)
    position, start, heading = 0, 0, ""
    while start < len(text):
        end, next_start = _find_end(text, start, size, overlap)
        piece = text[start:end]
        while upcoming is not None and (upcoming.start() <= start or text[start : upcoming.start()].isspace()):
            heading, upcoming = upcoming[1][:200], next(headings, None)
        if not piece.isspace():
            yield Passage(position, start, piece, heading)
            position += 1
        start = next_start


def join(pieces: Iterable[tuple[int, str]]) -> str:
    """Put passages (start, text) together again, each overlap once."""
    parts: list[str] = []
    reached = 0
    for start, text in sorted(pieces):
        parts.append(text[max(reached - start, 0) :])
        reached = max(reached, start + len(text))
    return "".join(parts)


def _find_end(text: str, start: int, size: int, overlap: int) -> tuple[int, int]:
    """Where the passage ends, and where the next one begins."""
    if len(text) - start <= size:
        heading = _last(_PAUSES[0], text, start + size // 4, len(text))
        return (heading, heading) if heading and len(text) - start > size // 2 else (len(text), len(text))
    limit = start + size
    for rank, pause in enumerate(_PAUSES):
        end = _last(pause, text, start + (size // 4 if rank < 2 else size // 2), limit)
        if end is not None:
            return end, end if rank < 2 else _step_back(text, end, overlap)
    return limit, limit - overlap


def _last(pause: re.Pattern[str], text: str, start: int, end: int) -> int | None:
    ends = [found.end() for found in pause.finditer(text, start, end)]
    return ends[-1] if ends and ends[-1] > start else None


def _step_back(text: str, end: int, overlap: int) -> int:
    """Begin the next passage a sentence, or at least a word, before the end of this one."""
    for pause in _PAUSES[2:]:
        found = pause.search(text, end - overlap, end)
        if found is not None and found.end() < end:
            return found.end()
    return end - overlap
