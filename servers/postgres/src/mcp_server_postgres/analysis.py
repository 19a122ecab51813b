"""What a statement touches, in the engine's own words, before anything of it is planned or run.

The statement is made the body of a temporary function in a transaction that is rolled back. PostgreSQL parses and
resolves it, and keeps two things: `pg_depend`, with tables and columns, and the stored node tree, with every function,
and with every column and whole row for which the role needs the right to read. Both are taken: `pg_depend` misses what
the name of a join stands for. Planning would already be too late: it runs STABLE functions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .driver import Connection, Row
from .effects import FIRST_USER_OID, Function

_RELATIONS = re.compile(r" :relid (\d+)")
_SELECTED = re.compile(r" :relid (\d+)(?:(?! :relid ).)*? :selectedCols \(b([ \d]*)\)", re.DOTALL)
_FIRST_BIT = 7  # of a set of columns: it stands for the whole row, the next one for column 1
_FUNCTIONS = re.compile(
    r" :(?:funcid|aggfnoid|winfnoid|opfuncid|hashfuncid|negfuncid|tsmhandler|inferopclass|elemfuncid) (\d+)"
)
_OPERATORS = re.compile(r" :(?:opno|eqop|sortop|minmaxop) (\d+)")
_TYPES = re.compile(r" :(?:resulttype|consttype) (\d+)")
_WHOLE_ROWS = re.compile(r"\{VAR :varno -?\d+ :varattno 0 :vartype (\d+)")
DEEPEST = 64

_READ_PROBE = """
SELECT p.oid::int8 AS oid, p.prosqlbody::text AS tree, ARRAY(
    SELECT refobjid::int8 || '.' || refobjsubid FROM pg_catalog.pg_depend WHERE objid = p.oid
      AND classid = 'pg_catalog.pg_proc'::regclass AND refclassid = 'pg_catalog.pg_class'::regclass) AS columns
FROM pg_catalog.pg_proc p WHERE p.proname = 'mcp_probe' AND p.pronamespace = pg_catalog.pg_my_temp_schema()
"""
_READ_VIEWS = """
SELECT c.oid::int8 AS oid, r.ev_action::text AS tree, r.xmin::text AS mark, ARRAY(
    SELECT refobjid::int8 || '.' || refobjsubid FROM pg_catalog.pg_depend WHERE objid = r.oid AND refobjid <> c.oid
      AND classid = 'pg_catalog.pg_rewrite'::regclass AND refclassid = 'pg_catalog.pg_class'::regclass) AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1'
WHERE c.oid = ANY ($1::oid[]) AND c.relkind IN ('v', 'm')
"""
_READ_FUNCTIONS = """
SELECT p.oid::int8 AS oid, n.nspname::text AS schema, p.proname::text AS name, p.provolatile = 'v' AS volatile,
  l.lanname::text AS language, l.lanpltrusted OR l.lanname IN ('c', 'internal', 'sql') AS trusted,
  CASE WHEN p.prosqlbody IS NOT NULL THEN 'tree' WHEN l.lanname IN ('c', 'internal') THEN 'compiled' ELSE 'text' END
    AS body,
  p.prosqlbody::text AS tree, p.xmin::text AS mark, a.aggfnoid IS NOT NULL AS aggregate,
  ARRAY(SELECT f::oid::int8 FROM unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
    a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]) AS f WHERE f::oid <> 0) AS parts,
  ARRAY(SELECT refobjid::int8 || '.' || refobjsubid FROM pg_catalog.pg_depend WHERE objid = p.oid
      AND classid = 'pg_catalog.pg_proc'::regclass AND refclassid = 'pg_catalog.pg_class'::regclass) AS columns
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
WHERE p.oid = ANY ($1::oid[])
"""
_RESOLVE = """
SELECT 'f' AS kind, oprcode::oid::int8 AS oid, NULL::text AS tree FROM pg_catalog.pg_operator
WHERE oid = ANY ($1::oid[]) AND oprcode <> 0
UNION ALL
SELECT 'f', p.amproc::oid::int8, NULL FROM pg_catalog.pg_amop o
JOIN pg_catalog.pg_amproc p ON p.amprocfamily = o.amopfamily WHERE o.amopopr = ANY ($1::oid[])
UNION ALL
SELECT 'r', typrelid::int8, NULL FROM pg_catalog.pg_type WHERE oid = ANY ($2::oid[]) AND typrelid <> 0
UNION ALL
SELECT 'c', oid::int8, conbin::text FROM pg_catalog.pg_constraint WHERE contypid = ANY ($3::oid[])
"""
"""The functions of operators, and those that sort by them; the tables of whole rows; the checks of domains."""


@dataclass(slots=True)
class Touched:
    """Everything that a statement touches: relations, columns of relations, whole rows, functions, all by OID.

    `through` has the views and functions whose own insides were followed, with what tells that they were changed since.
    """

    relations: set[int] = field(default_factory=set[int])
    columns: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    whole_rows: set[int] = field(default_factory=set[int])
    functions: dict[int, Function] = field(default_factory=dict[int, Function])
    through: dict[int, str] = field(default_factory=dict[int, str])


async def probe(connection: Connection, sql: str, parameters: int) -> Touched:
    """Take a statement apart. The transaction must be able to write, and is rolled back by the caller.

    The statement must have been accepted as a cursor's query before; here it is only defined, never run.
    """
    arguments = ", ".join(["pg_catalog.text"] * parameters)
    await connection.fetch(
        f"CREATE FUNCTION pg_temp.mcp_probe({arguments}) RETURNS SETOF pg_catalog.record LANGUAGE sql "
        f"BEGIN ATOMIC {sql}\n; END"
    )
    (row,) = await connection.fetch(_READ_PROBE)
    return await _Walk(connection).run(row["tree"], row["columns"])


class _Walk:
    """Follows a statement's tree into the views and the functions that it uses, and theirs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._touched = Touched()
        self._seen: set[int] = set()
        self._seen_types: set[int] = set()
        self._new_relations: set[int] = set()
        self._new_functions: set[int] = set()

    async def run(self, tree: str, columns: list[str]) -> Touched:
        await self._take(tree, columns)
        for _ in range(DEEPEST):
            if not (self._new_relations or self._new_functions):
                break
            await self._follow_views()
            await self._follow_functions()
        return self._touched

    async def _take(self, tree: str, columns: list[str]) -> None:
        """Note what one tree names."""
        relations = {int(found) for found in _RELATIONS.findall(tree)} - {0}
        functions = {int(found) for found in _FUNCTIONS.findall(tree)} - {0}
        operators = {oid for found in _OPERATORS.findall(tree) if (oid := int(found)) >= FIRST_USER_OID}
        rows = {int(found) for found in _WHOLE_ROWS.findall(tree)}
        types = {oid for found in _TYPES.findall(tree) if (oid := int(found)) >= FIRST_USER_OID} - self._seen_types
        self._seen_types |= types
        checks: list[str] = []
        if operators or rows or types:
            for kind, oid, check in await self._connection.fetch(_RESOLVE, list(operators), list(rows), list(types)):
                if kind == "c":
                    checks.append(f" {check}")
                else:
                    (functions if kind == "f" else self._touched.whole_rows).add(oid)
        for relation, bits in _SELECTED.findall(tree):
            for number in (int(bit) - _FIRST_BIT for bit in bits.split()):
                if number > 0:
                    self._touched.columns.add((int(relation), number))
                elif number == 0:
                    self._touched.whole_rows.add(int(relation))
        for each in columns:
            relation, _, column = each.partition(".")
            relations.add(int(relation))
            if column != "0":
                self._touched.columns.add((int(relation), int(column)))
        self._new_relations |= relations - self._touched.relations
        self._touched.relations |= relations
        self._new_functions |= functions - self._seen
        self._seen |= functions
        for check in checks:
            await self._take(check, [])

    async def _ask(self, query: str, oids: list[int]) -> Sequence[Row]:
        return await self._connection.fetch(query, oids) if oids else ()

    async def _follow_views(self) -> None:
        asked, self._new_relations = list(self._new_relations), set()
        for row in await self._ask(_READ_VIEWS, asked):
            self._touched.through[row["oid"]] = row["mark"]
            await self._take(row["tree"], row["columns"])

    async def _follow_functions(self) -> None:
        asked, self._new_functions = list(self._new_functions), set()
        for row in await self._ask(_READ_FUNCTIONS, asked):
            function = Function(
                row["oid"],
                row["schema"],
                row["name"],
                row["volatile"] and not row["aggregate"],
                row["language"],
                row["trusted"],
                row["body"],
            )
            self._touched.functions[function.oid] = function
            if function.is_own:
                continue
            self._touched.through[function.oid] = row["mark"]
            parts = set(row["parts"])
            self._new_functions |= parts - self._seen
            self._seen |= parts
            if row["tree"]:
                await self._take(row["tree"], row["columns"])


_MARKS = """
SELECT r.ev_class::int8 AS oid, r.xmin::text AS mark FROM pg_catalog.pg_rewrite r
WHERE r.ev_class = ANY ($1::oid[]) AND r.ev_type = '1'
UNION ALL SELECT oid::int8, xmin::text FROM pg_catalog.pg_proc WHERE oid = ANY ($1::oid[])
"""


async def has_changed(connection: Connection, touched: Touched) -> bool:
    """Whether a view or a function that was followed is not what it was."""
    if not touched.through:
        return False
    rows = await connection.fetch(_MARKS, list(touched.through))
    return {row["oid"]: row["mark"] for row in rows} != touched.through
