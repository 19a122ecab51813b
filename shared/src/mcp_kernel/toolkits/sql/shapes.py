"""What the SQL tools answer with: the shapes of the wire and how they read, whatever the engine.

A server whose engine knows more of a table derives from a shape and adds to it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, Self, TypeVar, cast

from mcp_kernel.protocol.jsonrpc import to_bytes

T = TypeVar("T")

_FRAME: Final = 1000  # bytes that a cut answer takes besides what is listed in it: its keys, and the note


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """One line of the list. `row_count` is None where counting would take long; views are not counted."""

    name: str
    schema: str
    kind: str
    column_count: int
    row_count: int | None
    row_count_exact: bool
    comment: str | None = None

    def __str__(self) -> str:
        name = self.name if self.schema in ("main", "public") else f"{self.schema}.{self.name}"
        about = "" if self.row_count_exact else "about "
        rows = f", {about}{self.row_count} rows" if self.row_count is not None else ""
        if self.row_count is None and self.kind != "view":
            rows = ", many rows" if self.schema == "main" else ", rows not counted yet"
        comment = f": {self.comment}" if self.comment else ""
        return f"{name} ({self.kind}, {self.column_count} columns{rows}){comment}"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables and views of a database. `note` says what was left out."""

    tables: list[TableSummary]
    note: str | None = None

    def __str__(self) -> str:
        return "\n".join(filter(None, [*map(str, self.tables), self.note])) or "No tables match."

    def fit(self, budget: int) -> Tables:
        """Return as many as fit into `budget` bytes, and say how to see the others."""
        kept, _ = _keep(self.tables, budget - _FRAME)
        note = f"Cut to {len(kept)} of {len(self.tables)} tables: narrow the list with schema or pattern."
        return Tables(kept, note)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDescription:
    """A column. `generated` is 'virtual' or 'stored'; `masked` columns give no values away."""

    name: str
    type: str
    nullable: bool
    default: str | None
    primary_key_position: int | None
    generated: str | None
    masked: bool

    def marks(self) -> Iterator[str]:
        """What there is to say of the column, in words."""
        yield self.type or "untyped"
        if not self.nullable:
            yield "not null"
        if self.primary_key_position:
            yield "primary key"
        if self.generated:
            yield f"generated, {self.generated}"
        if self.default is not None:
            yield f"default {self.default}"
        if self.masked:
            yield "masked"


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `origin` is 'index' (CREATE INDEX), 'unique' or 'primary key'. An expression stands as None."""

    name: str
    columns: list[str | None]
    unique: bool
    partial: bool
    origin: str
    ddl: str | None

    def __str__(self) -> str:
        columns = ", ".join(name or "(an expression)" for name in self.columns)
        return f"{'unique ' if self.unique else ''}index {self.name} ({columns}){' partial' if self.partial else ''}"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of `table` to `references`."""

    table: str
    columns: list[str]
    references: str
    referenced_columns: list[str]
    on_update: str
    on_delete: str

    def __str__(self) -> str:
        return f"({', '.join(self.columns)}) -> {self.references} ({', '.join(self.referenced_columns)})"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger, as its DDL."""

    name: str
    ddl: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDescription:
    """All there is to know of a table or view. `row_count` is None where it is not known."""

    name: str
    schema: str
    kind: str
    columns: list[ColumnDescription]
    primary_key: list[str]
    unique_keys: list[list[str | None]]
    indexes: list[Index]
    foreign_keys: list[ForeignKey]
    referenced_by: list[ForeignKey]
    triggers: list[Trigger]
    ddl: str | None
    row_count: int | None
    note: str | None = None

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The description in words, line by line."""
        rows = "" if self.row_count is None else f", {self.row_count} rows"
        yield f"{self.kind} {self.name}{rows}"
        yield from (f"  {column.name}: {', '.join(column.marks())}" for column in self.columns)
        yield from map(str, self.indexes)
        yield from (f"references: {key}" for key in self.foreign_keys)
        yield from (f"referenced by: {key.table}: {key}" for key in self.referenced_by)
        yield from (f"trigger {trigger.name}" for trigger in self.triggers)
        yield from filter(None, [self.note, self.ddl])

    def fit(self, budget: int) -> Self:
        """Return it without its DDL, and with as much of each list as fits into `budget` bytes, the shortest first."""
        lists = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        lists = {name: cast("list[object]", value) for name, value in lists.items() if isinstance(value, list)}
        room = budget - _FRAME
        shown: dict[str, list[object]] = {}
        for name in sorted(lists, key=lambda name: len(lists[name])):
            shown[name], room = _keep(lists[name], room)
        cut = [f"{len(shown[name])} of {len(lists[name])} {name}" for name in lists if shown[name] != lists[name]]
        said = f"Cut to {', '.join(cut)}, and no DDL" if cut else "Its DDL is left out"
        note = f"{said}, to stay under {budget} bytes. A query of it with LIMIT 0 gives each column's name and type."
        return dataclasses.replace(self, **shown, ddl=None, note=" ".join(filter(None, [self.note, note])))


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One step, in the engine's words, and the steps inside it."""

    detail: str
    children: list[PlanNode] = field(default_factory=list["PlanNode"])

    def draw(self, indent: str = "") -> Iterator[str]:
        """The step and those inside it as an indented list."""
        yield f"{indent}- {self.detail}"
        for child in self.children:
            yield from child.draw(f"{indent}  ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps in the order in which the engine takes them, and what in them will be slow."""

    nodes: list[PlanNode]
    warnings: list[str]
    row_count: int | None = None  # with the next one: what running it showed
    elapsed_ms: float | None = None

    def __str__(self) -> str:
        lines = [line for node in self.nodes for line in node.draw()]
        lines += [f"Warning: {warning}" for warning in self.warnings]
        if self.elapsed_ms is not None:
            lines.append(f"Ran in {self.elapsed_ms} ms and gave {self.row_count} rows.")
        return "\n".join(lines) or "Nothing to do: the statement reads no table."


class Mould(Generic[T]):
    """Makes a shape of whatever object has fields of the same names, and of the objects in them."""

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        hints = typing.get_type_hints(shape)
        self._fields = {
            each.name: self._inner(hints[each.name])
            for each in dataclasses.fields(shape)  # pyright: ignore[reportArgumentType]  # every shape is a dataclass
        }

    def _inner(self, hint: object) -> Mould[typing.Any] | None:
        """The mould of a list's items; this very one for a shape inside itself."""
        arguments = typing.get_args(hint) if typing.get_origin(hint) is list else ()
        if not arguments or not dataclasses.is_dataclass(arguments[0]):
            return None
        return cast("Mould[typing.Any]", self) if arguments[0] is self._shape else Mould(cast("type", arguments[0]))

    def fill(self, source: object) -> T:
        """Make the shape; a field that the source lacks keeps its default."""
        values: dict[str, object] = {}
        for name, mould in self._fields.items():
            if hasattr(source, name):
                value = getattr(source, name)
                values[name] = value if mould is None else [mould.fill(item) for item in value]
        return self._shape(**values)


def _keep(items: list[T], room: int) -> tuple[list[T], int]:
    """The first items, as many as `room` bytes hold as JSON, and the room that is left."""
    for number, item in enumerate(items):
        size = len(to_bytes(item)) + 1
        if size > room:
            return items[:number], room
        room -= size
    return items, room
