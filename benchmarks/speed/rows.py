"""A table: who stands in it, and a line for each measure, with what each contender needed, and the aim."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field

from .contenders import FLOOR, OURS


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
        what = f"{self.share:.3g}" + ("" if self.of is None else f" of {self.of}")
        return f"at {'least' if self.at_least else 'most'} {what}"


@dataclass(slots=True)
class Row:
    """A measure; `found` has the values of every round, by contender, and `missing` why a contender has none."""

    title: str
    unit: str
    aims: tuple[Aim, ...] = ()
    found: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    missing: dict[str, str] = field(default_factory=dict[str, str])

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

    def known_aims(self) -> list[Aim]:
        """Those whose measure was taken here."""
        return [aim for aim in self.aims if OURS in self.found and (aim.of is None or aim.of in self.found)]

    def reached(self) -> str:
        """In words whether the aims were reached."""
        return "; ".join(f"{aim}: {'yes' if aim.holds(self) else 'NO'}" for aim in self.known_aims())

    def to_json(self) -> dict[str, object]:
        """The row as data."""
        return {
            "measure": self.title,
            "unit": self.unit,
            "medians": {name: self.median(name) for name in self.found},
            "spreads": {name: self.spread(name) for name in self.found},
            "rounds": self.found,
            "missing": self.missing,
            "aims": {str(aim): aim.holds(self) for aim in self.known_aims()},
        }


@dataclass(slots=True)
class Part:
    """A table under a heading: its floors, ours, the `peers`; ours is divided by those `beside` and by the floor."""

    heading: str
    about: str
    peers: tuple[str, ...]
    beside: tuple[str, ...]
    floors: tuple[str, ...] = (FLOOR,)
    rows: list[Row] = field(default_factory=list[Row])

    def lack(self, absent: dict[str, str]) -> None:
        """Note in every row who is not there."""
        for row in self.rows:
            row.missing.update(absent)

    def to_markdown(self) -> str:
        """Heading, words and table."""
        beside = (*self.beside, FLOOR)
        head = ["measure", *self.floors, OURS, *self.peers, *(f"ours / {name}" for name in beside), "aim"]
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for row in self.rows:
            title = f"{row.title}, {row.unit}" if row.unit else row.title
            cells = [_write_cell(row, name) for name in (*self.floors, OURS, *self.peers)]
            ratios = [_write_ratio(row, name) for name in beside]
            lines.append(f"| {' | '.join([title, *cells, *ratios, row.reached()])} |")
        about = textwrap.fill(self.about, 120, break_on_hyphens=False, break_long_words=False)
        return f"## {self.heading}\n\n{about}\n\n" + "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """The table as data."""
        return {"heading": self.heading, "rows": [row.to_json() for row in self.rows]}


def to_markdown(parts: Iterable[Part]) -> str:
    """All tables, one under another."""
    return "\n\n".join(part.to_markdown() for part in parts)


def write(value: float) -> str:
    """A figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _write_cell(row: Row, name: str) -> str:
    if name not in row.found:
        return row.missing.get(name, "").replace("|", "/")[:60]
    spread = row.spread(name)
    return write(row.median(name)) + (f" ±{spread * 100:.0f} %" if spread else "")


def _write_ratio(row: Row, name: str) -> str:
    if name not in row.found or OURS not in row.found or not row.median(name):
        return ""
    return f"{row.median(OURS) / row.median(name):.2f}"
