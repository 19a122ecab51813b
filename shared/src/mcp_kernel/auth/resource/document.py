"""The file of `--auth`: its tables as they are, and what is wrong with them, each with its line.

Whoever understands a part of the file reads `Document.table` and calls `complain`; once all have read,
`require_sound` reports everything together.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from mcp_kernel.auth.resource import lines

_LARGEST: Final = 4 * 1024 * 1024  # bytes; a thousand keys take some two hundred thousand
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """What is wrong, with its line; 0 where it is the file as a whole."""

    line: int
    text: str


class Mistaken(Exception):
    """A file that cannot be used; the text has a line `FILE:LINE: what is wrong` for each mistake."""

    def __init__(self, path: Path, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        places = (f"{path}:{mistake.line}" if mistake.line else f"{path}" for mistake in self.mistakes)
        super().__init__(
            "\n".join(f"{place}: {mistake.text}" for place, mistake in zip(places, self.mistakes, strict=True))
        )


class Document:
    """A file that is valid TOML. `table` is what it says; `mistakes` and `doubts` are what was found so far."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.table: Mapping[str, object] = tomllib.loads(text)
        self.mistakes: list[Mistake] = []
        self.doubts: list[Mistake] = []
        self._lines = lines.find_lines(text)

    def value(self, *keys: str | int) -> object:
        """Return what stands at a key; None where it is not there."""
        value: object = self.table
        for key in keys:
            if isinstance(value, dict):
                value = cast("dict[str | int, object]", value).get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(cast("list[object]", value)):
                value = cast("list[object]", value)[key]
            else:
                return None
        return value

    def line(self, *keys: str | int) -> int:
        """Return the line of a key, as `line("keys", 0, "hash")`, or of the nearest table around it; 0: of none."""
        return next((self._lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in self._lines), 0)

    def complain(self, text: str, *keys: str | int) -> None:
        """Note that something is wrong with a key."""
        self.mistakes.append(Mistake(self.line(*keys), text))

    def warn(self, text: str, *keys: str | int) -> None:
        """Note that a key may not mean what was meant by it, though the file can be used."""
        self.doubts.append(Mistake(self.line(*keys), text))

    def require_sound(self) -> None:
        """Raise `Mistaken` where anything was wrong."""
        if self.mistakes:
            raise Mistaken(self.path, self.mistakes)


def read(path: Path) -> Document:
    """Read a file; raises `Mistaken` where it is none, or no TOML."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise Mistaken(path, [Mistake(0, f"this is larger than {_LARGEST} bytes, and was not read")])
        return Document(path, data.decode().replace("\r\n", "\n"))
    except OSError as error:
        raise Mistaken(path, [Mistake(0, f"this cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Mistaken(path, [Mistake(line, "this is no UTF-8")]) from None
    except RecursionError:
        raise Mistaken(path, [Mistake(0, "this is no TOML: it is nested too deeply")]) from None
    except tomllib.TOMLDecodeError as error:
        raise Mistaken(path, [_describe(error, data)]) from None  # pyright: ignore[reportPossiblyUnboundVariable]  # what was read is what cannot be parsed


def _describe(error: tomllib.TOMLDecodeError, data: bytes) -> Mistake:
    """The line of an error stands in its text."""
    text = str(error)
    place = _PLACE.search(text)
    line = int(place[1]) if place and place[1] else max(data.rstrip().count(b"\n") + 1, 1)
    reason = _PLACE.sub("", text)
    return Mistake(line, f"this is no TOML: {reason[:1].lower()}{reason[1:]}")
