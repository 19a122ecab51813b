"""What is shown to a person: tables, lines, and text of a server, which must not be able to steer the terminal."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final

_GAP: Final = "  "
_LEAST: Final = 24  # characters of the last column, for which the others give way
_SLIM: Final = 6  # characters below which they do not
_NARROW: Final = 3  # the other columns have at most the width divided by this
_LONGEST: Final = 1500  # characters of a line that says what went wrong


class Misuse(Exception):
    """A command line that cannot be followed; its text says what to do instead."""


def scrub(text: str) -> str:
    """The text with what a terminal would obey written out: control characters, and those that reorder text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _spell(character) for character in text)


def _is_harmless(character: str) -> bool:
    # U+200D joins emoji; a line end and a tab are what they seem.
    return character in "\n\t\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _spell(character: str) -> str:
    return "" if character == "\r" else character.encode("unicode_escape", "surrogatepass").decode("ascii")


def fold(text: str) -> str:
    """One line of what may be several, without its middle where it is very long."""
    line = " | ".join(part.strip() for part in scrub(text).splitlines() if part.strip()).replace(": | ", ": ")
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} … {line[-half:]}"


def tell(text: str) -> None:
    """Say something beside the result, in one line on stderr; what was shown before it comes first, in a file too."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    print(f"mcp-kernel: {fold(text)}", file=sys.stderr, flush=True)  # noqa: T201  # this is where it belongs


def show(text: str = "") -> None:
    """Print a piece of the result; whole and as it is where a program reads it."""
    print(scrub(text) if sys.stdout.isatty() else text)  # noqa: T201  # this is where it belongs


def show_json(value: object) -> None:
    """Print the result for a program."""
    print(json.dumps(value, indent=2))  # noqa: T201  # this is where it belongs


def line_width() -> int:
    """How many characters fit the terminal."""
    return max(shutil.get_terminal_size((100, 24)).columns, 40)


def draw_table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """A table that fits the width: the last column gets what is left, and each cell is wrapped.

    A column of numbers stands to the right. A blank line parts rows where one of them has several lines.
    """
    cells = [[scrub(cell) for cell in row] for row in rows]
    numeric = [all(row[n].replace(",", "").isdigit() for row in cells) for n in range(len(heads))]
    natural = [max(measure(line) for row in [heads, *cells] for line in row[n].splitlines()) for n in range(len(heads))]
    widths = _share_out(natural[:-1], width)
    drawn = ["\n".join(_draw_row(row, widths, numeric)) for row in cells]
    gap = "\n\n" if any("\n" in row for row in drawn) else "\n"
    head = "\n".join(_draw_row(heads, widths, numeric))
    return f"{head}\n{gap.join(drawn)}"


def _share_out(natural: Sequence[int], width: int) -> list[int]:
    """The widths of all columns: what the others want, and the rest for the last, which needs some too."""
    widths = [min(each, width // _NARROW) for each in natural]
    gaps = len(_GAP) * len(widths)
    while sum(widths) + gaps + _LEAST > width and max(widths) > _SLIM:
        widths[widths.index(max(widths))] -= 1
    return [*widths, max(width - sum(widths) - gaps, 1)]


def _draw_row(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    columns = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines: list[str] = []
    for n in range(max(map(len, columns))):
        parts = [
            _pad(column[n] if n < len(column) else "", width, right=right)
            for column, width, right in zip(columns, widths, numeric, strict=True)
        ]
        lines.append(_GAP.join(parts).rstrip())
    return lines


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - measure(text))
    return space + text if right else text + space


def measure(text: str) -> int:
    """How many cells of a terminal a line takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or character == "\u200d":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrap(text: str, width: int) -> list[str]:
    """Lines that fit; a word that does not is cut."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            if line and measure(line) + 1 + measure(word) > width:
                lines.append(line)
                line = ""
            line = f"{line} {word}" if line else word
            while measure(line) > width:
                head = _cut(line, width)
                lines.append(head)
                line = line[len(head) :]
        lines.append(line)
    return lines


def _cut(text: str, width: int) -> str:
    used = 0
    for n, character in enumerate(text):
        used += _cells(character)
        if used > width:
            return text[: max(n, 1)]
    return text
