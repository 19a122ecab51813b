"""What a statement touches, in the engine's own words, before anything of it is planned or run.

The statement is made the body of a temporary function in a transaction that is rolled back. PostgreSQL parses and
resolves it, and keeps two things: `pg_depend`, with tables and columns, and the stored node tree, with every function,
and with every column and whole row for which the role needs the right to read. Both are taken: `pg_depend` misses what
the name of a join stands for. Planning would already be too late: it runs STABLE functions.

Here the tree is read; `insides.py` asks for what stands behind the names in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .driver import Connection, Row
from .effects import FIRST_USER_OID, Function
from .insides import DOMAIN_CHECKS, FUNCTIONS, MARKS, OPERATORS, PROBE, PROGRAMS, RELATIONS, TYPES
from .messages import Step, run
from .refusals import Refusal

_RELATIONS = re.compile(r" :relid (\d+)")
_SELECTED = re.compile(r" :relid (\d+)(?:(?! :relid ).)*? :selectedCols \(b([ \d]*)\)", re.DOTALL)
_FIRST_BIT = 7  # of a set of columns: it stands for the whole row, the next one for column 1
_FUNCTIONS = re.compile(
    r" :(?:funcid|aggfnoid|winfnoid|opfuncid|hashfuncid|negfuncid|tsmhandler|inferopclass|elemfuncid|startInRangeFunc"
    r"|endInRangeFunc) (\d+)"
)
_OPERATORS = re.compile(r" :(?:opno|opnos|eqop|sortop|minmaxop|cycle_mark_neop) (?:\(o )?(\d[\d ]*)")
_TYPES = re.compile(r" :\w*(?:[tT]ype|typid)\w* (?:\(o )?(\d[\d ]*)")
_WHOLE_ROWS = re.compile(r"\{VAR :varno -?\d+ :varattno 0 :vartype (\d+)")
DEEPEST = 64
READS_ANY_TYPE = frozenset(
    ["record_in", "array_in", "domain_in", "range_in", "multirange_in", "pg_input_is_valid", "pg_input_error_info"]
)
"""Functions that are told by a value which type's text they read; the checks of every domain may run in them."""


@dataclass(slots=True)
class Touched:
    """Everything that a statement touches: relations, columns of relations, whole rows, functions, all by OID.

    `ahead` are the functions that only indexes and checks name: the planner may compute them ahead.
    `programs` are the foreign tables that run one on the database's machine.
    `through` has the views and functions whose own insides were followed, with what tells that they were changed since.
    """

    relations: set[int] = field(default_factory=set[int])
    columns: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    whole_rows: set[int] = field(default_factory=set[int])
    functions: dict[int, Function] = field(default_factory=dict[int, Function])
    ahead: set[int] = field(default_factory=set[int])
    programs: set[str] = field(default_factory=set[str])
    through: dict[int, str] = field(default_factory=dict[int, str])


def define(sql: str, parameters: int) -> Step:
    """What makes the statement the body of a function. The transaction must be able to write, and is rolled back.

    The statement must have been accepted as a cursor's query before; here it is only defined, never run.
    """
    arguments = ", ".join(["pg_catalog.text"] * parameters)
    return run(
        f"CREATE FUNCTION pg_temp.mcp_probe({arguments}) RETURNS SETOF pg_catalog.record LANGUAGE sql "
        f"BEGIN ATOMIC {sql}\n; END"
    )


async def read_definition(connection: Connection, known: dict[int, Function], sources: bool) -> Touched:
    """Take apart what `define` defined, and what stands behind it. `known` keeps PostgreSQL's own functions.

    With `sources` also what materialized views were made of. Reading one runs nothing of that, but shows its rows.
    """
    (probe,) = await connection.ask(PROBE)
    return await _Walk(connection, known, sources).run(probe)


class _Walk:
    """Follows a statement's tree into the views, functions, operators and types that it uses, and theirs."""

    def __init__(self, connection: Connection, known: dict[int, Function], sources: bool) -> None:
        self._connection = connection
        self._known = known
        self._sources = sources
        self._touched = Touched()
        self._seen: set[int] = set()
        self._seen_operators: set[int] = set()
        self._seen_types: set[int] = set()
        self._new_relations: set[int] = set()
        self._new_functions: set[int] = set()
        self._aside: list[str] = []  # trees of what the planner may compute ahead

    async def run(self, probe: Row) -> Touched:
        await self._take(probe["tree"], probe["columns"])
        known = {int(each.partition(".")[0]) for each in probe["columns"]}
        self._new_relations -= known.difference(probe["behind"])
        await self._follow()
        called = set(self._touched.functions)
        while self._aside:
            aside, self._aside = self._aside, []
            for tree in aside:
                await self._take(tree)
            await self._follow()
        self._touched.ahead = self._touched.functions.keys() - called
        return self._touched

    async def _follow(self) -> None:
        for _ in range(DEEPEST):
            if not (self._new_relations or self._new_functions):
                return
            await self._follow_relations()
            await self._follow_functions()
        raise Refusal(f"Refused: what the statement uses goes more than {DEEPEST} views or functions deep.")

    async def _take(self, tree: str, columns: Sequence[str] = ()) -> None:
        """Note what one tree names."""
        self._note_relations(tree, columns)
        self._note_functions({int(found) for found in _FUNCTIONS.findall(tree)} - {0})
        operators = _of_users(_OPERATORS.findall(tree)) - self._seen_operators
        types = _of_users(_TYPES.findall(tree)) - self._seen_types
        rows = {int(found) for found in _WHOLE_ROWS.findall(tree)}
        self._seen_operators |= operators
        self._seen_types |= types
        if operators:
            self._note_functions({row[0] for row in await self._connection.ask(OPERATORS, list(operators))})
        if types or rows:
            await self._follow_types(types, rows)

    def _note_relations(self, tree: str, columns: Sequence[str]) -> None:
        relations = {int(found) for found in _RELATIONS.findall(tree)} - {0}
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

    def _note_functions(self, functions: set[int]) -> None:
        self._new_functions |= functions - self._seen
        self._seen |= functions

    async def _follow_types(self, types: set[int], rows: set[int]) -> None:
        checks: list[str] = []
        for kind, oid, check in await self._connection.ask(TYPES, list(types), list(rows)):
            match kind:
                case "check":
                    checks.append(check)
                case "function":
                    self._note_functions({oid})
                case _:
                    self._touched.whole_rows.add(oid)
        for check in checks:
            await self._take(check)

    async def _ask(self, query: str, oids: list[int]) -> Sequence[Row]:
        return await self._connection.ask(query, oids) if oids else ()

    async def _follow_relations(self) -> None:
        asked, self._new_relations = list(self._new_relations), set()
        elsewhere: list[int] = []
        for row in await self._ask(RELATIONS, asked):
            match row["kind"]:
                case "stored" if not self._sources:
                    continue
                case "view" | "stored":
                    self._touched.through[row["oid"]] = row["mark"]
                    await self._take(row["tree"], row["columns"])
                case "elsewhere":
                    elsewhere.append(row["oid"])
                case _:
                    self._aside.append(row["tree"])
        self._touched.programs.update(row["name"] for row in await self._ask(PROGRAMS, elsewhere))

    async def _follow_functions(self) -> None:
        asked, self._new_functions = self._new_functions, set()
        for oid in asked & self._known.keys():
            self._touched.functions[oid] = self._known[oid]
            await self._follow_own(self._known[oid])
        for row in await self._ask(FUNCTIONS, list(asked - self._known.keys())):
            function = Function(
                row["oid"],
                row["schema"],
                row["name"],
                "i" if row["aggregate"] else row["volatility"],
                row["language"],
                row["trusted"],
                row["body"],
                row["of_extension"],
            )
            self._touched.functions[function.oid] = function
            if function.is_own:
                self._known[function.oid] = function
                await self._follow_own(function)
                continue
            self._touched.through[function.oid] = row["mark"]
            self._note_functions(set(map(int, row["parts"])))
            await self._take(row["tree"], row["columns"])

    async def _follow_own(self, function: Function) -> None:
        if function.name in READS_ANY_TYPE:
            for (check,) in await self._connection.ask(DOMAIN_CHECKS):
                await self._take(check)


def _of_users(found: list[str]) -> set[int]:
    """The OIDs in lists of them that are not PostgreSQL's own."""
    return {oid for each in found for oid in map(int, each.split()) if oid >= FIRST_USER_OID}


async def has_changed(connection: Connection, touched: Touched) -> bool:
    """Whether a view or a function that was followed is not what it was."""
    if not touched.through:
        return False
    rows = await connection.ask(MARKS, list(touched.through))
    return {row["oid"]: row["mark"] for row in rows} != touched.through
