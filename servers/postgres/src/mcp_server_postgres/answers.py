"""What the domain answers a query with, and the words for what was left out."""

from dataclasses import dataclass, field

from .policy import Policy
from .values import Cell, weigh_row

MEMORY_CEILING = 64 * 1024 * 1024  # of one answer, when the operator set no limit of bytes
Row = list[Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result, with PostgreSQL's name of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows, and whether there were more. `note` says which fence cut them and how to go on."""

    columns: list[Column]
    rows: list[Row]
    row_count: int
    truncated: bool
    elapsed_ms: float
    note: str | None = None


@dataclass(slots=True)
class Sheet:
    """Rows as they come in, and what they weigh."""

    most: int
    room: int
    rows: list[Row] = field(default_factory=list[Row])
    weight: int = 0
    has_cut_values: bool = False

    def take(self, row: Row) -> bool:
        """Add a row; False when it does not fit."""
        weight = weigh_row(row)
        if self.weight + weight > self.room:
            return False
        self.weight += weight
        self.rows.append(row)
        return True

    def take_all(self, rows: list[Row], weight: int) -> bool:
        """Add rows that weigh so much together; False, and none is added, when they do not all fit."""
        if self.weight + weight > self.room:
            return False
        self.weight += weight
        self.rows += rows
        return True


def say_rows(limit: int, policy: Policy) -> str:
    """Say that the rows were cut, and how to go on."""
    if limit < policy.max_rows:
        return (
            f"Cut after {limit} rows, the limit of this call. There are more: raise limit (up to {policy.max_rows}), "
            f"or go on with ORDER BY ... LIMIT {limit} OFFSET {limit} in the SQL."
        )
    return (
        f"Cut after {policy.max_rows} rows, the most this server returns. There are more: go on with ORDER BY ... "
        f"LIMIT {policy.max_rows} OFFSET {policy.max_rows} in the SQL, or narrow it by WHERE or GROUP BY."
    )


def say_bytes(rows: int, room: int) -> str:
    """Say that the bytes were cut, and how to go on."""
    if rows:
        return (
            f"Cut after {rows} rows: the next would go beyond {room} bytes, the most an answer may take. Go on with "
            f"ORDER BY ... LIMIT {rows} OFFSET {rows} in the SQL, or select fewer columns."
        )
    return (
        f"The first row alone is larger than {room} bytes, the most an answer may take. Select fewer columns, or a "
        "part of the long ones: left(column, 1000), length(column)."
    )


CUT_VALUES = (
    'Values too long for the answer are shown as {"$cut": their beginning, "bytes": their length}: read on with '
    "substr(column, 1001, 1000)."
)
