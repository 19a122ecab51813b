"""The plan of a statement as a tree, with warnings for what will be slow."""

import re
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass, field

from .policy import quote
from .program import Instruction
from .reader import Reader
from .refusals import Refusal
from .values import Bound, Nulls, Params, bind

BIG = 1_000  # rows; scanning fewer is faster than any index


@dataclass(slots=True)
class PlanNode:
    """One step, in the engine's words, and the steps inside it."""

    detail: str
    children: list["PlanNode"] = field(default_factory=list["PlanNode"])


@dataclass(slots=True)
class Plan:
    """The steps in the order in which the engine takes them, and what in them will be slow."""

    nodes: list[PlanNode]
    warnings: list[str]
    row_count: int | None = None  # with the next one: what running it showed
    elapsed_ms: float | None = None


def explain(reader: Reader, sql: str, params: Params | None, analyze: bool = False) -> Plan:
    """Ask the engine for its plan. Parameters may be left out, unless the statement is to be run."""
    values = _choose_values(reader, sql, params)
    cursor = reader.run("EXPLAIN QUERY PLAN " + sql, values)
    if cursor.description is None or len(cursor.description) != 4:
        raise Refusal("Give the statement alone, without EXPLAIN in front.")
    rows = cursor.fetchall()
    nodes: dict[int, PlanNode] = {}
    tops: list[PlanNode] = []
    for number, parent, _, detail in rows:
        node = nodes[number] = PlanNode(str(detail))
        (nodes[parent].children if parent in nodes else tops).append(node)
    scans = any(str(row[3]).startswith("SCAN") for row in rows)
    warnings = _warn_of_scans(reader, reader.explain_program(sql, values)) if scans else []
    warnings += [
        f"{detail}: rows are collected and sorted before the first one comes; an index in that order avoids it."
        for _, _, _, detail in rows
        if "TEMP B-TREE FOR" in str(detail)
    ]
    plan = Plan(tops, list(dict.fromkeys(warnings)))
    if analyze:
        began = time.perf_counter()
        plan.row_count = sum(1 for _ in reader.execute(sql, params))
        plan.elapsed_ms = round((time.perf_counter() - began) * 1000, 3)
    return plan


def _choose_values(reader: Reader, sql: str, params: Params | None) -> Bound:
    """Give the values to plan with: the caller's, or NULL for each placeholder when none were given."""
    values = bind(params)
    if params is not None:
        return values
    try:
        reader.run("EXPLAIN QUERY PLAN " + sql, values)
    except sqlite3.ProgrammingError as error:
        wanted = re.search(r"uses (\d+)", str(error))  # the module's only word on how many a statement has
        if wanted is None:
            raise
        count = int(wanted[1])
    else:
        return values
    with suppress(sqlite3.ProgrammingError):
        reader.run("EXPLAIN QUERY PLAN " + sql, Nulls())
        return Nulls()
    return [None for _ in range(count)]


def _warn_of_scans(reader: Reader, program: list[Instruction]) -> list[str]:
    """Warn of every full scan of a big table.

    A step of the plan names only an alias. The program knows better: a cursor that is rewound and then stepped, or
    counted, reads its b-tree from end to end, and it was opened on a root page, which is the table's or an index's.
    """
    if reader.scope is not None:
        roots = {entry.root: (entry.table, entry.kind) for entry in reader.scope.entries if entry.root}
    else:
        rows = reader.ask_schema("SELECT tbl_name, type, rootpage FROM sqlite_schema WHERE rootpage>0")
        roots = {int(str(root)): (str(table), str(kind)) for table, kind, root in rows}
    opened = {str(row[2]): int(str(row[3])) for row in program if row[1] in ("OpenRead", "ReopenIdx")}
    ended = {str(row[2]) for row in program if row[1] in ("Rewind", "Last")}
    stepped = {str(row[2]) for row in program if row[1] in ("Next", "Prev")}
    counted = {str(row[2]) for row in program if row[1] == "Count"}
    warnings: list[str] = []
    for cursor, root in opened.items():
        table, kind = roots.get(root, ("sqlite_schema", "table"))
        scanned = cursor in counted or (cursor in ended and cursor in stepped)
        if scanned and not table.startswith("sqlite_") and _is_big(reader, table):
            what = "every entry of an index of" if kind == "index" else "every row of"
            warnings.append(
                f"Reads {what} {table}, which has more than {BIG} rows, unless a LIMIT ends it. A WHERE on an indexed "
                "column avoids that."
            )
    return warnings


def _is_big(reader: Reader, table: str) -> bool:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {quote(table)} LIMIT {BIG + 1})"  # noqa: S608  quoted
    (count,) = reader.execute(sql, None).fetchone()
    return int(count) > BIG
