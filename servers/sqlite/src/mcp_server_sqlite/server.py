"""The server: what is offered of one or several databases, and how it is described to a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Annotated, Literal

from annotated_types import Ge

from mcp_kernel import Column, Message, Server, Table

from . import __version__
from .answers import QueryResult
from .catalog import TableDescription, Tables
from .choice import Choice
from .database import Database
from .plan import Plan
from .policy import Policy
from .refusals import Refusal, UnknownTable
from .writing import InsertResult

Params = list[object] | dict[str, object]
Limit = Annotated[int, Ge(1)]
Focus = Literal["quality", "patterns", "summary"]

_ADVICE = {
    "quality": "Look for missing values, duplicates, values out of range, broken references and mixed formats.",
    "patterns": "Look for trends over time, groups that differ, correlations and outliers.",
    "summary": "Say what a row stands for, how many there are, and what the important columns hold.",
}


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
    _add_tools(server, choice)
    if policy.allow_write:
        _add_insert(server, choice)
    _add_resources(server, choice)
    _add_prompts(server, databases)
    _add_watcher(server, choice)

    @server.on_close
    async def close() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        for database in databases:
            await database.close()

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


def _add_tools(server: Server, choice: Choice) -> None:
    @server.tool(read_only=True, open_world=False)
    @choice.bind
    async def query(database: Database, sql: str, params: Params | None = None, limit: Limit = 100) -> Table:
        """Run one read-only SQL statement (SELECT, WITH, VALUES, EXPLAIN, or a PRAGMA that reads) and return its rows.

        Pass values in params, never inside the SQL. What JSON does not have comes as an object, and goes into params
        as one: {"$blob": base64}, {"$integer": digits} beyond 2^53, {"$real": "Infinity"}.

        Args:
            sql: One statement in SQLite's dialect.
            params: A list for ? placeholders, an object for :name ones.
            limit: How many rows at most.
        """
        return _to_table(await database.query(sql, params, limit))

    @server.tool(read_only=True, open_world=False)
    @choice.bind
    async def list_tables(database: Database, schema: str | None = None, pattern: str | None = None) -> Tables:
        """List the tables and views that can be read, with the number of their columns and rows.

        Args:
            schema: There is only main; may be left out.
            pattern: A part of the name, or a pattern with * and ?.
        """
        return Tables(await database.list_tables(schema, pattern))

    @server.tool(read_only=True, open_world=False)
    @choice.bind
    async def describe_table(database: Database, table_name: str, schema: str | None = None) -> TableDescription:
        """Describe a table or view: columns, keys, indexes, foreign keys both ways, triggers, DDL, number of rows.

        Args:
            table_name: A name from list_tables.
            schema: There is only main; may be left out.
        """
        return await database.describe_table(table_name, schema)

    @server.tool(read_only=True, open_world=False)
    @choice.bind
    async def explain_query(database: Database, sql: str, analyze: bool = False) -> Plan:
        """Show how SQLite would run a statement: its plan as a tree, with a warning for whatever will be slow.

        Args:
            sql: One statement that reads.
            analyze: Also run it, and say how long it took and how many rows it gave.
        """
        return await database.explain_query(sql, analyze=analyze)


def _add_insert(server: Server, choice: Choice) -> None:
    @server.tool(destructive=False, open_world=False)
    @choice.bind
    async def insert_record(
        database: Database, table: str, data: dict[str, object], idempotency_key: str | None = None
    ) -> InsertResult:
        """Insert one row into a table.

        Args:
            table: A name from list_tables.
            data: Column names to values; columns that are left out get their defaults.
            idempotency_key: Repeating a call with the same key gives the first answer again and inserts nothing.
        """
        return await database.insert_record(table, data, idempotency_key)


def _add_resources(server: Server, choice: Choice) -> None:
    prefix = choice.uri_prefix
    tables, schemas = f"{prefix}/tables/{{table}}", f"{prefix}/tables/{{table}}/schema"

    @server.resource(f"{prefix}/schema", name="schema", title="Schema", mime_type="application/sql")
    @choice.bind
    async def schema(database: Database) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """The DDL of every table, view, index and trigger."""
        return await database.schema_ddl()

    @server.resource(tables, name="table", title="First rows of a table", mime_type="text/markdown")
    @choice.bind
    async def rows(database: Database, table: str) -> Table:  # pyright: ignore[reportUnusedFunction]  # registered
        """The first rows of a table."""
        return _to_table(await database.sample_rows(table))

    @server.resource(schemas, name="table-schema", title="Schema of a table", mime_type="application/sql")
    @choice.bind
    async def table_schema(database: Database, table: str) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """The DDL of one table, with its indexes and triggers."""
        return await database.schema_ddl(table)

    @server.members(tables)
    async def members() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [
            {**choice.variables(database), "table": name}
            for database in choice.databases
            for name in await _names(database)
        ]

    for template in (tables, schemas):

        @server.complete(template, "table")
        @choice.bind
        async def complete(database: Database, prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
            return _starting(await _names(database), prefix)

    if choice.is_needed:
        for template in (f"{prefix}/schema", tables, schemas):

            @server.complete(template, "database")
            async def complete_name(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
                return _starting([database.name for database in choice.databases], prefix)


def _add_prompts(server: Server, databases: Sequence[Database]) -> None:
    @server.prompt("analyze-table", title="Analyze a table")
    def analyze_table(table_name: str, focus: Focus = "summary") -> list[Message]:  # pyright: ignore[reportUnusedFunction]  # registered
        """Look into one table.

        Args:
            table_name: The table to look into.
            focus: What to look for.
        """
        return [
            Message(
                f"Analyze the table {table_name}. First call describe_table, then look at some rows with query. "
                f"{_ADVICE[focus]} Let the database count and group; do not fetch whole tables. "
                "End with what you found, each point with the query that shows it."
            )
        ]

    @server.prompt("write-query", title="Write a query")
    def write_query(question: str) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Turn a question into SQL and answer it.

        Args:
            question: What you want to know.
        """
        return (
            f"Answer this from the database: {question}\n\nCall list_tables and describe_table to see what there is. "
            "Write one SELECT in SQLite's dialect, check it with explain_query if it reads big tables, run it with "
            "query, and give the answer with the SQL that led to it."
        )

    @server.complete("analyze-table", "table_name")
    async def complete(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        names = [name for database in databases for name in await _names(database)]
        return _starting(sorted(set(names)), prefix)


def _add_watcher(server: Server, choice: Choice) -> None:
    async def watch_one(database: Database, subscribed: Iterable[str]) -> None:
        changes: AsyncIterable[None] = database.changes()
        async for _ in changes:
            for uri in subscribed:
                if choice.owns(database, uri):
                    server.changed(uri)

    @server.watcher
    async def watch(subscribed: Iterable[str]) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        async with asyncio.TaskGroup() as group:
            for database in choice.databases:
                group.create_task(watch_one(database, subscribed))


async def _names(database: Database) -> list[str]:
    """The tables of a database; none while it cannot be opened, since lists must answer all the same."""
    try:
        return await database.table_names()
    except Refusal:
        return []


def _starting(names: Iterable[str], prefix: str) -> list[str]:
    return [name for name in names if name.lower().startswith(prefix.lower())]


def _to_table(result: QueryResult) -> Table:
    return Table(
        columns=[Column(column.name, column.type) for column in result.columns],
        rows=[list[object](row) for row in result.rows],
        row_count=result.row_count,
        truncated=result.truncated,
        elapsed_ms=result.elapsed_ms,
        note=result.note,
    )
