"""Running one examined statement through a cursor, in steps, with every value measured in the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from .analysis import Touched
from .answers import CUT_VALUES, MEMORY_CEILING, Column, Row, Sheet, say_bytes, say_rows
from .driver import CURSOR, Connection
from .driver import Row as Record
from .kinds import Kind
from .policy import Policy
from .values import Cell, choose_decoder, decode, decode_column, weigh_column

SHOWN = 1000  # characters of a value that is too long
ROW = 16 * 1024 * 1024  # bytes that one row may bring at the very most
STEP = 2000
LONGEST_VALUE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that the engine has accepted and taken apart.

    `sql` has its parameters as texts with casts to `parameter_types`; `touched` is None where it could not be taken
    apart.
    """

    original: str
    sql: str
    parameters: tuple[Kind, ...]
    parameter_types: tuple[str, ...]
    columns: tuple[Column, ...]
    kinds: tuple[Kind, ...]
    touched: Touched | None


class Reading:
    """One statement and the fences it is read within."""

    def __init__(self, statement: Statement, policy: Policy) -> None:
        self._statement = statement
        self._policy = policy
        self._decoders = [choose_decoder(kind) for kind in statement.kinds]
        self._room = policy.max_bytes or MEMORY_CEILING
        self._long = sum(kind.is_long for kind in statement.kinds)
        self._longest = min(self._room, LONGEST_VALUE, ROW // max(1, self._long))

    async def run(self, connection: Connection, values: Sequence[str | None], limit: int) -> tuple[Sheet, str | None]:
        """Read at most `limit` rows; the second value says what was left out."""
        most = min(limit, self._policy.max_rows)
        sheet = Sheet(most, self._room)
        wanted = min(STEP, most + 1)
        batch = await connection.open(self.write(), values, _fetch(wanted))
        while True:
            for record in self._take_step(batch, sheet):
                if len(sheet.rows) == most:
                    return sheet, say_rows(limit, self._policy)
                if self._is_blank(record) or not sheet.take(self._read_row(record, sheet)):
                    return sheet, say_bytes(len(sheet.rows), sheet.room)
            if len(batch) < wanted:
                return sheet, None
            wanted = min(STEP, most + 1 - len(sheet.rows))
            batch = await connection.fetch(_fetch(wanted))

    def _take_step(self, batch: Sequence[Record], sheet: Sheet) -> Sequence[Record]:
        """Take the rows of a step column by column, and give those that are left: all of them, unless all fit.

        It takes half the time, most of which a column spends in loops of the interpreter's own.
        """
        taken = batch[: sheet.most - len(sheet.rows)]
        columns: list[Sequence[object]] = list(zip(*taken, strict=True))
        if not columns or (
            self._long and any(columns.pop())
        ):  # values that were cut, or rows left blank, come with a word
            return batch
        cells = [decode_column(values, kind) for values, kind in zip(columns, self._statement.kinds, strict=True)]
        weight = 2 * len(taken) + sum(map(weigh_column, cells))
        return batch[len(taken) :] if sheet.take_all(list(map(list, zip(*cells, strict=True))), weight) else batch

    def write(self) -> str:
        """Write the statement so that every value comes in a form the driver reads, cut where it is too long.

        The statement stands in parentheses, which it has been shown to fit into, and behind OFFSET 0, so that the
        planner plans it as it stands and computes each value once. A running total of lengths, which no sort is needed
        for, leaves the rows blank that come after more than an answer can hold: so a step may ask for many.
        """
        kinds = self._statement.kinds
        if not any(kind.is_long or not kind.is_direct for kind in kinds):
            return self._statement.sql
        inner = ", ".join(f"{_express(kind, place)} AS t{place}" for place, kind in enumerate(kinds))
        names = ", ".join(f"c{place}" for place in range(len(kinds)))
        source = f"(SELECT * FROM ({self._statement.sql}\n) s OFFSET 0) q({names})"  # noqa: S608  # taken whole
        texts = f"(SELECT {inner} FROM {source} OFFSET 0) z"  # noqa: S608  # built above
        places = [place for place, kind in enumerate(kinds) if kind.is_long]
        if not places:
            return f"SELECT * FROM {texts}"  # noqa: S608  # as above
        cut = ", ".join(f"{self._measure(kind, place)} AS t{place}" for place, kind in enumerate(kinds))
        sizes = f"pg_catalog.concat_ws(',', VARIADIC ARRAY[{', '.join(map(self._size, places))}])"
        sizes = f"CASE WHEN {' OR '.join(map(self._is_too_long, places))} THEN {sizes} END AS sizes"
        weight = " OPERATOR(pg_catalog.+) ".join(map(self._weigh, places))
        cuts = f"(SELECT {cut}, {sizes}, {weight} AS weight FROM {texts} OFFSET 0) y"  # noqa: S608  # as above
        total = "pg_catalog.sum(weight) OVER (ROWS UNBOUNDED PRECEDING) AS total"
        outer = [self._blank(kind, place) for place, kind in enumerate(kinds)]
        outer.append(f"CASE WHEN {self._is_over} THEN 'blank' ELSE sizes END")
        return f"SELECT {', '.join(outer)} FROM (SELECT y.*, {total} FROM {cuts}) x"  # noqa: S608  # as above

    def _blank(self, kind: Kind, place: int) -> str:
        return f"CASE WHEN NOT {self._is_over} THEN t{place} END" if kind.is_long else f"t{place}"

    @property
    def _is_over(self) -> str:
        return f"(total OPERATOR(pg_catalog.>) {2 * self._room + self._longest})"

    def _weigh(self, place: int) -> str:
        return f"LEAST(COALESCE(pg_catalog.octet_length(t{place}), 0), {self._longest})"

    def _is_blank(self, record: Record) -> bool:
        return self._long > 0 and record[len(self._statement.kinds)] == "blank"

    def _measure(self, kind: Kind, place: int) -> str:
        if not kind.is_long:
            return f"t{place}"
        cut = f"pg_catalog.substring(t{place}, 1, {SHOWN})"
        return f"CASE WHEN {self._is_too_long(place)} THEN {cut} ELSE t{place} END"

    def _size(self, place: int) -> str:
        size = f"pg_catalog.concat('{place}:', pg_catalog.octet_length(t{place}))"
        return f"CASE WHEN {self._is_too_long(place)} THEN {size} END"

    def _is_too_long(self, place: int) -> str:
        return f"pg_catalog.octet_length(t{place}) OPERATOR(pg_catalog.>) {self._longest}"

    def _read_row(self, record: Record, sheet: Sheet) -> Row:
        kinds = self._statement.kinds
        if not (self._long and record[len(kinds)]):
            return [decoder(value) for decoder, value in zip(self._decoders, record, strict=False)]  # sizes come last
        sheet.has_cut_values = True
        sizes = dict(each.split(":") for each in record[len(kinds)].split(","))
        return [
            _say_cut(record[place], sizes[str(place)]) if str(place) in sizes else decode(record[place], kind)
            for place, kind in enumerate(kinds)
        ]


def _fetch(rows: int) -> str:
    return f"FETCH {rows} FROM {CURSOR}"


def _say_cut(value: object, length: str) -> Cell:
    if isinstance(value, bytes):
        shown = decode(value, Kind("bytea", "bytea"))
        return {"$cut": shown, "bytes": int(length)}
    return {"$cut": str(value), "bytes": int(length)}


def _express(kind: Kind, place: int) -> str:
    if kind.form == "void":
        return "NULL::pg_catalog.text"
    if kind.is_direct:
        return f"c{place}"
    if kind.output:
        return f"pg_catalog.textin(pg_catalog.{kind.output}(c{place}))"
    # By the type's own output function; a cast to text may be a function of somebody's.
    return f"CASE WHEN c{place} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', c{place}) END"


def join_notes(sheet: Sheet, note: str | None) -> str | None:
    """What was left out, and that values were cut, in one note."""
    return " ".join(filter(None, (note, CUT_VALUES if sheet.has_cut_values else None))) or None
