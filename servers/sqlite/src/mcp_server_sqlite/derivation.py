"""Which generated columns and indexes derive from a masked column, in the engine's own word.

The authorizer is never asked about the columns that a generated column or an index expression reads. But an UPDATE of
a column opens for writing exactly the indexes that depend on it, through any chain of generated columns, expressions
and WHERE clauses. So the table is made again, empty, in memory, with a probe index on each generated column, and
EXPLAIN UPDATE tells. Reading the DDL text was refused: it would be a parser of our own.
"""

import sqlite3
from dataclasses import dataclass

from .policy import fold, quote

_PROBE = "mcp probe "


@dataclass(frozen=True, slots=True)
class Derivation:
    """What depends on the masked columns. When not certain, everything that might is meant."""

    columns: frozenset[int]
    indexes: frozenset[str]
    certain: bool


def derive(
    table_sql: str | None, index_sqls: list[str], masked: set[int], generated: set[int], names: list[str]
) -> Derivation:
    """Find the generated columns (by place) and indexes (by name) that depend on the masked columns."""
    unsure = Derivation(frozenset(generated), frozenset(), certain=False)
    if table_sql is None:
        return unsure
    raw = sqlite3.connect(":memory:", isolation_level=None)
    try:
        raw.set_authorizer(_allow_making)
        raw.execute(table_sql)
        (table,) = next(
            raw.execute("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")
        )
        for sql in index_sqls:
            raw.execute(sql)
        for place in generated:
            raw.execute(f"CREATE INDEX {quote(_PROBE + str(place))} ON {quote(table)}({quote(names[place])})")
        sources = _trace(raw, str(table), [name for place, name in enumerate(names) if place not in generated])
    except (sqlite3.Error, StopIteration):
        return unsure
    finally:
        raw.close()
    return _conclude(sources, masked, generated, names)


def _allow_making(action: int, one: str | None, two: str | None, _schema: str | None, _source: str | None) -> int:
    """Let the schema of a file, which may be hostile, make tables and indexes in memory and nothing else."""
    making = (
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_REINDEX,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_SELECT,
    )
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if fold(two or "") in ("load_extension", "fts3_tokenizer") else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in making else sqlite3.SQLITE_DENY


def _trace(raw: sqlite3.Connection, table: str, columns: list[str]) -> dict[str, set[str]]:
    """Give, for every index, the plain columns whose UPDATE would have to rewrite it."""
    roots = {
        int(root): str(name)
        for name, root in raw.execute("SELECT name, rootpage FROM sqlite_schema WHERE type='index'")
    }
    sources: dict[str, set[str]] = {name: set() for name in roots.values()}
    for column in columns:
        program = raw.execute(f"EXPLAIN UPDATE {quote(table)} SET {quote(column)}=NULL")  # noqa: S608  quoted
        for row in program:
            if row[1] == "OpenWrite" and row[3] in roots:
                sources[roots[row[3]]].add(column)
    return sources


def _conclude(sources: dict[str, set[str]], masked: set[int], generated: set[int], names: list[str]) -> Derivation:
    """Call derived what depends on a masked plain column, or on all that a masked generated column depends on."""
    hidden = [{names[place]} for place in masked - generated]
    hidden += [sources[_PROBE + str(place)] for place in masked & generated]
    derived = {name for name, read in sources.items() if any(source <= read for source in hidden)}
    columns = {place for place in generated if _PROBE + str(place) in derived}
    return Derivation(
        frozenset(columns), frozenset(name for name in derived if not name.startswith(_PROBE)), certain=True
    )
