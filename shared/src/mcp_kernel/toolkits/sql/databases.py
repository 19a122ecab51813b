"""What a database must be able to do to be served, and which one a call means where there are several."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Protocol

Handler = Callable[..., Awaitable[object]]
Params = list[object] | dict[str, object]


class ResultColumn(Protocol):
    """A column of a result."""

    @property
    def name(self) -> str:
        """Its name in the result."""
        ...

    @property
    def type(self) -> str:
        """The engine's name of its type."""
        ...


class Result(Protocol):
    """Rows that were read."""

    @property
    def columns(self) -> Sequence[ResultColumn]:
        """What the rows have."""
        ...

    @property
    def rows(self) -> Sequence[Sequence[object]]:
        """The rows, lists of values that JSON has. The answer keeps them: they do not change any more."""
        ...

    @property
    def truncated(self) -> bool:
        """Whether there were more."""
        ...

    @property
    def elapsed_ms(self) -> float:
        """How long it took."""
        ...

    @property
    def note(self) -> str | None:
        """What was left out, and how to go on."""
        ...


class Database(Protocol):
    """One database, read-only by its own means.

    `list_tables` gives objects with the fields of the dialect's `TableSummary`, `describe_table` and `explain_query`
    with those of its `TableDescription` and `Plan`. What it refuses it raises as one of the server's `tool_errors`, a
    table that is not there as one of its `not_found`.
    """

    @property
    def name(self) -> str:
        """What callers know it by."""
        ...

    async def query(self, sql: str, params: Params | None = None, limit: int = 100) -> Result:
        """Run one statement that reads."""
        ...

    async def list_tables(self, schema: str | None = None, pattern: str | None = None) -> Sequence[object]:
        """List what may be read."""
        ...

    async def describe_table(self, table: str, schema: str | None = None) -> object:
        """Describe one table."""
        ...

    async def explain_query(self, sql: str, *, analyze: bool = False) -> object:
        """Give the plan of a statement."""
        ...

    async def table_names(self) -> list[str]:
        """Give the names under which tables may be asked for."""
        ...

    async def sample_rows(self, table: str) -> Result:
        """Give the first rows of a table."""
        ...

    async def schema_ddl(self, table: str | None = None) -> str:
        """Write one table, or all, as SQL."""
        ...

    async def policy_warnings(self) -> list[str]:
        """Name what is withheld but not there: a misspelling is a hole that nobody sees."""
        ...

    async def without(self, tables: frozenset[str]) -> Database:
        """Give the same database for somebody for whom these tables do not exist either."""
        ...

    def changes(self) -> AsyncIterable[None]:
        """Yield whenever what is read may have changed."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class Databases(Protocol):
    """Which database a call means.

    `bind` takes a handler whose parameter `database` is a `Database` and returns it as clients see it. `uri_prefix` is
    how the URIs of resources begin, and `variables` what in them tells a database.
    """

    @property
    def databases(self) -> Sequence[Database]:
        """All of them."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The names to choose from; none where there is no choice."""
        ...

    @property
    def uri_prefix(self) -> str:
        """`db:/`, or with a variable `database` where there is a choice."""
        ...

    def variables(self, database: Database) -> dict[str, str]:
        """The variables of a URI that tell a database."""
        ...

    def owns(self, database: Database, uri: str) -> bool:
        """Tell whether a resource is one of this database."""
        ...

    def bind(self, function: Handler) -> Handler:
        """Return a handler as clients see it."""
        ...


class One:
    """The only database there is: no client is asked which."""

    names: Sequence[str] = ()
    uri_prefix = "db:/"

    def __init__(self, database: Database) -> None:
        self.databases: Sequence[Database] = (database,)

    def variables(self, database: object) -> dict[str, str]:
        """Nothing: there is no choice."""
        return {}

    def owns(self, database: object, uri: str) -> bool:
        """Every resource is."""
        return True

    def bind(self, function: Handler) -> Handler:
        """Fill in the database."""

        @functools.wraps(function)
        async def bound(**arguments: object) -> object:
            return await function(database=self.databases[0], **arguments)

        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
        del hints["database"]
        kept = [each for name, each in signature.parameters.items() if name != "database"]
        bound.__signature__ = signature.replace(parameters=kept)  # pyright: ignore[reportAttributeAccessIssue]  # what inspect reads
        bound.__annotations__ = hints
        return bound
