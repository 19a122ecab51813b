"""The plan of a statement as a tree, with findings: what will be slow, and what was when it was run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from .driver import Connection

MANY = 10_000  # rows; reading fewer is faster than any index
ASTRAY = 10  # times; an estimate that is wrong by less does no harm
Node = dict[str, Any]


@dataclass(slots=True)
class PlanNode:
    """One step, in words, and the steps inside it."""

    detail: str
    children: list["PlanNode"] = field(default_factory=list["PlanNode"])


@dataclass(slots=True)
class Plan:
    """The steps as a tree, what in them will be slow, and the planner's own figures."""

    nodes: list[PlanNode]
    warnings: list[str]
    total_cost: float
    estimated_rows: int
    row_count: int | None = None  # with the next one: what running it showed
    elapsed_ms: float | None = None


async def ask_cost(connection: Connection, sql: str, values: Sequence[str | None]) -> float:
    """What the planner thinks that a statement costs."""
    (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {sql}", *values)
    (top,) = json.loads(row[0])
    return float(top["Plan"]["Total Cost"])


async def ask_plan(connection: Connection, sql: str, values: Sequence[str | None], analyze: bool) -> Plan:
    """Ask the engine for its plan; with `analyze` it runs the statement, inside the fences of the transaction."""
    options = "FORMAT JSON, ANALYZE, BUFFERS" if analyze else "FORMAT JSON"
    (row,) = await connection.fetch(f"EXPLAIN ({options}) {sql}", *values)
    (top,) = json.loads(row[0])
    root = cast("Node", top["Plan"])
    plan = Plan(
        [_draw(root)], list(dict.fromkeys(_find(root))), float(root["Total Cost"]), int(root.get("Plan Rows", 0))
    )
    if analyze:
        plan.row_count = int(root.get("Actual Rows", 0))
        plan.elapsed_ms = round(float(top.get("Planning Time", 0)) + float(top.get("Execution Time", 0)), 3)
    return plan


async def show_plan(connection: Connection, sql: str, values: Sequence[str | None], options: str) -> list[str]:
    """The engine's own text of a plan, line by line."""
    rows = await connection.fetch(f"EXPLAIN ({options}) {sql}", *values)
    return [line for row in rows for line in str(row[0]).split("\n")]


def _draw(node: Node) -> PlanNode:
    return PlanNode(_describe(node), [_draw(child) for child in node.get("Plans", [])])


def _describe(node: Node) -> str:
    name = " ".join(str(part) for part in (node.get("Strategy"), node["Node Type"]) if part not in (None, "Plain"))
    if join := node.get("Join Type"):
        name = f"{name} ({join})"
    words = [name]
    if table := node.get("Relation Name"):
        alias = node.get("Alias")
        words.append(f"on {table}" + (f" as {alias}" if alias != table else ""))
    if index := node.get("Index Name"):
        words.append(f"using {index}")
    if title := node.get("Subplan Name"):
        words.insert(0, f"{title}:")
    conditions = [
        f"{label.lower()} {node[label]}"
        for label in ("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter")
        if node.get(label)
    ]
    if keys := node.get("Sort Key") or node.get("Group Key"):
        conditions.append(f"by {', '.join(map(str, keys))}")
    figures = f"cost {node['Total Cost']}, about {node['Plan Rows']} rows"
    if "Actual Rows" in node:
        loops = node.get("Actual Loops", 1)
        figures += f"; took {node.get('Actual Total Time', 0)} ms, gave {node['Actual Rows']:g} rows"
        figures += f", {loops} times" if loops != 1 else ""
    return "; ".join([" ".join(words), *conditions]) + f" ({figures})"


def _find(node: Node) -> Iterator[str]:
    table, rows = node.get("Relation Name"), int(node.get("Plan Rows", 0))
    dropped = int(node.get("Rows Removed by Filter", 0))
    if node["Node Type"] == "Seq Scan" and node.get("Filter") and max(rows + dropped, _guess(node)) > MANY:
        yield (
            f"Reads every row of {table} to keep those where {node['Filter']}. An index on what is compared avoids "
            "that, if few are kept."
        )
    elif node["Node Type"] == "Seq Scan" and rows > MANY:
        yield f"Reads every row of {table}, about {rows}."
    if node.get("Sort Space Type") == "Disk":
        yield f"Sorts {node.get('Sort Space Used')} kB on disk: more than work_mem holds. Sort fewer rows or columns."
    if int(node.get("Hash Batches", 1)) > 1:
        yield "A hash table did not fit into work_mem and was split onto disk. Join or group fewer rows."
    actual = node.get("Actual Rows")
    if actual is not None and max(rows, actual) > MANY:
        ratio = max(rows, actual, 1) / max(min(rows, actual), 1)
        if ratio > ASTRAY:
            where = f" on {table}" if table else ""
            yield f"{node['Node Type']}{where}: {rows} rows were expected, {actual:g} came. ANALYZE may be due."
    if node["Node Type"] == "Nested Loop" and node.get("Join Filter") and rows > MANY:
        yield f"Compares every pair of rows ({node['Join Filter']}): give the join a condition of equality."
    for child in node.get("Plans", []):
        yield from _find(child)


def _guess(node: Node) -> float:
    """The rows that a scan reads, from its cost: at the default settings a row and its filter cost about 0.0125."""
    return (float(node["Total Cost"]) - float(node.get("Startup Cost", 0))) / 0.02
