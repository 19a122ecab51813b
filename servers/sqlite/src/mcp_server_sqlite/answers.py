"""What the domain answers with, and how rows are read into an answer one by one within the fences."""

import sqlite3
import time
from dataclasses import dataclass, field

from .policy import Policy
from .values import STORAGE_CLASSES, Cell, encode_row, weigh_row

MEMORY_CEILING = 64 * 1024 * 1024  # of one answer, when the operator set no limit of bytes
Row = list[Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result.

    The type is the storage class seen in the rows: INTEGER, REAL, TEXT, BLOB; ANY where they differ, NULL where every
    value is. The declared type is not known: Python's module does not hand it out, and an expression has none.
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows, and whether there were more. `note` says which fence cut them and how to go on, or what is masked."""

    columns: list[Column]
    rows: list[Row]
    row_count: int
    truncated: bool
    elapsed_ms: float
    note: str | None = None


@dataclass(slots=True)
class _Sheet:
    """Rows as they come in, and what they weigh."""

    room: int
    rows: list[Row] = field(default_factory=list[Row])
    kinds: list[set[type]] = field(default_factory=list[set[type]])
    shape: tuple[type, ...] = ()
    weight: int = 0

    def take(self, row: tuple[object, ...]) -> bool:
        """Add a row; False when it does not fit, before anything was made of it."""
        weight = weigh_row(row)
        if self.weight + weight > self.room:
            return False
        self.weight += weight
        self.rows.append(encode_row(row))
        shape = tuple(map(type, row))
        if shape != self.shape:  # mostly each row is as the one before
            self.shape = shape
            for kinds, kind in zip(self.kinds, shape, strict=True):
                kinds.add(kind)
        return True

    def name_type(self, column: int) -> str:
        """Give the storage class of a column."""
        seen = {STORAGE_CLASSES[kind] for kind in self.kinds[column]} - {"NULL"}
        if len(seen) > 1:
            return "ANY"
        return seen.pop() if seen else "NULL"


def collect(cursor: sqlite3.Cursor, limit: int, policy: Policy, began: float) -> QueryResult:
    """Read at most `limit` rows, at most the policy's rows and bytes, and say what was left out."""
    names = [str(column[0]) for column in cursor.description]
    most = min(limit, policy.max_rows)
    sheet = _Sheet(policy.max_bytes or MEMORY_CEILING, kinds=[set() for _ in names])
    note = None
    while (row := cursor.fetchone()) is not None:
        if len(sheet.rows) == most:
            note = _say_rows(limit, policy)
            break
        if not sheet.take(row):
            note = _say_bytes(len(sheet.rows), sheet.room)
            break
    cursor.close()
    columns = [Column(name, sheet.name_type(place)) for place, name in enumerate(names)]
    elapsed = round((time.monotonic() - began) * 1000, 3)
    return QueryResult(columns, sheet.rows, len(sheet.rows), note is not None, elapsed, note)


def _say_rows(limit: int, policy: Policy) -> str:
    if limit < policy.max_rows:
        return (
            f"Cut after {limit} rows, the limit of this call. There are more: raise limit (up to {policy.max_rows}), "
            f"or go on with ORDER BY ... LIMIT {limit} OFFSET {limit} in the SQL."
        )
    return (
        f"Cut after {policy.max_rows} rows, the most this server returns. There are more: go on with ORDER BY ... "
        f"LIMIT {policy.max_rows} OFFSET {policy.max_rows} in the SQL, or narrow it by WHERE or GROUP BY."
    )


def _say_bytes(rows: int, room: int) -> str:
    if rows:
        return (
            f"Cut after {rows} rows: the next would go beyond {room} bytes, the most an answer may take. Go on with "
            f"ORDER BY ... LIMIT {rows} OFFSET {rows} in the SQL, or select fewer columns."
        )
    return (
        f"The first row alone is larger than {room} bytes, the most an answer may take. Select fewer columns, or a "
        "part of the long ones: substr(column, 1, 1000), length(column)."
    )
