"""Which tables there are: every one that the role can read in any schema, but those that are withheld."""

import fnmatch
import re
from dataclasses import dataclass

from .driver import Connection
from .policy import Policy, fold, nearest
from .refusals import Refusal, UnknownTable

_READ_TABLES = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
  CASE WHEN c.relispartition THEN 'partition' WHEN c.relkind = 'r' THEN 'table' WHEN c.relkind = 'v' THEN 'view'
    WHEN c.relkind = 'p' THEN 'partitioned table' WHEN c.relkind = 'm' THEN 'materialized view' ELSE 'foreign table'
    END AS kind,
  (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::int
    AS column_count,
  CASE WHEN c.relkind <> 'v' AND c.reltuples >= 0 THEN c.reltuples::int8 END AS row_count,
  obj_description(c.oid, 'pg_class') AS comment,
  n.nspname = (SELECT e.nspname FROM pg_class d JOIN pg_namespace e ON e.oid = d.relnamespace
    WHERE d.relname = c.relname AND e.nspname = ANY ($1::text[])
    ORDER BY array_position($1::text[], e.nspname::text) LIMIT 1) IS TRUE AS visible
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND c.relpersistence <> 't' AND has_schema_privilege(n.oid, 'USAGE')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
ORDER BY n.nspname <> 'public', n.nspname, c.relname
"""
"""What may be read; `visible` is what the search path ($1) finds by its name alone."""

_NAMES = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

_WITH_WHAT_SHOWS_THEM = """
WITH RECURSIVE denied(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT found.oid FROM denied, LATERAL (
    SELECT i.inhrelid AS oid FROM pg_inherits i WHERE i.inhparent = denied.oid
    UNION ALL SELECT r.ev_class FROM pg_depend d
      JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = denied.oid AND r.ev_class <> denied.oid
  ) found)
SELECT oid::int8 AS oid FROM denied
"""
"""What is denied, with its partitions and the views that read it: their text would name it."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One line of the list. `row_count` is the engine's estimate, None where it has none."""

    oid: int
    name: str
    schema: str
    kind: str
    column_count: int
    row_count: int | None
    comment: str | None
    visible: bool
    row_count_exact: bool = False

    @property
    def label(self) -> str:
        """The name under which a table is asked for: with its schema where the search path does not have it."""
        return self.name if self.visible else f"{self.schema}.{self.name}"


async def find_denied(connection: Connection, policy: Policy) -> set[int]:
    """The relations that stand in no list. Names are compared here: the database may fold ASCII alone."""
    if not policy.deny_tables:
        return set()
    named = [row["oid"] for row in await connection.ask(_NAMES) if policy.denies(row["schema"], row["name"])]
    return {row["oid"] for row in await connection.ask(_WITH_WHAT_SHOWS_THEM, named)}


async def read_tables(connection: Connection, policy: Policy, path: list[str]) -> list[TableSummary]:
    """List what may be read."""
    denied = await find_denied(connection, policy)
    return [TableSummary(**dict(row)) for row in await connection.ask(_READ_TABLES, path) if row["oid"] not in denied]


def choose_tables(tables: list[TableSummary], schema: str | None, pattern: str | None) -> list[TableSummary]:
    """Those of a schema whose names match a pattern."""
    if schema is not None and fold(schema) not in {fold(table.schema) for table in tables}:
        schemas = ", ".join(sorted({table.schema for table in tables})) or "none with tables that this role may read"
        raise Refusal(f"There is no schema {schema!r} with tables here. Schemas: {schemas}.")
    return [
        table for table in tables if (schema is None or fold(table.schema) == fold(schema)) and _matches(table, pattern)
    ]


def _matches(table: TableSummary, pattern: str | None) -> bool:
    if not pattern:
        return True
    if len(pattern) > 200:
        raise Refusal("pattern is longer than 200 characters; a part of a table's name is enough.")
    wanted = fold(pattern).replace("%", "*").replace("[", "[[]")
    names = (fold(table.name), f"{fold(table.schema)}.{fold(table.name)}")
    if "*" not in wanted and "?" not in wanted:
        return any(wanted in name for name in names)
    return any(re.match(fnmatch.translate(wanted), name) for name in names)


def find_table(tables: list[TableSummary], name: str, schema: str | None = None) -> TableSummary:
    """Find one table by `table`, `schema.table`, or both given apart; an unknown one is refused with the nearest."""
    exactly = [table for table in tables if _is_named(table, name, schema)]
    for found in (exactly, [table for table in tables if _is_named(table, fold(name), schema and fold(schema), True)]):
        visible = [table for table in found if table.visible]
        if len(found) == 1 or len(visible) == 1:
            return (visible or found)[0]
        if found:
            listed = ", ".join(f"{table.schema}.{table.name}" for table in found)
            raise UnknownTable(f"There are several tables {name!r}: {listed}. Say which, with its schema.")
    close = nearest(name, [table.label for table in tables])
    if close:
        raise UnknownTable(f"There is no table {name!r} here. Nearest: {', '.join(close)}. list_tables shows all.")
    raise UnknownTable(f"There is no table {name!r} here. list_tables shows all there are.")


def _is_named(table: TableSummary, name: str, schema: str | None, folded: bool = False) -> bool:
    mine = (fold(table.schema), fold(table.name)) if folded else (table.schema, table.name)
    return mine == (schema, name) if schema is not None else name in (mine[1], ".".join(mine))


async def find_unmatched(connection: Connection, policy: Policy) -> list[str]:
    """Name what the policy withholds and the database does not have."""
    rows = await connection.ask(
        "SELECT n.nspname::text, c.relname::text, ARRAY(SELECT a.attname::text FROM pg_attribute a "
        "WHERE a.attrelid = c.oid AND NOT a.attisdropped) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    )
    tables = {fold(name) for schema, table, _ in rows for name in (table, f"{schema}.{table}")}
    columns = {
        (fold(name), fold(column))
        for schema, table, names in rows
        for column in names
        for name in (table, f"{schema}.{table}")
    }
    missing = [name for name in policy.deny_tables if fold(name) not in tables]
    missing += [
        f"{table}.{column}" for table, column in policy.mask_columns if (fold(table), fold(column)) not in columns
    ]
    return sorted(missing)


async def read_mark(connection: Connection) -> str:
    """What changes with every table, column or comment that is changed, made or dropped."""
    (row,) = await connection.ask(
        "SELECT md5(concat("
        "(SELECT string_agg(c.oid || ':' || c.xmin || c.relname, ',' ORDER BY c.oid) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' "
        "AND n.nspname <> 'information_schema'), "
        "(SELECT string_agg(a.attrelid || ':' || a.attnum || ':' || a.xmin, ',' ORDER BY a.attrelid, a.attnum) "
        "FROM pg_attribute a WHERE a.attrelid >= 16384 AND a.attnum > 0), "
        "(SELECT string_agg(d.objoid || ':' || d.objsubid || ':' || d.xmin, ',' ORDER BY d.objoid, d.objsubid) "
        "FROM pg_description d WHERE d.objoid >= 16384)))"
    )
    return str(row[0])
