"""What is in the file: tables, their columns, keys, indexes, foreign keys, triggers and DDL.

Asked of `Reader.ask_schema`, where nothing that is denied stands; nothing here has to filter. Names always go in as
parameters of the table-valued PRAGMAs, never into the text.
"""

import fnmatch
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .answers import QueryResult
from .fences import Leash
from .policy import fold, nearest, quote
from .reader import Reader
from .refusals import Refusal, UnknownTable

COUNT_WITHIN = 10_000
COUNT_SECONDS = 1.0
KEY_TABLE = "mcp_idempotency_keys"  # ours, made by insert_record; shown nowhere


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One line of the list. `row_count` is None where counting would take long; views are not counted."""

    name: str
    schema: str
    kind: str
    column_count: int
    row_count: int | None
    row_count_exact: bool


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """A column. `generated` is 'virtual' or 'stored'; a masked column reads as NULL."""

    name: str
    type: str
    nullable: bool
    default: str | None
    primary_key_position: int | None
    hidden: bool
    generated: str | None
    masked: bool


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `origin` is 'index' (CREATE INDEX), 'unique' or 'primary key'. An expression stands as None."""

    name: str
    columns: list[str | None]
    unique: bool
    partial: bool
    origin: str
    ddl: str | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of `table` to `references`."""

    table: str
    columns: list[str]
    references: str
    referenced_columns: list[str]
    on_update: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger, as its DDL."""

    name: str
    ddl: str | None


@dataclass(frozen=True, slots=True)
class TableDescription:
    """All there is to know of a table or view. `row_count` is None where counting took over a second."""

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


def check_schema(schema: str | None) -> None:
    """Refuse a schema other than main: nothing else is ever attached."""
    if schema is not None and fold(schema) != "main":
        raise Refusal("There is one schema here: main. Leave schema out.")


def list_tables(reader: Reader, pattern: str | None) -> list[TableSummary]:
    """List what may be read, by name, with row counts as far as a second goes."""
    chosen = [listed for listed in _list(reader) if _matches(str(listed[0]), pattern)]
    budget = Leash(COUNT_SECONDS)
    summaries: list[TableSummary] = []
    for name, kind, columns in chosen:
        count = None if kind == "view" else _count(reader, name, COUNT_WITHIN, budget)
        exact = count is not None and count <= COUNT_WITHIN
        known = count if exact else None
        summaries.append(TableSummary(name, "main", kind, columns, known, exact))
    return summaries


def list_names(reader: Reader) -> list[str]:
    """Give the names of all tables and views that may be read, sorted."""
    return [name for name, _, _ in _list(reader)]


def list_columns(reader: Reader) -> list[tuple[str, str]]:
    """Give every (table, column) that is served, folded."""
    rows = reader.ask_schema(
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c WHERE m.type IN ('table', 'view')"
    )
    return [(fold(str(table)), fold(str(column))) for table, column in rows]


def _list(reader: Reader) -> list[tuple[str, str, int]]:
    rows = reader.ask_schema(
        "SELECT name, type, ncol FROM pragma_table_list WHERE schema='main' AND type<>'shadow' "
        "ORDER BY name COLLATE NOCASE"
    )
    return [
        (str(name), str(kind), int(str(columns)))
        for name, kind, columns in rows
        if not fold(str(name)).startswith("sqlite_") and fold(str(name)) != KEY_TABLE
    ]


def _matches(name: str, pattern: str | None) -> bool:
    if not pattern:
        return True
    if len(pattern) > 200:
        raise Refusal("pattern is longer than 200 characters; a part of a table's name is enough.")
    wanted = fold(pattern).replace("%", "*").replace("[", "[[]")
    if "*" not in wanted and "?" not in wanted:
        return fold(pattern) in fold(name)
    return re.match(fnmatch.translate(wanted), fold(name)) is not None


def _count(reader: Reader, table: str, within: int | None, budget: Leash) -> int | None:
    """Count rows on the strict path, so that nothing is counted that may not be read; None when it takes long."""
    if budget.pulls():
        return None
    inner = f"SELECT 1 FROM {quote(table)}"  # noqa: S608  quoted
    if within is not None:
        inner = f"{inner} LIMIT {within + 1}"
    leash, reader.leash = reader.leash, _Shorter(reader.leash, budget)
    try:
        (count,) = reader.execute(f"SELECT count(*) FROM ({inner})", None).fetchone()  # noqa: S608  quoted above
    except (sqlite3.Error, Refusal, MemoryError):
        if leash is not None and leash.pulls():
            raise
        return None
    finally:
        reader.leash = leash
        reader.guard.forget()
    return int(count)


class _Shorter(Leash):
    """A leash that pulls when either of two does."""

    def __init__(self, outer: Leash | None, inner: Leash) -> None:
        super().__init__(inner.seconds)
        self.outer, self.inner = outer, inner

    def pulls(self) -> bool:
        return self.inner.pulls() or (self.outer is not None and self.outer.pulls())


def find_table(reader: Reader, table: str) -> str:
    """Give the true spelling of a table's name, or refuse with the nearest ones. A denied name is an unknown one."""
    names = list_names(reader)
    shadows = reader.ask_schema("SELECT name FROM pragma_table_list WHERE schema='main' AND type='shadow'")
    for name in (*names, *(str(name) for (name,) in shadows)):
        if fold(name) == fold(table):
            return name
    close = nearest(table, names)
    if close:
        raise UnknownTable(f"There is no table {table!r} here. Nearest: {', '.join(close)}. list_tables shows all.")
    raise UnknownTable(f"There is no table {table!r} here. list_tables shows all there are.")


def describe_table(reader: Reader, table: str) -> TableDescription:
    """Describe one table or view."""
    name = find_table(reader, table)
    ask = reader.ask_schema
    ((kind,),) = ask("SELECT type FROM pragma_table_list WHERE schema='main' AND name=?", (name,))
    rows = ask("SELECT * FROM pragma_table_xinfo(?)", (name,))
    columns = [_describe_column(reader, name, row) for row in rows]
    if [fold(column.type) for column in columns if column.primary_key_position] == ["integer"]:
        columns = [replace(c, nullable=False) if c.primary_key_position else c for c in columns]  # it is the rowid
    indexes = _describe_indexes(reader, name)
    triggers = ask("SELECT name, sql FROM sqlite_schema WHERE type='trigger' AND tbl_name=? ORDER BY name", (name,))
    ddl = _find_ddl(reader, name)
    keyed = sorted((c for c in columns if c.primary_key_position), key=lambda c: c.primary_key_position or 0)
    return TableDescription(
        name=name,
        schema="main",
        kind=str(kind),
        columns=columns,
        primary_key=[column.name for column in keyed],
        unique_keys=[index.columns for index in indexes if index.unique and not index.partial],
        indexes=indexes,
        foreign_keys=_describe_foreign_keys(reader, [name]),
        referenced_by=[
            key for key in _describe_foreign_keys(reader, list_names(reader)) if fold(key.references) == fold(name)
        ],
        triggers=[Trigger(str(trigger), None if sql is None else str(sql)) for trigger, sql in triggers],
        ddl=ddl,
        row_count=_count(reader, name, None, Leash(COUNT_SECONDS)),
        note="Masked columns read as NULL." if any(column.masked for column in columns) else None,
    )


def _describe_column(reader: Reader, table: str, row: tuple[object, ...]) -> ColumnDescription:
    _, name, kind, required, default, key, hidden = row
    masked = reader.scope is not None and (fold(table), fold(str(name))) in reader.scope.masked
    return ColumnDescription(
        name=str(name),
        type=str(kind or ""),
        nullable=not required,
        default=None if default is None else str(default),
        primary_key_position=int(str(key)) or None,
        hidden=hidden == 1,
        generated={2: "virtual", 3: "stored"}.get(int(str(hidden))),
        masked=masked,
    )


def _describe_indexes(reader: Reader, table: str) -> list[Index]:
    rows = reader.ask_schema('SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY name', (table,))
    origins = {"c": "index", "u": "unique", "pk": "primary key"}
    found: list[Index] = []
    for name, unique, origin, partial in rows:
        columns = reader.ask_schema("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (name,))
        ddl = reader.ask_schema("SELECT sql FROM sqlite_schema WHERE type='index' AND name=?", (name,))
        text = str(ddl[0][0]) if ddl and ddl[0][0] is not None else None
        named = [None if column is None else str(column) for (column,) in columns]
        found.append(Index(str(name), named, bool(unique), bool(partial), origins[str(origin)], text))
    return found


def _describe_foreign_keys(reader: Reader, tables: Iterable[str]) -> list[ForeignKey]:
    found: list[ForeignKey] = []
    for table in tables:
        rows = reader.ask_schema(
            'SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?) ORDER BY id, seq',
            (table,),
        )
        keys: dict[object, ForeignKey] = {}
        for number, parent, child, target, on_update, on_delete in rows:
            blank = ForeignKey(table, [], str(parent), [], str(on_update), str(on_delete))
            key = keys.setdefault(number, blank)
            key.columns.append(str(child))
            if target is not None:
                key.referenced_columns.append(str(target))
        found += [_complete(reader, key) for key in keys.values()]
    return found


def _complete(reader: Reader, key: ForeignKey) -> ForeignKey:
    """Name the columns of a key that was declared without: it means the parent's primary key."""
    if key.referenced_columns:
        return key
    rows = reader.ask_schema("SELECT name FROM pragma_table_info(?) WHERE pk>0 ORDER BY pk", (key.references,))
    return replace(key, referenced_columns=[str(name) for (name,) in rows])


def _find_ddl(reader: Reader, table: str) -> str | None:
    rows = reader.ask_schema("SELECT sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name=?", (table,))
    return str(rows[0][0]) if rows and rows[0][0] is not None else None


def write_ddl(reader: Reader, table: str | None) -> str:
    """Write DDL statements, each ended by a semicolon; shadow tables and SQLite's own are left out."""
    if table is not None:
        name = find_table(reader, table)
        rows = reader.ask_schema(
            "SELECT sql FROM sqlite_schema WHERE (name=?1 OR tbl_name=?1) AND sql IS NOT NULL "
            "ORDER BY type NOT IN ('table', 'view'), type, name",
            (name,),
        )
    else:
        rows = reader.ask_schema(
            "SELECT s.sql FROM sqlite_schema s JOIN pragma_table_list t ON t.name=s.tbl_name AND t.schema='main' "
            "WHERE s.sql IS NOT NULL AND t.type<>'shadow' AND s.name NOT LIKE 'sqlite!_%' ESCAPE '!' "
            "AND s.tbl_name<>? "
            "ORDER BY t.type='view', s.tbl_name COLLATE NOCASE, s.type NOT IN ('table', 'view'), s.type, s.name",
            (KEY_TABLE,),
        )
    return "\n\n".join(f"{sql};" for (sql,) in rows)


def note_masks(result: QueryResult, reader: Reader) -> QueryResult:
    """Add to a result which columns read as NULL because they are masked."""
    if not reader.guard.masked:
        return result
    names = ", ".join(sorted(f"{table}.{column}" for table, column in reader.guard.masked))
    note = f"Masked here, and NULL in whatever uses them: {names}."
    return replace(result, note=f"{result.note} {note}" if result.note else note)
