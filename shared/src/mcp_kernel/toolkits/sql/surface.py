"""The surface itself: four tools, three resources, two prompts, their completion, and the watching."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from annotated_types import Ge

from mcp_kernel.server.content import Column, Message, Table
from mcp_kernel.server.context import Context
from mcp_kernel.server.server import Server
from mcp_kernel.toolkits.sql.databases import Database, Databases, Handler, Params, Result
from mcp_kernel.toolkits.sql.seen import Narrow, Seen, withhold
from mcp_kernel.toolkits.sql.shapes import Mould, Plan, TableDescription, Tables, TableSummary

Limit = Annotated[int, Ge(1)]
Focus = Literal["quality", "patterns", "summary"]
_READS: dict[str, Any] = {"read_only": True, "open_world": False}
_ADVICE = {
    "quality": "Look for missing values, duplicates, values out of range, broken references and mixed formats.",
    "patterns": "Look for trends over time, groups that differ, correlations and outliers.",
    "summary": "Say what a row stands for, how many there are, and what the important columns hold.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What differs from engine to engine, in what a model is told and in what it is answered.

    Args:
        name: The engine, as in "write it in SQLite's dialect".
        statements: What `query` takes, in parentheses.
        values: How values go in and come out.
        params: What `params` are.
        params_type: The type of `params`.
        schema: What `schema` is.
        described: What `describe_table` tells.
        table: The shape of a description, `TableDescription` or one derived from it.
        plan: The shape of a plan, `Plan` or one derived from it.
    """

    name: str
    statements: str
    values: str
    params: str
    params_type: object
    schema: str
    described: str
    table: type[TableDescription] = TableDescription
    plan: type[Plan] = Plan

    @property
    def possessive(self) -> str:
        """The name with its s."""
        return f"{self.name}'s"


def install(server: Server, databases: Databases, dialect: Dialect, narrow: Narrow = withhold) -> Seen:
    """Declare everything that SQL servers have in common; `narrow` says what of a database a request sees."""
    seen = Seen(databases, narrow)
    _add_tools(server, seen, dialect)
    _add_describing(server, seen, dialect)
    _add_resources(server, seen)
    _add_completion(server, seen)
    _add_prompts(server, seen, dialect)
    _add_watcher(server, databases)

    @server.on_close
    async def close() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        for database in databases.databases:
            await database.close()

    return seen


def _document(text: str, **annotations: object) -> Callable[[Handler], Handler]:
    """Give a handler its docstring and the types that only the dialect knows."""

    def document(function: Handler) -> Handler:
        function.__doc__ = text
        function.__annotations__.update(annotations)
        return function

    return document


def _add_tools(server: Server, seen: Seen, dialect: Dialect) -> None:
    summary = Mould(TableSummary)

    @server.tool(**_READS)
    @seen.bind
    @_document(
        f"""Run one read-only SQL statement {dialect.statements} and return its rows.

        Pass values in params, never inside the SQL. {dialect.values}

        Args:
            sql: One statement in {dialect.possessive} dialect.
            params: {dialect.params}
            limit: How many rows at most.
        """,
        params=dialect.params_type,
    )
    async def query(database: Database, sql: str, params: Params | None = None, limit: Limit = 100) -> Table:  # pyright: ignore[reportUnusedFunction]  # registered
        return _to_table(await database.query(sql, params, limit))

    @server.tool(**_READS)
    @seen.bind
    @_document(
        f"""List the tables and views that can be read, with the number of their columns and rows.

        Args:
            schema: {dialect.schema}
            pattern: A part of the name, or a pattern with * and ?.
        """
    )
    async def list_tables(database: Database, schema: str | None = None, pattern: str | None = None) -> Tables:  # pyright: ignore[reportUnusedFunction]  # registered
        return Tables([summary.fill(table) for table in await database.list_tables(schema, pattern)])


def _add_describing(server: Server, seen: Seen, dialect: Dialect) -> None:
    table, plan = Mould(dialect.table), Mould(dialect.plan)

    @server.tool(**_READS)
    @seen.bind
    @_document(
        f"""Describe a table or view: {dialect.described}.

        Args:
            table_name: A name from list_tables.
            schema: {dialect.schema}
        """,
        **{"return": dialect.table},
    )
    async def describe_table(database: Database, table_name: str, schema: str | None = None) -> object:  # pyright: ignore[reportUnusedFunction]  # registered
        return table.fill(await database.describe_table(table_name, schema))

    @server.tool(**_READS)
    @seen.bind
    @_document(
        f"""Show how {dialect.name} would run a statement: its plan as a tree, with a warning for whatever will be slow.

        Args:
            sql: One statement that reads.
            analyze: Also run it, and say how long it took and how many rows it gave.
        """,
        **{"return": dialect.plan},
    )
    async def explain_query(database: Database, sql: str, analyze: bool = False) -> object:  # pyright: ignore[reportUnusedFunction]  # registered
        return plan.fill(await database.explain_query(sql, analyze=analyze))


def _add_resources(server: Server, seen: Seen) -> None:
    databases = seen.databases
    prefix = databases.uri_prefix
    tables, schemas = f"{prefix}/tables/{{table}}", f"{prefix}/tables/{{table}}/schema"

    @server.resource(f"{prefix}/schema", name="schema", title="Schema", mime_type="application/sql")
    @seen.bind
    async def schema(database: Database) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """The DDL of every table, view, index and trigger."""
        return await database.schema_ddl()

    @server.resource(tables, name="table", title="First rows of a table", mime_type="text/markdown")
    @seen.bind
    async def rows(database: Database, table: str) -> Table:  # pyright: ignore[reportUnusedFunction]  # registered
        """The first rows of a table."""
        return _to_table(await database.sample_rows(table))

    @server.resource(schemas, name="table-schema", title="Schema of a table", mime_type="application/sql")
    @seen.bind
    async def table_schema(database: Database, table: str) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """The DDL of one table, with its indexes and triggers."""
        return await database.schema_ddl(table)

    @server.members(tables)
    async def members(context: Context) -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [
            {**databases.variables(database), "table": name}
            for database in databases.databases
            for name in await seen.table_names(server, database, context)
        ]


def _add_completion(server: Server, seen: Seen) -> None:
    databases = seen.databases
    prefix = databases.uri_prefix
    templates = (f"{prefix}/tables/{{table}}", f"{prefix}/tables/{{table}}/schema")
    for template in templates:

        @server.complete(template, "table")
        @databases.bind
        async def complete(database: Database, prefix: str, context: Context) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
            return choose_names(await seen.table_names(server, database, context), prefix)

    if databases.names:
        for template in (f"{prefix}/schema", *templates):

            @server.complete(template, "database")
            async def complete_name(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
                return choose_names(databases.names, prefix)


def _add_prompts(server: Server, seen: Seen, dialect: Dialect) -> None:
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
            f"Write one SELECT in {dialect.possessive} dialect, check it with explain_query if it reads big tables, "
            "run it with query, and give the answer with the SQL that led to it."
        )

    @server.complete("analyze-table", "table_name")
    async def complete(prefix: str, context: Context) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        databases = seen.databases.databases
        names = {name for database in databases for name in await seen.table_names(server, database, context)}
        return choose_names(sorted(names), prefix)


def _add_watcher(server: Server, databases: Databases) -> None:
    async def watch_one(database: Database, subscribed: Iterable[str]) -> None:
        async for _ in database.changes():
            for uri in subscribed:
                if databases.owns(database, uri):
                    server.changed(uri)

    @server.watcher
    async def watch(subscribed: Iterable[str]) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        async with asyncio.TaskGroup() as group:
            for database in databases.databases:
                group.create_task(watch_one(database, subscribed))


def choose_names(names: Iterable[str], prefix: str) -> list[str]:
    """Those that begin with what was typed, whatever its case."""
    return [name for name in names if name.lower().startswith(prefix.lower())]


def _to_table(result: Result) -> Table:
    return Table(
        columns=[Column(column.name, column.type) for column in result.columns],
        rows=cast("list[list[object]]", result.rows),  # a copy of ten thousand takes longer than half their encoding
        row_count=len(result.rows),
        truncated=result.truncated,
        elapsed_ms=result.elapsed_ms,
        note=result.note,
    )
