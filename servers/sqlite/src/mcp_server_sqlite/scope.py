"""What a policy means for one version of one schema: the names, root pages and record fields that are withheld."""

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from .derivation import Derivation, derive
from .fences import PLAIN_MODULES, READ_PRAGMAS, SCHEMA_PRAGMAS
from .policy import Policy, fold

SCHEMA_TABLES = frozenset(("sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"))
_PLAIN = frozenset(PLAIN_MODULES) | {f"pragma_{name}" for name in READ_PRAGMAS}
_SCHEMA_FUNCTIONS = frozenset(f"pragma_{name}" for name in SCHEMA_PRAGMAS)


@dataclass(frozen=True, slots=True)
class Root:
    """What may be done with one b-tree of the file."""

    denied: bool = False
    fields: frozenset[int] = frozenset()  # record fields that are masked; -1 stands for the rowid

    @property
    def free(self) -> bool:
        return not self.denied and not self.fields


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of sqlite_schema."""

    kind: str
    name: str
    table: str
    root: int
    sql: str | None


@dataclass(slots=True)
class Scope:
    """The gate that the guard asks, and the map of root pages that the program is held against."""

    policy: Policy
    version: int
    entries: list[Entry]
    denied: set[str]
    masked: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    roots: dict[int, Root] = field(default_factory=dict[int, Root])
    served: set[str] = field(default_factory=set[str])
    virtual: set[str] = field(default_factory=set[str])

    def admit(self, table: str, column: str) -> str:
        """Say 'served', 'masked', 'schema' or 'denied'. What is not known is denied."""
        name = fold(table)
        if name in self.denied:
            return "denied"
        if (name, fold(column)) in self.masked:
            return "masked"
        if name in self.served or name in _PLAIN:
            return "served"
        if name in SCHEMA_TABLES or name in _SCHEMA_FUNCTIONS:
            return "schema" if self.policy.deny_tables else "served"
        return "denied"

    def plain_functions(self) -> frozenset[str]:
        """Give the table-valued functions that may be called on the file itself."""
        return _PLAIN if self.policy.deny_tables else _PLAIN | _SCHEMA_FUNCTIONS

    def hides(self, view: str) -> bool:
        """Whether what a view reads is to be refused; the name may also be that of a CTE, which hides nothing."""
        return fold(view) in self.denied

    def mentions(self, text: str | None) -> bool:
        """Whether a text of the schema names a denied table.

        Only ever asked of the file's own schema, to withhold more, never of a caller's SQL: so a false yes costs a
        DDL text, and a name in a comment counts.
        """
        return text is not None and any(mentions(text, name) for name in self.denied_names)

    @property
    def denied_names(self) -> set[str]:
        """The denied names whose appearance would tell something; SQLite's own tables are no secret."""
        return {name for name in self.denied if not name.startswith("sqlite_")}


def mentions(text: str, name: str) -> bool:
    """Whether an SQL text holds a name as a whole word, in any quoting."""
    spellings = {name} | {name.replace(mark, mark * 2) for mark in "\"'`"}
    word = r"[A-Za-z0-9_$\x80-\U0010ffff]"
    pattern = "|".join(rf"(?<!{word}){re.escape(spelling)}(?!{word})" for spelling in spellings)
    return re.search(pattern, text, re.IGNORECASE) is not None


def survey(raw: sqlite3.Connection, policy: Policy, version: int) -> Scope:
    """Read the schema and lay the policy over it. The guard must trust the caller meanwhile."""
    entries = [
        Entry(str(kind), str(name), str(table), int(root or 0), None if sql is None else str(sql))
        for kind, name, table, root, sql in raw.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema")
    ]
    kinds = {
        fold(name): str(kind)
        for schema, name, kind, *_ in raw.execute("PRAGMA table_list")
        if schema == "main" and name != "sqlite_schema"
    }
    scope = Scope(policy, version, entries, {fold(name) for name in policy.deny_tables})
    scope.denied |= {
        fold(entry.name) for entry in entries if entry.kind == "table" and fold(entry.name).startswith("sqlite_")
    }
    scope.virtual = {name for name, kind in kinds.items() if kind == "virtual"}
    scope.virtual |= {fold(entry.name) for entry in entries if entry.kind == "table" and entry.root == 0}
    scope.masked = {(fold(table), fold(column)) for table, column in policy.mask_columns}
    # A column of a view is in no program, so that USING could compare it: such a view is denied whole.
    scope.denied |= {table for table, _ in scope.masked if kinds.get(table) == "view"}
    _deny_copies(raw, scope)
    scope.served = (set(kinds) | {fold(entry.table) for entry in entries}) - scope.denied
    _map_roots(raw, scope)
    return scope


def _deny_copies(raw: sqlite3.Connection, scope: Scope) -> None:
    """Deny the virtual tables that hold or read what is withheld, and the shadow tables of denied ones.

    A virtual table with a masked column is denied whole: its index answers MATCH from that column.
    """
    while True:
        before = len(scope.denied)
        for entry in scope.entries:
            name = fold(entry.name)
            if name in scope.virtual and name not in scope.denied:
                columns = [fold(str(row[1])) for row in _describe_columns(raw, entry.name)]
                if scope.mentions(entry.sql) or _holds_masked(scope, entry, columns):
                    scope.denied.add(name)
        for owner in scope.virtual & scope.denied:
            scope.denied |= {fold(entry.name) for entry in scope.entries if fold(entry.name).startswith(f"{owner}_")}
        if len(scope.denied) == before:
            return


def _holds_masked(scope: Scope, entry: Entry, columns: list[str]) -> bool:
    for table, column in scope.masked:
        if table == fold(entry.name):
            return True
        if mentions(entry.sql or "", table) and (column in columns or mentions(entry.sql or "", column)):
            return True
    return False


def _describe_columns(raw: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    try:
        return raw.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)).fetchall()
    except sqlite3.Error:
        return []  # a module that is not there: the table cannot be read either


def _map_roots(raw: sqlite3.Connection, scope: Scope) -> None:
    scope.roots[1] = Root(denied=bool(scope.policy.deny_tables))
    holders = {table for table, _ in scope.masked}
    masks: dict[str, _Masks] = {}
    for entry in scope.entries:
        name = fold(entry.table)
        if entry.kind == "table" and name in holders and name not in scope.denied and entry.root:
            masks[name] = _Masks(raw, scope, entry)
            scope.masked |= {(name, column) for column in masks[name].columns}
    for entry in scope.entries:
        if entry.root == 0:
            continue
        name = fold(entry.table)
        if name in scope.denied:
            scope.roots[entry.root] = Root(denied=True)
        elif name in masks:
            scope.roots[entry.root] = masks[name].root(entry)
        else:
            scope.roots[entry.root] = Root()


class _Masks:
    """The masked columns of one table, with the generated columns and indexes that derive from them."""

    def __init__(self, raw: sqlite3.Connection, scope: Scope, table: Entry) -> None:
        self.raw = raw
        rows = _describe_columns(raw, table.name)
        names = [fold(str(row[1])) for row in rows]
        masked = {
            names.index(column) for holder, column in scope.masked if holder == fold(table.name) and column in names
        }
        generated = {place for place, row in enumerate(rows) if row[6] in (2, 3)}
        indexes = [entry for entry in scope.entries if entry.kind == "index" and fold(entry.table) == fold(table.name)]
        found: Derivation = derive(table.sql, [entry.sql for entry in indexes if entry.sql], masked, generated, names)
        self.places = masked | found.columns
        self.columns = {names[place] for place in self.places}
        self.derived = {fold(name) for name in found.indexes}
        self.certain = found.certain
        stored = [place for place in range(len(rows)) if rows[place][6] != 2]
        self.storage = {place: stored.index(place) for place in stored}
        self.key = self._find_key(table, rows)
        self.clustered = self._find_clustered(table)

    def _find_key(self, table: Entry, rows: list[tuple[object, ...]]) -> int | None:
        """Give the column that is the rowid: the sole key, declared INTEGER, with no index of its own."""
        keys = [place for place, row in enumerate(rows) if row[5]]
        if len(keys) != 1 or fold(str(rows[keys[0]][2])) != "integer":
            return None
        origins = [row[3] for row in self.raw.execute("SELECT * FROM pragma_index_list(?)", (table.name,))]
        return None if "pk" in origins else keys[0]

    def _find_clustered(self, table: Entry) -> str | None:
        """Give the name of the index that a WITHOUT ROWID table is."""
        listed = self.raw.execute("PRAGMA table_list").fetchall()
        if not any(row[0] == "main" and fold(str(row[1])) == fold(table.name) and row[4] for row in listed):
            return None
        owned = self.raw.execute("SELECT name FROM pragma_index_list(?) WHERE origin='pk'", (table.name,))
        return next((str(name) for (name,) in owned), None)

    def root(self, entry: Entry) -> Root:
        if entry.kind == "table" and self.clustered is None:
            fields = {self.storage[place] for place in self.places if place in self.storage}
            return Root(fields=frozenset(fields | ({-1} if self.key in self.places else set())))
        name = self.clustered if entry.kind == "table" else entry.name
        fields: set[int] = set()
        derived = entry.kind == "index" and (not self.certain or fold(entry.name) in self.derived)
        for place, column, *_ in self.raw.execute("SELECT * FROM pragma_index_xinfo(?)", (name,)):
            rowid = column == -1 and self.key is not None and self.key in self.places
            if column in self.places or rowid or (column == -2 and derived):
                fields.add(int(place))
                if rowid:
                    fields.add(-1)
        if derived and self._is_partial(entry):
            return Root(denied=True)
        return Root(fields=frozenset(fields))

    def _is_partial(self, entry: Entry) -> bool:
        rows = self.raw.execute("SELECT name, partial FROM pragma_index_list(?)", (entry.table,)).fetchall()
        return any(fold(str(name)) == fold(entry.name) and partial for name, partial in rows)


def unmatched(scope: Scope, columns: Iterable[tuple[str, str]], policy: Policy) -> list[str]:
    """List what the operator withheld but the file does not have: most likely a misspelling, and a silent hole."""
    tables = {fold(entry.name) for entry in scope.entries if entry.kind in ("table", "view")}
    present = set(columns)
    missing = [name for name in sorted(policy.deny_tables) if fold(name) not in tables]
    missing += [
        f"{table}.{column}"
        for table, column in sorted(policy.mask_columns)
        if (fold(table), fold(column)) not in present
    ]
    return missing
