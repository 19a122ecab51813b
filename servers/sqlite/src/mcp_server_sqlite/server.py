"""The server: what is offered of one or several databases, and how it is described to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcp_kernel import Context, Server
from mcp_kernel.toolkits import sql

from . import __version__
from .choice import Choice
from .database import Database
from .policy import Policy
from .refusals import Refusal, UnknownTable
from .writing import InsertResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDescription(sql.ColumnDescription):
    """A column. `generated` is 'virtual' or 'stored'; a masked column reads as NULL."""

    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDescription(sql.TableDescription):
    """All there is to know of a table or view. `row_count` is None where counting took over a second."""

    columns: list[ColumnDescription]  # pyright: ignore[reportIncompatibleVariableOverride]  # frozen: nobody adds to it

    def __str__(self) -> str:
        return "\n".join(self.lines())


DIALECT = sql.Dialect(
    name="SQLite",
    statements="(SELECT, WITH, VALUES, EXPLAIN, or a PRAGMA that reads)",
    values=(
        "What JSON does not have comes as an object, and goes into params\n        as one: "
        '{"$blob": base64}, {"$integer": digits} beyond 2^53, {"$real": "Infinity"}.'
    ),
    params="A list for ? placeholders, an object for :name ones.",
    params_type=list[object] | dict[str, object] | None,
    schema="There is only main; may be left out.",
    described="columns, keys, indexes, foreign keys both ways, triggers, DDL, number of rows",
    table=TableDescription,
)


def build(databases: Sequence[Database], policy: Policy) -> Server:
    """Make the server; with several databases every tool takes a `database` argument."""
    server = Server(
        "mcp-server-sqlite",
        __version__,
        title="SQLite",
        instructions=_instructions(databases, policy),
        tool_errors=(Refusal,),
        not_found=(UnknownTable,),
    )
    choice = Choice(databases)
    seen = sql.install(server, choice, DIALECT)
    if policy.allow_write:
        _add_insert(server, seen)
    for database in databases:
        server.ready_check(f"database {database.name}")(database.check)
    return server


def _instructions(databases: Sequence[Database], policy: Policy) -> str:
    names = ", ".join(f"{each.name} ({each.path.name})" for each in databases)
    noun = "database" if len(databases) == 1 else "databases"
    writing = (
        "insert_record adds rows; nothing else can be changed." if policy.allow_write else "Nothing can be changed."
    )
    return (
        f"Answers questions about the SQLite {noun} {names}. {writing} Call list_tables first, then describe_table for "
        f"the tables you need, then query with SQLite's dialect of SQL: one statement, at most {policy.max_rows} rows."
    )


def _add_insert(server: Server, seen: sql.Seen) -> None:
    @server.tool(destructive=False, open_world=False)
    @seen.bind
    async def insert_record(  # pyright: ignore[reportUnusedFunction]  # registered
        database: Database, table: str, data: dict[str, object], context: Context, idempotency_key: str | None = None
    ) -> InsertResult:
        """Insert one row into a table.

        Args:
            table: A name from list_tables.
            data: Column names to values; columns that are left out get their defaults.
            idempotency_key: Repeating a call with the same key gives the first answer again and inserts nothing.
        """
        owner = "" if context.principal is None else context.principal.name
        return await database.insert_record(table, data, idempotency_key, owner)
