"""One line of the table: a measure, its unit, what each contender needed, and the aim."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from .contenders import FASTMCP, FLOOR, MCP, OURS, TYPESCRIPT

SHOWN: Final = (FLOOR, OURS, MCP, FASTMCP, TYPESCRIPT)


@dataclass(frozen=True, slots=True)
class Aim:
    """What ours should be at most, as a share of another's figure; `at_least` turns it round; no name: a figure."""

    share: float
    of: str | None = None
    at_least: bool = False

    def holds(self, row: Row) -> bool:
        """Whether ours reached it."""
        bound = self.share * (1.0 if self.of is None else row.median(self.of))
        return row.median(OURS) >= bound if self.at_least else row.median(OURS) <= bound

    def __str__(self) -> str:
        what = f"{self.share:g}" + ("" if self.of is None else f" of {self.of}")
        return f"at {'least' if self.at_least else 'most'} {what}"


@dataclass(slots=True)
class Row:
    """A measure; `found` has the values of every round, by contender."""

    title: str
    unit: str
    aims: tuple[Aim, ...] = ()
    found: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, value: float) -> None:
        """Note one round's value."""
        self.found.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """The middle of a contender's rounds."""
        return statistics.median(self.found[name])

    def spread(self, name: str) -> float:
        """Half of the range of the middle half of the rounds, as a share of the median; 0 for fewer than two."""
        values = self.found[name]
        if len(values) < 2 or not self.median(name):
            return 0.0
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return (high - low) / 2 / self.median(name)

    def reached(self) -> str:
        """In words whether the aims were reached."""
        known = [aim for aim in self.aims if aim.of is None or aim.of in self.found]
        return "; ".join(f"{aim}: {'yes' if aim.holds(self) else 'NO'}" for aim in known)

    def to_json(self) -> dict[str, object]:
        """The row as data."""
        return {
            "measure": self.title,
            "unit": self.unit,
            "medians": {name: self.median(name) for name in self.found},
            "spreads": {name: self.spread(name) for name in self.found},
            "rounds": self.found,
            "aims": {str(aim): aim.holds(self) for aim in self.aims if aim.of is None or aim.of in self.found},
        }


def write(value: float) -> str:
    """A figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def to_markdown(rows: Iterable[Row]) -> str:
    """The table."""
    lines = [
        f"| measure | {' | '.join(SHOWN)} | ours / mcp | ours / floor | aim |",
        f"|---|{'---|' * (len(SHOWN) + 3)}",
    ]
    for row in rows:
        cells = [_cell(row, name) for name in SHOWN]
        ratios = [_ratio(row, name) for name in (MCP, FLOOR)]
        lines.append(f"| {row.title}, {row.unit} | {' | '.join([*cells, *ratios])} | {row.reached()} |")
    return "\n".join(lines)


def _cell(row: Row, name: str) -> str:
    if name not in row.found:
        return ""
    spread = row.spread(name)
    return write(row.median(name)) + (f" ±{spread * 100:.0f} %" if spread else "")


def _ratio(row: Row, name: str) -> str:
    if name not in row.found or OURS not in row.found or not row.median(name):
        return ""
    return f"{row.median(OURS) / row.median(name):.2f}"
