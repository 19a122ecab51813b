"""Unified diffs in bounded time: large texts are first split at the lines that are unique to both."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterator, Sequence

_SMALL = 400  # lines on either side that difflib, which may take the cube of them, is given at once
Opcode = tuple[str, int, int, int, int]


def make_diff(old: str, new: str, path: str, context: int = 3) -> str:
    """Show what changes from one text to another, in the form of `git diff`; empty for no change."""
    before, after = old.split("\n"), new.split("\n")
    opcodes = list(compare(before, after))
    if all(code[0] == "equal" for code in opcodes):
        return ""
    lines = [f"Index: {path}", "=" * 67, f"--- {path}\toriginal", f"+++ {path}\tmodified"]
    matcher = difflib.SequenceMatcher(None, "", "")
    matcher.opcodes = opcodes  # pyright: ignore[reportAttributeAccessIssue]  # it groups what it did not find itself
    for group in matcher.get_grouped_opcodes(context):
        lines += _hunk(group, before, after)
    return "\n".join(lines) + "\n"


def _hunk(group: Sequence[Opcode], before: list[str], after: list[str]) -> Iterator[str]:
    (_, a_start, _, b_start, _), (_, _, a_end, _, b_end) = group[0], group[-1]
    a_last, b_last = _last(before), _last(after)
    a_end, b_end = min(a_end, a_last), min(b_end, b_last)
    yield f"@@ -{_range(a_start, a_end)} +{_range(b_start, b_end)} @@"
    for kind, a_from, a_to, b_from, b_to in group:
        if kind == "equal":
            yield from _mark(" ", before, a_from, a_to)
        else:
            yield from _mark("-", before, a_from, a_to)
            yield from _mark("+", after, b_from, b_to)


def _last(lines: list[str]) -> int:
    """How many lines there are: what follows the last line feed is one only if it is not empty."""
    return len(lines) - (lines[-1] == "")


def _mark(sign: str, lines: list[str], start: int, end: int) -> Iterator[str]:
    for index in range(start, min(end, _last(lines))):
        yield sign + lines[index]
        if index == len(lines) - 1:
            yield "\\ No newline at end of file"


def _range(start: int, end: int) -> str:
    length = max(end - start, 0)
    return str(start + 1) if length == 1 else f"{start + 1 if length else start},{length}"


def compare(before: list[str], after: list[str]) -> Iterator[Opcode]:
    """Say which lines are equal and which are replaced, as difflib's opcodes, neighbours merged."""
    current: Opcode | None = None
    for code in _split(before, after):
        if current is None:
            current = code
        elif (current[0] == "equal") == (code[0] == "equal"):
            kind = "equal" if code[0] == "equal" else "replace"
            current = (kind, current[1], code[2], current[3], code[4])
        else:
            yield current
            current = code
    if current is not None:
        yield current


def _split(before: list[str], after: list[str]) -> Iterator[Opcode]:
    todo = [(0, len(before), 0, len(after))]
    while todo:
        a, a_end, b, b_end = todo.pop()
        start = _common(before, after, (a, a_end, b, b_end))
        if start:
            yield "equal", a, a + start, b, b + start
            a, b = a + start, b + start
        if a == a_end or b == b_end:
            if a < a_end or b < b_end:
                yield "replace", a, a_end, b, b_end
            continue
        if a_end - a <= _SMALL and b_end - b <= _SMALL:
            for kind, i, j, k, m in difflib.SequenceMatcher(None, before[a:a_end], after[b:b_end]).get_opcodes():
                yield kind, a + i, a + j, b + k, b + m
            continue
        pairs = _unique_pairs(before, after, (a, a_end, b, b_end))
        if not pairs:
            yield "replace", a, a_end, b, b_end
            continue
        parts: list[tuple[int, int, int, int]] = []
        for i, k in pairs:
            if (i, k) != (a, b):
                parts.append((a, i, b, k))
            a, b = i, k
        todo += reversed([*parts, (a, a_end, b, b_end)])


def _common(before: list[str], after: list[str], span: tuple[int, int, int, int]) -> int:
    a, a_end, b, b_end = span
    most = min(a_end - a, b_end - b)
    count = 0
    while count < most and before[a + count] == after[b + count]:
        count += 1
    return count


def _unique_pairs(before: list[str], after: list[str], span: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Lines that stand once in either text, in an order that both share (the longest such)."""
    a, a_end, b, b_end = span
    ours, theirs = _once(before, a, a_end), _once(after, b, b_end)
    found = sorted((index, theirs[line]) for line, index in ours.items() if line in theirs)
    tails: list[int] = []
    chain: list[tuple[int, int, int]] = []  # of each pair: its lines, and the pair before it
    heads: list[int] = []
    for number, (i, k) in enumerate(found):
        at = bisect_left(tails, k)
        chain.append((i, k, heads[at - 1] if at else -1))
        tails[at : at + 1] = [k]
        heads[at : at + 1] = [number]
    pairs: list[tuple[int, int]] = []
    at = heads[-1] if heads else -1
    while at >= 0:
        i, k, at = chain[at]
        pairs.append((i, k))
    return pairs[::-1]


def _once(lines: list[str], start: int, end: int) -> dict[str, int]:
    counted: dict[str, int] = {}
    for index in range(start, end):
        counted[lines[index]] = -1 if lines[index] in counted else index
    return {line: index for line, index in counted.items() if index >= 0}
