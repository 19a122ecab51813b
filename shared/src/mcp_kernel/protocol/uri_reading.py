"""The reverse of a URI template's expansion, as a dynamic program.

The cost is that of the table, (steps of the template) x (length of the URI), whatever the URI holds; a
regular expression with several variables would backtrack. `uri_template` compiles the steps and states the
rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
TRIPLETS = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

# A shape is a URI with its encoding resolved: one character each, where an encoded octet that would mean
# something unencoded (`%2F`) stands as a lone surrogate. A valid URI holds none, so plain string operations
# tell data from delimiters, and literals compare equal however much of them either side encoded.
_ENCODED = {octet: 0xDC00 + octet for octet in range(128) if chr(octet) not in UNRESERVED}
_PLAIN = {surrogate: octet for octet, surrogate in _ENCODED.items()}
_IMPOSSIBLE = -(1 << 30)  # stays below zero whatever is added to it


@dataclass(frozen=True, slots=True)
class Literal:
    shape: str


@dataclass(frozen=True, slots=True)
class Gap:
    """One positional value; with an opener it may be absent, and then the rest of its expression is too."""

    name: str
    opener: str
    excluded: str
    otherwise: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """A whole `{?a,b}`: named values, each at most once; beside each name its shape."""

    opener: str
    separator: str
    excluded: str
    names: tuple[tuple[str, str], ...]


Step = Literal | Gap | Pairs


def shape_of(uri: str) -> str | None:
    """None for what is no URI: a stray `%`, octets that are not UTF-8, control characters, surrogates."""
    if _FORBIDDEN.search(uri):
        return None
    pieces = TRIPLETS.split(uri)
    if any("%" in piece for piece in pieces[::2]):
        return None
    try:
        pieces[1::2] = [bytes.fromhex(p.replace("%", "")).decode().translate(_ENCODED) for p in pieces[1::2]]
    except UnicodeDecodeError:
        return None
    return "".join(pieces)


def read(steps: Sequence[Step], shape: str) -> dict[str, str] | None:
    """The decoded values of the best reading, or None when there is none."""
    if steps and isinstance(first := steps[0], Literal) and not shape.startswith(first.shape):
        return None  # the common case, in a list of templates
    table = _Table(steps, shape)
    if table.scores[0][0] < 0:
        return None
    found: dict[str, str] = {}
    for name, value in table.bindings():
        if found.setdefault(name, value) != value:
            return None  # a variable that stands twice in the template, with two values
    return {name: value.translate(_PLAIN) for name, value in found.items()}


class _Table:
    """`scores[i][p]` is how many variables `steps[i:]` can bind on `shape[p:]`."""

    def __init__(self, steps: Sequence[Step], shape: str) -> None:
        self.steps = steps
        self.shape = shape
        self.scores: list[list[int]] = [[] for _ in steps] + [[_IMPOSSIBLE] * len(shape) + [0]]
        self.tails: dict[int, list[int]] = {}
        """Of a gap: the score of each place where its value may begin; of pairs: where a value ends."""
        for index in reversed(range(len(steps))):
            match steps[index]:
                case Literal() as literal:
                    self.scores[index] = self._score_literal(literal, index)
                case Gap() as gap:
                    self.scores[index] = self._score_gap(gap, index)
                case Pairs() as pairs:
                    self.scores[index] = self._score_pairs(pairs, index)

    def bindings(self) -> Iterator[tuple[str, str]]:
        """Walks the table forwards; to be called only where `scores[0][0]` is possible."""
        index = position = 0
        while index < len(self.steps):
            step = self.steps[index]
            if isinstance(step, Literal):
                position += len(step.shape)
            elif isinstance(step, Gap):
                start = position + len(step.opener)
                if not self._takes(step, index, position):
                    index = step.otherwise
                    continue
                position = self._end_of_value(step, index, start)
                yield step.name, self.shape[start:position]
            else:
                end, found = self._pairs_at(step, index, position)
                if self.scores[index][position] == self.scores[index + 1][end] + len(found):
                    yield from ((name, self.shape[start:stop]) for name, (start, stop) in found.items())
                    position = end
            index += 1

    def _score_literal(self, literal: Literal, index: int) -> list[int]:
        text, after = literal.shape, self.scores[index + 1]
        row = [_IMPOSSIBLE] * len(after)
        position = self.shape.find(text)
        while position >= 0:
            row[position] = after[position + len(text)]
            position = self.shape.find(text, position + 1)
        return row

    def _score_gap(self, gap: Gap, index: int) -> list[int]:
        after = self.scores[index + 1]
        tail = after[:]
        for position in range(len(self.shape) - 1, -1, -1):
            if self.shape[position] not in gap.excluded:
                tail[position] = max(tail[position], tail[position + 1])
        self.tails[index] = tail
        absent = self.scores[gap.otherwise] if gap.opener else [_IMPOSSIBLE] * len(after)
        return [max(missing, self._with_value(gap, index, p)) for p, missing in enumerate(absent)]

    def _with_value(self, gap: Gap, index: int, position: int) -> int:
        """The score of binding this gap here. Without an opener its value has a character at least."""
        if position == len(self.shape):
            return _IMPOSSIBLE
        character = self.shape[position]
        fits = character == gap.opener if gap.opener else character not in gap.excluded
        return self.tails[index][position + 1] + 1 if fits else _IMPOSSIBLE

    def _takes(self, gap: Gap, index: int, position: int) -> bool:
        return self.scores[index][position] == self._with_value(gap, index, position)

    def _end_of_value(self, gap: Gap, index: int, start: int) -> int:
        """The furthest end that keeps the score."""
        end = start if gap.opener else start + 1
        after, wanted = self.scores[index + 1], self.tails[index][end]
        best = end
        while end < len(self.shape) and self.shape[end] not in gap.excluded:
            end += 1
            if after[end] == wanted:
                best = end
        return best

    def _score_pairs(self, pairs: Pairs, index: int) -> list[int]:
        after, excluded = self.scores[index + 1], pairs.excluded
        ends = list(range(len(self.shape) + 1))
        for position in range(len(self.shape) - 1, -1, -1):
            if self.shape[position] not in excluded:
                ends[position] = ends[position + 1]
        self.tails[index] = ends
        row = after[:]
        for position, character in enumerate(self.shape):
            if character == pairs.opener:
                end, found = self._pairs_at(pairs, index, position)
                row[position] = max(row[position], after[end] + len(found))
        return row

    def _pairs_at(self, pairs: Pairs, index: int, position: int) -> tuple[int, dict[str, tuple[int, int]]]:
        """Where the pairs that stand here end and their values lie, in as many steps as there are names."""
        found: dict[str, tuple[int, int]] = {}
        opener = pairs.opener
        while self.shape.startswith(opener, position):
            for name, key in pairs.names:
                span = self._value_of(key, index, position + 1)
                if name not in found and span is not None:
                    found[name], position = span, span[1]
                    break
            else:
                break
            opener = pairs.separator
        return position, found

    def _value_of(self, key: str, index: int, position: int) -> tuple[int, int] | None:
        ends, stop = self.tails[index], position + len(key)
        if not self.shape.startswith(key, position):
            return None
        if ends[stop] == stop:
            return stop, stop  # a name alone, as `{;a}` expands an empty value
        return (stop + 1, ends[stop]) if self.shape[stop] == "=" else None
