"""On which line of a TOML text each key stands, which `tomllib` does not tell.

The text is valid: `tomllib` has read it before. So nothing is checked here; only what begins and ends is told apart.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

Path: TypeAlias = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN: Final = re.compile(r"[^,\]}#\n]*")  # a number, a date, true


def find_lines(text: str) -> Mapping[Path, int]:
    """Return the line, from 1, on which each key stands; an item of an array is named by its index."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = (0, 1)  # up to where line feeds were counted, and the line there
        self._lines: dict[Path, int] = {}
        self._last: dict[Path, int] = {}  # of each array of tables, the item that a header below it means

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._read_header()
            else:
                self._read_pair(table)
            self._skip(_BLANK)
        return self._lines

    def _read_header(self) -> Path:
        several = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if several else 1
        names = self._read_key()
        self._at += 2 if several else 1
        path: Path = ()
        for name in names[:-1]:
            path = (*path, name)
            path = (*path, self._last[path]) if path in self._last else path
        path = (*path, names[-1])
        if several:
            self._last[path] = self._last.get(path, -1) + 1
            self._lines.setdefault(path, line)
            path = (*path, self._last[path])
        self._note(path, line)
        return path

    def _read_pair(self, table: Path) -> None:
        line = self._line()
        path = (*table, *self._read_key())
        self._note(path, line)
        self._at += 1  # the sign of equality
        self._skip(_SPACE)
        self._read_value(path)

    def _read_key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            quoted = self._text[self._at] in "\"'"
            name = self._skip(_STRING if quoted else _BARE)
            names.append(cast("str", tomllib.loads(f"k = {name}")["k"]) if quoted else name)
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _read_value(self, path: Path) -> None:
        match self._text[self._at]:
            case "{":
                self._read_members(path, "}")
            case "[":
                self._read_members(path, "]")
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_PLAIN)

    def _read_members(self, path: Path, end: str) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == end:
                break
            if end == "}":
                self._read_pair(path)
            else:
                self._note((*path, index), self._line())
                self._read_value((*path, index))
                index += 1
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
        self._at += 1

    def _note(self, path: Path, line: int) -> None:
        """A dotted key and a header stand for the tables above them, too, where these have no line of their own."""
        for length in range(1, len(path)):
            self._lines.setdefault(path[:length], line)
        self._lines[path] = line

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = cast("re.Match[str]", pattern.match(self._text, self._at))
        self._at = found.end()
        return found[0]

    def _line(self) -> int:
        at, line = self._counted
        self._counted = (self._at, line + self._text.count("\n", at, self._at))
        return self._counted[1]
