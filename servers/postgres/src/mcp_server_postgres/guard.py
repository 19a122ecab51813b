"""Whether a statement may run: what it touches held against what is withheld and what has effects."""

from .analysis import Touched
from .driver import Connection
from .effects import NAMED_EFFECTS, refuse_function
from .lexing import words
from .policy import Policy, fold
from .refusals import NOT_SERVED, Refusal

STATISTICS = frozenset({"pg_statistic", "pg_statistic_ext_data", "pg_largeobject"})
"""Catalogs that hold values of the tables' rows."""
RUNS_PROGRAMS = "file_fdw_handler"

_FAMILY = """
WITH RECURSIVE roots(oid) AS (SELECT unnest($1::oid[])),
above(root, oid) AS (
  SELECT oid, oid FROM roots
  UNION SELECT r.oid, c.oid FROM roots r JOIN pg_class c ON c.reltoastrelid = r.oid
  UNION SELECT a.root, i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid),
below(root, oid) AS (
  SELECT oid, oid FROM roots
  UNION SELECT b.root, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid)
SELECT f.root::int8 AS root, n.nspname::text AS schema, c.relname::text AS name, f.root = f.oid AS itself,
  EXISTS (SELECT FROM pg_class t WHERE t.oid = f.root AND t.relkind = 't') AS toast
FROM (SELECT * FROM above UNION SELECT * FROM below) f JOIN pg_class c ON c.oid = f.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
"""
"""The relations that are touched, with those whose rows they show and those that show theirs: partitions, heirs."""

_COLUMNS = """
SELECT a.attrelid::int8 AS root, a.attnum::int AS number, a.attname::text AS name,
  ARRAY(SELECT b.attname::text FROM pg_attrdef d
    JOIN pg_depend x ON x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid
      AND x.refclassid = 'pg_class'::regclass AND x.refobjid = a.attrelid AND x.refobjsubid <> a.attnum
    JOIN pg_attribute b ON b.attrelid = a.attrelid AND b.attnum = x.refobjsubid
    WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> '') AS made_of
FROM pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
"""Columns, with those that a generated one is made of."""


def check_functions(touched: Touched, policy: Policy) -> None:
    """Refuse a statement with a function that has effects, wherever it stands in it."""
    for function in touched.functions.values():
        why = refuse_function(function, policy, function.oid in touched.ahead)
        if why is not None:
            raise Refusal(
                f"Refused: the statement calls {function}, directly or through a view, a function, an operator, a "
                f"type, a default, an index or an aggregate, and that {why}. The operator can allow it with "
                f"--allow-function {function}."
            )


def check_programs(touched: Touched, policy: Policy) -> None:
    """Refuse a statement that reads a foreign table whose rows are the output of a program."""
    if touched.programs and RUNS_PROGRAMS not in {fold(name).rpartition(".")[2] for name in policy.allow_functions}:
        raise Refusal(
            f"Refused: {min(touched.programs)} is a foreign table that runs a program on the database's machine "
            f"whenever it is read, directly or through a view or a partition. The operator can allow such tables with "
            f"--allow-function {RUNS_PROGRAMS}."
        )


def check_names(sql: str, policy: Policy) -> None:
    """Refuse names of functions with effects, where the engine cannot take a statement apart."""
    allowed = {fold(name).rpartition(".")[2] for name in policy.allow_functions}
    found = sorted((words(sql) & NAMED_EFFECTS) - allowed)
    if found:
        raise Refusal(
            f"Refused: {found[0]} has effects outside the statement, or waits, which is not reading. The operator can "
            f"allow it with --allow-function {found[0]}."
        )


async def check_relations(connection: Connection, touched: Touched, policy: Policy) -> None:
    """Refuse a statement that touches a denied table, or a masked column in whatever expression."""
    masked: dict[int, set[str]] = {}
    names: dict[int, str] = {}
    for row in await connection.ask(_FAMILY, list(touched.relations)):
        root, schema, name = row["root"], row["schema"], row["name"]
        if policy.denies(schema, name):
            raise Refusal(NOT_SERVED)
        if schema == "pg_catalog" and name in STATISTICS:
            raise Refusal(f"Refused: {name} holds values of the tables, some of which are withheld here.")
        if row["itself"]:
            names[root] = name if schema == "public" else f"{schema}.{name}"
        hidden = policy.masks(schema, name)
        if hidden and row["toast"]:
            raise Refusal(f"Refused: the statement reads long values of {name}, where columns are masked here.")
        masked.setdefault(root, set()).update(hidden)
    masked = {root: columns for root, columns in masked.items() if columns}
    if masked:
        await _check_columns(connection, touched, masked, names)


async def _check_columns(
    connection: Connection, touched: Touched, masked: dict[int, set[str]], names: dict[int, str]
) -> None:
    rows = await connection.ask(_COLUMNS, list(masked))
    for root, columns in masked.items():
        mine = [row for row in rows if row["root"] == root]
        hidden = spread(columns, {row["name"]: row["made_of"] for row in mine})
        used = [row["name"] for row in mine if (root, row["number"]) in touched.columns and row["name"] in hidden]
        if used or (root in touched.whole_rows and hidden):
            what = f"{names[root]}.{used[0]}" if used else f"the whole row of {names[root]}, with {min(hidden)}"
            free = ", ".join(row["name"] for row in mine if row["name"] not in hidden)
            raise Refusal(
                f"Refused: the statement reads {what}, which is masked here, directly or through a view or a function. "
                f"Columns of {names[root]} that may be read: {free}."
            )


def spread(masked: set[str], made_of: dict[str, list[str]]) -> set[str]:
    """The masked columns by their true names, with the generated ones that are made of them."""
    hidden = {name for name in made_of if fold(name) in masked}
    hidden |= {name for name, sources in made_of.items() if hidden.intersection(sources)}
    return hidden


async def find_masked(connection: Connection, oids: list[int], policy: Policy) -> dict[int, set[str]]:
    """The masked columns of tables, for descriptions and samples."""
    masked: dict[int, set[str]] = {}
    if not policy.mask_columns:
        return masked
    for row in await connection.ask(_FAMILY, oids):
        masked.setdefault(row["root"], set()).update(policy.masks(row["schema"], row["name"]))
    rows = await connection.ask(_COLUMNS, [root for root, columns in masked.items() if columns])
    return {
        root: spread(columns, {row["name"]: row["made_of"] for row in rows if row["root"] == root})
        for root, columns in masked.items()
    }
