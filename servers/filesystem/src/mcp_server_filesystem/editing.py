"""Edits of a text: each replaces one place that its old text names; all are made or none."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .refusals import Refusal

_MOST_PLACES = 5
_SHOWN = 12  # lines of the nearest place
_MOST_LINES = 20_000  # in which the nearest place is looked for
_SECONDS = 0.5  # for which it is looked for: comparing takes the square of a line's length
_LEAST_LIKENESS = 0.6


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement.

    Args:
        oldText: The text to replace, exactly as it stands in the file; it must stand there once.
        newText: What takes its place.
    """

    oldText: str  # noqa: N815  # the wire's spelling
    newText: str  # noqa: N815  # the wire's spelling


def apply_edits(text: str, edits: Sequence[Edit], *, old_mac: bool = False) -> str:
    r"""Make all edits, one after the other; raises `Refusal` for one whose place is missing or not the only one.

    Line endings make no difference: the text comes with \n, and old and new text are read so, with \r for one where the
    lines of the file end so.
    """
    for number, edit in enumerate(edits, 1):
        old, new = (normalise(each, old_mac=old_mac) for each in (edit.oldText, edit.newText))
        which = f"edit {number} of {len(edits)}" if len(edits) > 1 else "the edit"
        if not old:
            raise Refusal(f"oldText of {which} is empty, so it names no place. Nothing was changed.")
        first = text.find(old)
        if first < 0:
            raise Refusal(_say_missing(text, old, which))
        if text.find(old, first + 1) >= 0:
            raise Refusal(_say_ambiguous(text, old, which))
        text = text[:first] + new + text[first + len(old) :]
    return text


def normalise(text: str, *, old_mac: bool = False) -> str:
    r"""Write every line ending as \n."""
    text = text.replace("\r\n", "\n")
    return text.replace("\r", "\n") if old_mac else text


def _say_ambiguous(text: str, old: str, which: str) -> str:
    places: list[str] = []
    at = -1
    while len(places) <= _MOST_PLACES and (at := text.find(old, at + 1)) >= 0:
        places.append(str(text.count("\n", 0, at) + 1))
    more = " and more" if len(places) > _MOST_PLACES else ""
    lines = ", ".join(places[:_MOST_PLACES]) + more
    return (
        f"oldText of {which} is ambiguous: it stands in several places (lines {lines}). Nothing was changed. "
        "Add lines around it until it stands there once."
    )


def _say_missing(text: str, old: str, which: str) -> str:
    said = f"Could not find exact match for oldText of {which}. Nothing was changed."
    place = _find_nearest(text, old)
    if place is None:
        return f"{said} Nothing in the file is like it: read the file again, and copy the text from there."
    line, shown = place
    return f"{said} The nearest place is at line {line}, and reads:\n{shown}\nCopy the text from there, to the letter."


def _find_nearest(text: str, old: str) -> tuple[int, str] | None:
    """Where most lines of a text stand, or lines like them: the line's number, and what stands there."""
    lines, wanted = text.split("\n")[:_MOST_LINES], old.strip("\n").split("\n")
    size = len(wanted)
    bare = [line.strip() for line in wanted]
    exact = {line for line in bare if line}
    votes: dict[int, int] = {}
    for index, line in enumerate(lines):
        if line.strip() in exact:
            start = index - bare.index(line.strip())
            votes[start] = votes.get(start, 0) + 1
    if votes:
        start = max(max(votes, key=lambda each: (votes[each], -each)), 0)
        return start + 1, "\n".join(lines[start : start + min(size, _SHOWN)])
    longest = max(bare, key=len)[:200]
    index = _find_close(lines, longest)
    if index is None:
        return None
    start = max(index - max(bare.index(max(bare, key=len)), 0), 0)
    return start + 1, "\n".join(lines[start : start + min(size, _SHOWN)])


def _find_close(lines: Sequence[str], wanted: str) -> int | None:
    """The index of the line that is most like a text, of those that a moment is enough for."""
    deadline = time.monotonic() + _SECONDS
    matcher = difflib.SequenceMatcher(None, "", wanted)
    found, best, seen = None, _LEAST_LIKENESS, set[str]()
    for index, line in enumerate(lines):
        bare = line.strip()[:200]
        if bare in seen:
            continue
        seen.add(bare)
        matcher.set_seq1(bare)
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (ratio := matcher.ratio()) > best:
            found, best = index, ratio
        if time.monotonic() > deadline:
            break
    return found
