"""Figures in the text of Prometheus: the exposition format, version 0.0.4."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

KIND: Final = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
MOST_SERIES: Final = 2000  # of one family; what comes beyond is counted together

Labels: TypeAlias = tuple[str, ...]


class Family:
    """Figures of one name that differ in the values of their labels; `kind` is counter or gauge."""

    def __init__(self, name: str, text: str, kind: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._text = text
        self._kind = kind
        self._labels = tuple(labels)
        self._values: dict[Labels, float] = {}
        self._functions: list[Callable[[], float]] = []
        if not labels:
            self._values[()] = 0.0

    def add(self, amount: float, *labels: str) -> None:
        """Add to the figure of these labels."""
        values = self._values
        if labels not in values and len(values) >= MOST_SERIES:
            labels = ("other",) * len(labels)
        values[labels] = values.get(labels, 0.0) + amount

    def read(self, function: Callable[[], float]) -> None:
        """Add what a function returns, at the time of asking, to the figure, which has no labels then."""
        self._functions.append(function)

    def lines(self) -> Iterator[str]:
        """The family as text."""
        yield from _head(self.name, self._text, self._kind)
        for labels, value in self._values.items():
            found = value + sum(function() for function in self._functions)
            yield f"{self.name}{_braces(zip(self._labels, labels, strict=True))} {_write(found)}"


class Histogram:
    """How long things took: counted by the bounds that they stayed within, in seconds."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float] = SECONDS) -> None:
        self.name = name
        self._text = text
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one value."""
        counts = self._counts.get(labels)
        if counts is None:
            if len(self._counts) >= MOST_SERIES:
                labels = ("other",) * len(labels)
            counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> Iterator[str]:
        """The family as text; each bucket holds what the smaller ones hold too."""
        yield from _head(self.name, self._text, "histogram")
        bounds = [*(_write(bound) for bound in self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            pairs = list(zip(self._labels, labels, strict=True))
            total = 0
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_braces([*pairs, ('le', bound)])} {total}"
            yield f"{self.name}_sum{_braces(pairs)} {_write(self._sums[labels])}"
            yield f"{self.name}_count{_braces(pairs)} {total}"


def _head(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _braces(pairs: Iterable[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escape(value)}"' for name, value in pairs)
    return f"{{{inner}}}" if inner else ""


def _escape(value: str) -> str:
    """A label's value between quotation marks; what UTF-8 does not have is replaced."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return plain.encode("utf-8", "replace").decode()


def _write(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
