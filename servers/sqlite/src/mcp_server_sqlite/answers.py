"""What the domain answers with, and how rows are read into an answer within the fences."""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field

from .batches import Batch, read_batches
from .policy import Policy
from .values import STORAGE_CLASSES, Cell

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
    kinds: list[set[type]]
    rows: list[Row] = field(default_factory=list[Row])

    def take(self, batch: Batch) -> bool:
        """Add the rows that fit; False when not all did, before anything was made of the others."""
        weight = batch.weigh()
        whole = weight <= self.room
        taken, weight = (batch, weight) if whole else batch.first(self.room)
        if taken is not None:
            self.room -= weight
            self.rows += taken.encode()
            for kinds, more in zip(self.kinds, taken.kinds, strict=True):
                kinds.update(more)
        return whole

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
    room = policy.max_bytes or MEMORY_CEILING
    sheet = _Sheet(room, [set() for _ in names])
    note = None
    with closing(read_batches(cursor, most)) as batches:
        if not all(map(sheet.take, batches)):
            note = _say_bytes(len(sheet.rows), room)
        elif len(sheet.rows) == most and cursor.fetchone() is not None:
            note = _say_rows(limit, policy)
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
