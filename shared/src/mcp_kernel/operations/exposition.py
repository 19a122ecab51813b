"""Figures in the text of Prometheus: the exposition format, version 0.0.4."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mcp_kernel.operations.figures import Labels, Series, key

KIND: Final = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Family:
    """Figures of one name that differ in the values of their labels; `kind` is counter or gauge."""

    def __init__(self, name: str, text: str, kind: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._text = text
        self._kind = kind
        self._labels = tuple(labels)
        self.series: Series = {}
        if not labels:
            self.series[(), 1] = [0.0]

    def add(self, amount: float, *labels: str) -> None:
        """Add to the figure of these labels."""
        values = self.series.get((labels, 1))
        if values is None:
            values = self.series.setdefault(key(labels, self.series), [0.0])
        values[0] += amount

    def lines(self, series: Series) -> Iterator[str]:
        """The family as text, with values of this process or of several."""
        yield from _head(self.name, self._text, self._kind)
        for labels, values in _fitting(series, self._labels, 1):
            yield f"{self.name}{_braces(zip(self._labels, labels, strict=True))} {_write(values[0])}"


class Histogram:
    """How long things took: counted by the bounds that they stayed within, in seconds."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float] = SECONDS) -> None:
        self.name = name
        self._text = text
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._width = len(self._bounds) + 2  # a count for each, one for what is beyond, and the sum
        self.series: Series = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one value."""
        values = self.series.get((labels, self._width))
        if values is None:
            values = self.series.setdefault(key(labels, self.series, self._width), [0.0] * self._width)
        values[bisect_left(self._bounds, value)] += 1
        values[-1] += value

    def lines(self, series: Series) -> Iterator[str]:
        """The family as text, with values of this process or of several; a bucket holds what smaller ones hold too."""
        yield from _head(self.name, self._text, "histogram")
        bounds = [*(_write(bound) for bound in self._bounds), "+Inf"]
        for labels, (*counts, together) in _fitting(series, self._labels, self._width):
            pairs = list(zip(self._labels, labels, strict=True))
            total = 0.0
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_braces([*pairs, ('le', bound)])} {_write(total)}"
            yield f"{self.name}_sum{_braces(pairs)} {_write(together)}"
            yield f"{self.name}_count{_braces(pairs)} {_write(total)}"


def _fitting(series: Series, names: Labels, width: int) -> Iterator[tuple[Labels, list[float]]]:
    """What can be values of a family; what a process said that is none is passed over."""
    for (labels, _), values in series.items():
        if (len(labels), len(values)) == (len(names), width):
            yield labels, values


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
