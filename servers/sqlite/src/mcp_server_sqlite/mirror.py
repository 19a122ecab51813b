"""The mirror: an empty database in memory that has the schema of the file without what is denied.

Questions about the schema (sqlite_schema, table_info, foreign_key_list ...) are answered from it as soon as a table is
denied, so that a denied name cannot stand in an answer: it is not there. Filtering the answers was refused: a name
stands in foreign keys, views, triggers, partial indexes, DDL text, and in whatever the next PRAGMA shows.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress

from .fences import LIMITS, SCHEMA_PRAGMAS
from .policy import fold, quote
from .scope import SCHEMA_TABLES, Entry, Scope
from .values import read_text

_MODULES = frozenset(["fts3", "fts4", "fts5", "fts5vocab", "fts4aux", "rtree", "rtree_i32", "geopoly"])
_ANSWERING = SCHEMA_TABLES | {f"pragma_{name}" for name in SCHEMA_PRAGMAS} | {"json_each", "json_tree"}
MIXED = (
    "Refused: with tables withheld, sqlite_schema and the schema PRAGMAs can be read only in a statement of their own, "
    "not together with other tables. Ask for the names first, then for the data."
)


class _MirrorGuard:
    """Allows making the schema, then reading the schema."""

    def __init__(self, functions: frozenset[str]) -> None:
        self.functions = functions
        self.making = True

    def __call__(self, action: int, one: str | None, two: str | None, _schema: str | None, source: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if fold(two or "") in self.functions else sqlite3.SQLITE_DENY
        if self.making:
            foreign = action == sqlite3.SQLITE_CREATE_VTABLE and fold(two or "") not in _MODULES
            denied = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_RECURSIVE)
            return sqlite3.SQLITE_DENY if foreign or action in denied else sqlite3.SQLITE_OK
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            return sqlite3.SQLITE_OK if fold(one or "") in _ANSWERING else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_PRAGMA:
            return sqlite3.SQLITE_OK if fold(one or "") in SCHEMA_PRAGMAS else sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_DENY


class Mirror:
    """The served part of one version of the schema. It holds no row of the file, so its program needs no check."""

    def __init__(
        self, raw: sqlite3.Connection, scope: Scope, functions: frozenset[str], pull: Callable[[], int]
    ) -> None:
        self.hidden = scope.denied
        self.raw = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
        self.raw.text_factory = read_text
        self.raw.set_progress_handler(pull, 1000)
        for limit, value in LIMITS:
            self.raw.setlimit(limit, value)
        guard = _MirrorGuard(functions)
        self.raw.set_authorizer(guard)
        for entry in scope.entries:
            self._copy(raw, scope, entry)
        self._touch()
        guard.making = False

    def _copy(self, raw: sqlite3.Connection, scope: Scope, entry: Entry) -> None:
        if entry.sql is None or fold(entry.name) in scope.denied or fold(entry.table) in scope.denied:
            return
        if not scope.mentions(entry.sql):
            try:
                self.raw.execute(entry.sql)
                return
            except sqlite3.Error as error:  # made already (a shadow table), or of a module that is not here
                if "already exists" in str(error):
                    return
        if entry.kind == "table":
            with suppress(sqlite3.Error):
                self.raw.execute(_rebuild(raw, scope, entry.name))

    def _touch(self) -> None:
        """Connect what SQLite 3.40 would otherwise ask to write for; see fences.touch_modules."""
        for name in sorted(_ANSWERING - SCHEMA_TABLES):
            with suppress(sqlite3.Error):
                self.raw.execute(f"EXPLAIN SELECT 1 FROM {name}").close()  # noqa: S608  a name of ours

    def close(self) -> None:
        self.raw.close()


def _rebuild(raw: sqlite3.Connection, scope: Scope, table: str) -> str:
    """Write the DDL of a table anew from what the engine says of it, without what names a denied table."""
    rows = raw.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)).fetchall()
    parts = [_define(scope, row) for row in rows if row[6] != 1]
    keys = [quote(str(row[1])) for row in sorted(rows, key=lambda row: row[5]) if row[5]]
    if keys:
        parts.append(f"PRIMARY KEY ({', '.join(keys)})")
    for _, index, unique, origin, *_ in raw.execute("SELECT * FROM pragma_index_list(?)", (table,)).fetchall():
        if unique and origin == "u":
            listed = raw.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
            parts.append(f"UNIQUE ({', '.join(quote(str(name)) for (name,) in listed)})")
    foreign: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, _, parent, child, target, *_ in raw.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,)):
        if fold(str(parent)) not in scope.denied:
            foreign.setdefault(int(number), []).append((str(parent), str(child), target))
    parts += [_refer(pairs) for pairs in foreign.values()]
    return f"CREATE TABLE {quote(table)} ({', '.join(parts)})"


def _define(scope: Scope, row: tuple[object, ...]) -> str:
    _, name, kind, required, default, *_ = row
    declared = str(kind or "")
    text = quote(str(name)) + (f" {declared}" if declared and not scope.mentions(declared) else "")
    if required:
        text += " NOT NULL"
    if default is not None and not scope.mentions(str(default)):
        text += f" DEFAULT ({default})"
    return text


def _refer(pairs: list[tuple[str, str, str | None]]) -> str:
    children = ", ".join(quote(child) for _, child, _ in pairs)
    targets = [quote(target) for _, _, target in pairs if target is not None]
    return f"FOREIGN KEY ({children}) REFERENCES {quote(pairs[0][0])}" + (f" ({', '.join(targets)})" if targets else "")
