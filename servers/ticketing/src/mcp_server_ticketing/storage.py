"""What the tracker needs of a database: transactions, and word of what others changed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

Value: TypeAlias = str | int | datetime | None
Row: TypeAlias = Sequence[object]


@dataclass(frozen=True, slots=True)
class Change:
    """A ticket that is another now; `listed` says that the list of open tickets is, too."""

    ticket_id: int
    listed: bool


Listener: TypeAlias = Callable[[Change | None], None]
"""Hears of changes once they are stored, by whomever; None is anything and everything."""


@dataclass(frozen=True, slots=True)
class Schema:
    """How the tables came to be: version N is what the first N migrations make.

    Args:
        exists: SQL whose one value says whether the table `schema_versions` is there.
        migrations: For each version the statements that lead to it from the one before.
        renumber: SQL to run after rows were inserted with numbers of their own, where the engine needs it.
    """

    exists: str
    migrations: Sequence[Sequence[str]]
    renumber: str | None = None


class Work(Protocol):
    """A transaction. Values stand for the `?` of the SQL, in their order; they are never part of it."""

    async def fetch(self, sql: str, *values: Value) -> Sequence[Row]:
        """Run a statement and return its rows."""
        ...

    async def run(self, sql: str, *values: Value) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    async def insert(self, sql: str, *values: Value) -> int:
        """Insert a row into a table with a number, and return the number."""
        ...

    def tell(self, change: Change) -> None:
        """Have the listener told of a change, if and when it is stored."""
        ...


class Storage(Protocol):
    """A database with the desk's tables, which are made at the first use.

    Everything raises `Unavailable` where the database cannot be used.
    """

    origin: str
    """Marks what this process writes, so that it can tell what others wrote."""
    listener: Listener | None

    def writing(self) -> AbstractAsyncContextManager[Work]:
        """A transaction that is committed at its end, and rolled back where an exception ends it."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Work]:
        """A transaction that sees one state of the database throughout."""
        ...

    async def watch(self) -> None:
        """Tell the listener of what others change, until cancelled; what this process writes it hears anyway."""
        ...

    async def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        ...
