"""One value put into a text of JSON, or taken out, with everything else left as its owner wrote it.

Comments, trailing commas, indentation, the order of keys, line ends and a byte order mark stay. The text must be JSON
with comments; whoever calls has made sure that it can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

Path = Sequence[str]

_PIECE: Final = re.compile(r'"(?:\\.|[^"\\])*+"|//[^\n]*+|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"/]++|\s++', re.DOTALL)
_SILENT: Final = ("//", "/*")


class NoObject(Exception):
    """What a path leads through is not an object; the text names the key."""


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of an object lies: `comma` is where the comma behind it is, if there is one."""

    key: str
    start: int
    value: int
    end: int
    comma: int | None


@dataclass(frozen=True, slots=True)
class _Object:
    """Where an object lies: its braces, and its members."""

    open: int
    close: int
    members: tuple[_Member, ...]

    def find(self, key: str) -> _Member | None:
        """The member that counts: of equal keys, readers take the last."""
        return next((each for each in reversed(self.members) if each.key == key), None)


def put(text: str, path: Path, value: object) -> str:
    """Set the member at a path of keys; objects on the way that are not there are made. Raises `NoObject`."""
    if not any(piece for _, piece in _pieces(text, 0)):
        return f"{text}{_fresh(path, value, text)}"
    where = _object_at(text, _first(text))
    for depth, key in enumerate(path):
        member = where.find(key)
        if member is None:
            rest: object = value
            for outer in reversed(path[depth + 1 :]):
                rest = {outer: rest}
            return _add(text, where, key, rest)
        if depth == len(path) - 1:
            written = _write(value, text, where)
            return text[: member.value] + written + text[member.end :]
        where = _inside(text, member)
    return text


def take(text: str, path: Path) -> str:
    """Remove the member at a path of keys, if it is there. Raises `NoObject`."""
    where = _object_at(text, _first(text))
    for key in path[:-1]:
        member = where.find(key)
        if member is None:
            return text
        where = _inside(text, member)
    while (member := where.find(path[-1])) is not None:  # a key that stands there twice would come back to life
        text = _remove(text, where, where.members.index(member))
        where = _object_at(text, where.open)
    return text


def _inside(text: str, member: _Member) -> _Object:
    if text[member.value] != "{":
        raise NoObject(f"{member.key} is not an object")
    return _object_at(text, member.value)


def _pieces(text: str, position: int) -> Iterator[tuple[int, str]]:
    """What is not white space and no comment, with its place."""
    while match := _PIECE.match(text, position):
        piece, start = match[0], position
        position = match.end()
        if not piece.isspace() and not piece.startswith(_SILENT) and piece != "\ufeff":
            yield start, piece


def _first(text: str) -> int:
    start, piece = next(_pieces(text, 0))
    if piece != "{":
        raise NoObject("the file is not an object")
    return start


def _object_at(text: str, start: int) -> _Object:
    """Read the object that begins at a brace."""
    pieces = _pieces(text, start + 1)
    members: list[_Member] = []
    place, piece = next(pieces)
    while piece != "}":
        key, begin = piece, place
        next(pieces)  # the colon
        value, end = _read_value(pieces)
        place, piece = next(pieces)
        comma = place if piece == "," else None
        members.append(_Member(json.loads(key), begin, value, end, comma))
        if comma is not None:
            place, piece = next(pieces)
    return _Object(start, place, tuple(members))


def _read_value(pieces: Iterator[tuple[int, str]]) -> tuple[int, int]:
    """Pass over a value: where it begins, and where it ends."""
    start, piece = next(pieces)
    place, depth = start, 0
    while True:
        depth += (piece in "{[") - (piece in "}]")
        if depth == 0:
            return start, place + len(piece)
        place, piece = next(pieces)


def _add(text: str, where: _Object, key: str, value: object) -> str:
    """Put a new member at the end of an object, below what its owner wrote last."""
    member = f"{json.dumps(key, ensure_ascii=False)}: {_write(value, text, where)}"
    last = where.members[-1] if where.members else None
    if last is not None and last.comma is not None:
        member += ","  # its owner ends with one
    elif last is not None:
        text = f"{text[: last.end]},{text[last.end :]}"
        where = _object_at(text, where.open)
    before = text[: where.close].rstrip()
    gap, rest = text[len(before) : where.close], text[where.close :]
    if where.members and _is_line(text, where):
        return f"{before} {member}{gap}{rest}"
    line = _line_end(text)
    closing = gap if "\n" in gap else line + _indent_of(text, where.open)
    return f"{before}{line}{_member_indent(text, where)}{member}{closing}{rest}"


def _remove(text: str, where: _Object, index: int) -> str:
    member = where.members[index]
    start, end = _span(text, member)
    if start == member.start and index:
        start = len(text[:start].rstrip(" \t"))  # on one line with others
    text = text[:start] + text[end:]
    if index and member.comma is None:  # the one before is now the last, and its comma would be one too many
        comma = where.members[index - 1].comma or 0
        text = text[:comma] + text[comma + 1 :]
    left = _object_at(text, where.open)
    return text if text[left.open + 1 : left.close].strip() else text[: left.open + 1] + text[left.close :]


def _span(text: str, member: _Member) -> tuple[int, int]:
    """A member with its comma, and with its lines where nothing else stands on them."""
    end = member.end if member.comma is None else member.comma + 1
    line = text.rfind("\n", 0, member.start) + 1
    blank = re.compile(r"[ \t]*\r?\n").match(text, end)
    alone = blank is not None and not text[line : member.start].strip()
    return (line, blank.end()) if alone and blank is not None else (member.start, end)


def _write(value: object, text: str, where: _Object) -> str:
    """A value as JSON, in the manner of the object that it comes into."""
    if where.members and _is_line(text, where):
        return json.dumps(value, ensure_ascii=False)
    written = json.dumps(value, indent=_unit(text), ensure_ascii=False)
    return written.replace("\n", _line_end(text) + _member_indent(text, where))


def _is_line(text: str, where: _Object) -> bool:
    return "\n" not in text[where.open : where.close]


def _member_indent(text: str, where: _Object) -> str:
    """The white space before the members of an object."""
    for member in where.members:
        line = text.rfind("\n", 0, member.start) + 1
        if line > where.open and not text[line : member.start].strip():
            return text[line : member.start]
    return _indent_of(text, where.open) + _unit(text)


def _indent_of(text: str, position: int) -> str:
    """The white space at the beginning of a line."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """How the file is indented: as the first member of the outermost object, or by two spaces."""
    found = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return found[1] if found else "  "


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _fresh(path: Path, value: object, text: str) -> str:
    """A whole file with nothing but this member, below comments that there may be."""
    for key in reversed(path):
        value = {key: value}
    gap = _line_end(text) if text.strip("\ufeff \t\r\n") and not text.endswith("\n") else ""
    return gap + json.dumps(value, indent=2, ensure_ascii=False).replace("\n", _line_end(text)) + _line_end(text)
