"""How the domain's answers read: what `str` of each gives, for a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .catalog import ForeignKey, TableDescription, TableSummary
    from .plan import Plan, PlanNode
    from .writing import InsertResult


def word_tables(tables: list[TableSummary]) -> str:
    """One line for each table."""
    return "\n".join(_summarize(table) for table in tables) or "No tables match."


def _summarize(table: TableSummary) -> str:
    rows = "" if table.kind == "view" else ", many rows" if table.row_count is None else f", {table.row_count} rows"
    return f"{table.name} ({table.kind}, {table.column_count} columns{rows})"


def word_table(table: TableDescription) -> str:
    """A table with its columns, keys and DDL."""
    return "\n".join(_describe(table))


def _describe(table: TableDescription) -> Iterator[str]:
    rows = "" if table.row_count is None else f", {table.row_count} rows"
    yield f"{table.kind} {table.name}{rows}"
    for column in table.columns:
        marks = [
            column.type or "untyped",
            "" if column.nullable else "not null",
            "primary key" if column.primary_key_position else "",
            f"default {column.default}" if column.default is not None else "",
            f"generated, {column.generated}" if column.generated else "",
            "masked: reads as NULL" if column.masked else "",
        ]
        yield f"  {column.name}: {', '.join(mark for mark in marks if mark)}"
    for index in table.indexes:
        columns = ", ".join(name or "(an expression)" for name in index.columns)
        yield f"{'unique ' if index.unique else ''}index {index.name} ({columns}){' partial' if index.partial else ''}"
    yield from (f"references: {_key(key)}" for key in table.foreign_keys)
    yield from (f"referenced by: {key.table}: {_key(key)}" for key in table.referenced_by)
    yield from (f"trigger {trigger.name}" for trigger in table.triggers)
    if table.note:
        yield table.note
    if table.ddl:
        yield table.ddl


def _key(key: ForeignKey) -> str:
    return f"({', '.join(key.columns)}) -> {key.references} ({', '.join(key.referenced_columns)})"


def word_plan(plan: Plan) -> str:
    """The steps as an indented list, and the warnings."""
    lines = [*_draw(plan.nodes, ""), *(f"Warning: {warning}" for warning in plan.warnings)]
    if plan.elapsed_ms is not None:
        lines.append(f"Ran in {plan.elapsed_ms} ms and gave {plan.row_count} rows.")
    return "\n".join(lines) or "Nothing to do: the statement reads no table."


def _draw(nodes: list[PlanNode], indent: str) -> Iterator[str]:
    for node in nodes:
        yield f"{indent}- {node.detail}"
        yield from _draw(node.children, f"{indent}  ")


def word_insert(result: InsertResult) -> str:
    """Where the row is now."""
    row = "" if result.rowid is None else f" as row {result.rowid}"
    if result.replayed:
        return f"This key was used before: the row is in {result.table}{row}, and nothing was inserted now."
    return f"Inserted into {result.table}{row}."
