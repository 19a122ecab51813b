"""What a process has counted, as plain data: how it is passed on, and added to that of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from pydantic_core import from_json, to_json

MOST_SERIES: Final = 2000  # of one family; what comes beyond is counted together
_MOST: Final = 2.0**53  # up to which floats count exactly

Labels: TypeAlias = tuple[str, ...]
Series: TypeAlias = dict[tuple[Labels, int], list[float]]
"""The values of a family by labels and number of values: what differs in number is never added up."""
Figures: TypeAlias = dict[str, Series]
"""By the names of the families."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one process has to say.

    Attributes:
        lasting: What only grows, and outlives whoever counted it.
        passing: How it is now; of a process that is gone it is nothing.
        present: What there is now, by family, each under a name of its own: what two know of is there once.
    """

    lasting: Figures = field(default_factory=dict[str, Series])
    passing: Figures = field(default_factory=dict[str, Series])
    present: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


@dataclass(frozen=True, slots=True)
class Total:
    """What all processes have to say: `figures`, and how many gave theirs now (`heard`), or did not (`silent`)."""

    figures: Figures
    heard: int
    silent: int


def key(labels: Labels, series: Series, width: int = 1) -> tuple[Labels, int]:
    """Under which these labels are counted: of what is new, and one too many, it is a place for all such."""
    found = (labels, width)
    return found if found in series or len(series) < MOST_SERIES else (("other",) * len(labels), width)


def add(total: Figures, figures: Figures) -> None:
    """Add figures to others."""
    for name, series in figures.items():
        mine = total.setdefault(name, {})
        for (labels, width), values in series.items():
            place = key(labels, mine, width)
            before = mine.get(place)
            mine[place] = list(values) if before is None else [a + b for a, b in zip(before, values, strict=True)]


def add_up(reports: Iterable[Report], gone: Figures | None = None) -> Figures:
    """What several processes have to say together; `gone` is what stays of others."""
    figures: Figures = {}
    add(figures, gone or {})
    present: dict[str, set[str]] = {}
    for each in reports:
        add(figures, each.lasting)
        add(figures, each.passing)
        for name, found in each.present.items():
            present.setdefault(name, set()).update(found)
    add(figures, {name: {((), 1): [float(len(found))]} for name, found in present.items()})
    return figures


def write_line(kind: str, number: int, *parts: object) -> bytes:
    """A message between the processes, as a line of JSON."""
    return to_json([kind, number, *(_plain(part) for part in parts)]) + b"\n"


def _plain(part: object) -> object:
    if isinstance(part, Report):
        return [_flat(part.lasting), _flat(part.passing), part.present]
    if isinstance(part, Total):
        return [_flat(part.figures), part.heard, part.silent]
    return part


def _flat(figures: Figures) -> dict[str, list[tuple[Labels, list[float]]]]:
    return {name: [(labels, found) for (labels, _), found in series.items()] for name, series in figures.items()}


def read_line(line: bytes) -> tuple[str, int, list[object]]:
    """The kind, the number and the parts of a message; raises `ValueError` for what is none."""
    kind, number, *parts = _list(from_json(line))
    if not isinstance(kind, str) or not isinstance(number, int):
        raise ValueError("a message begins with its kind and its number")
    return kind, number, parts


def read_report(part: object) -> Report:
    """A report that was passed on; raises `ValueError` for what is none."""
    lasting, passing, present = _list(part)
    names = {name: [_text(each) for each in _list(found)] for name, found in _mapping(present).items()}
    return Report(_figures(lasting), _figures(passing), names)


def read_total(part: object) -> Total:
    """A total that was passed on; raises `ValueError` for what is none."""
    figures, heard, silent = _list(part)
    return Total(_figures(figures), int(_value(heard)), int(_value(silent)))


def _figures(part: object) -> Figures:
    found: Figures = {}
    for name, series in _mapping(part).items():
        mine = found.setdefault(name, {})
        for each in _list(series):
            labels, values = _list(each)
            numbers = [_value(value) for value in _list(values)]
            mine[tuple(map(_text, _list(labels))), len(numbers)] = numbers
    return found


def _list(part: object) -> list[object]:
    if not isinstance(part, list):
        raise ValueError("a list is missing")
    return cast("list[object]", part)


def _mapping(part: object) -> Mapping[str, object]:
    if not isinstance(part, dict):
        raise ValueError("an object is missing")
    return cast("dict[str, object]", part)


def _text(part: object) -> str:
    if not isinstance(part, str):
        raise ValueError("a text is missing")
    return part


def _value(part: object) -> float:
    if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= _MOST:
        raise ValueError("a figure is missing")
    return part
