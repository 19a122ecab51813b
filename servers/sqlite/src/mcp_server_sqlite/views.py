"""What the tools return beside tables: the domain's answers, with the text that a model reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .catalog import ForeignKey, TableDescription, TableSummary
from .plan import Plan, PlanNode
from .writing import InsertResult


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables and views of a database."""

    tables: list[TableSummary]

    def __str__(self) -> str:
        if not self.tables:
            return "No tables match."
        return "\n".join(_summarize(table) for table in self.tables)


def _summarize(table: TableSummary) -> str:
    rows = "" if table.kind == "view" else ", many rows" if table.row_count is None else f", {table.row_count} rows"
    return f"{table.name} ({table.kind}, {table.column_count} columns{rows})"


@dataclass(frozen=True, slots=True)
class Description:
    """A table or view, whole."""

    table: TableDescription

    def __str__(self) -> str:
        return "\n".join(_describe(self.table))


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


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a statement would run, and, where it was run too, how long that took and how many rows it gave."""

    plan: list[PlanNode]
    warnings: list[str]
    elapsed_ms: float | None = None
    row_count: int | None = None

    @classmethod
    def of(cls, plan: Plan, elapsed_ms: float | None = None, row_count: int | None = None) -> Explanation:
        """Make one from the engine's plan."""
        return cls(plan.nodes, plan.warnings, elapsed_ms, row_count)

    def __str__(self) -> str:
        lines = [*_draw(self.plan, ""), *(f"Warning: {warning}" for warning in self.warnings)]
        if self.elapsed_ms is not None:
            lines.append(f"Ran in {self.elapsed_ms} ms and gave {self.row_count} rows.")
        return "\n".join(lines) or "Nothing to do: the statement reads no table."


def _draw(nodes: list[PlanNode], indent: str) -> Iterator[str]:
    for node in nodes:
        yield f"{indent}- {node.detail}"
        yield from _draw(node.children, f"{indent}  ")


@dataclass(frozen=True, slots=True)
class Inserted:
    """A row that was inserted, or had been by an earlier call with the same key."""

    table: str
    rowid: int | None
    replayed: bool

    @classmethod
    def of(cls, result: InsertResult) -> Inserted:
        """Make one from the domain's answer."""
        return cls(result.table, result.rowid, result.replayed)

    def __str__(self) -> str:
        row = "" if self.rowid is None else f" as row {self.rowid}"
        if self.replayed:
            return f"This key was used before: the row is in {self.table}{row}, and nothing was inserted now."
        return f"Inserted into {self.table}{row}."
