"""Patterns of paths, matched part by part, so that no pattern takes long."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final

from .refusals import Refusal

_ALTERNATIVES: Final = 64
_LONGEST: Final = 1000
_BRACES: Final = re.compile(r"\{([^{}]*)\}")


class Glob:
    """A pattern such as `**/*.md` or `docs/*.{md,txt}`; one without a slash is for names at any depth."""

    def __init__(self, pattern: str) -> None:
        """Read a pattern; raises `Refusal`."""
        if not pattern or len(pattern) > _LONGEST:
            raise Refusal(f"A glob has 1 to {_LONGEST} characters, as in **/*.md.")
        self._patterns = [_divide(each) for each in _expand(pattern)]

    def matches(self, path: str) -> bool:
        """Tell whether a relative path, written with slashes, fits."""
        parts = path.split("/")
        return any(_match(pattern, parts) for pattern in self._patterns)


def _divide(pattern: str) -> list[str]:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    return parts if len(parts) > 1 else ["**", *parts]


def _expand(pattern: str) -> list[str]:
    waiting, found = [pattern], list[str]()
    while waiting:
        each = waiting.pop()
        braces = _BRACES.search(each)
        if braces is None:
            found.append(each)
            continue
        waiting += [each[: braces.start()] + option + each[braces.end() :] for option in braces[1].split(",")]
        if len(waiting) + len(found) > _ALTERNATIVES:
            raise Refusal(f"The glob has more than {_ALTERNATIVES} alternatives in braces: use several calls.")
    return found


def _match(pattern: list[str], parts: list[str]) -> bool:
    """Walk through the parts with the set of places in the pattern that they may stand at."""
    places = _skip({0}, pattern)
    for part in parts:
        places = _skip(
            {
                place if pattern[place] == "**" else place + 1
                for place in places
                if place < len(pattern) and (pattern[place] == "**" or fnmatchcase(part, pattern[place]))
            },
            pattern,
        )
    return len(pattern) in places


def _skip(places: set[int], pattern: list[str]) -> set[int]:
    reached = set(places)
    for place in range(len(pattern)):
        if place in reached and pattern[place] == "**":
            reached.add(place + 1)
    return reached
