"""The plan of a statement as a tree, and what it finds."""

from __future__ import annotations

import time

import pytest
from tests.servers.postgres.conftest import Desk, Opener

from mcp_server_postgres.plan import Plan, PlanNode
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal


def explain(desk: Desk, sql: str, analyze: bool = False) -> Plan:
    return desk.run(desk.database.explain_query(sql, analyze=analyze))


def details(nodes: list[PlanNode]) -> list[str]:
    return [text for node in nodes for text in (node.detail, *details(node.children))]


def test_a_plan_is_a_tree_with_the_planner_s_figures(reader: Desk) -> None:
    plan = explain(
        reader, "SELECT c.name, sum(total) FROM customers c JOIN sales.orders o ON o.customer_id = c.id GROUP BY 1"
    )
    assert plan.nodes[0].children
    assert any("orders" in text for text in details(plan.nodes))
    assert plan.total_cost > 0
    assert plan.row_count is None


def test_a_scan_of_a_big_table_is_found_and_an_index_is_none(reader: Desk) -> None:
    assert any(
        "Reads every row of big" in each for each in explain(reader, "SELECT * FROM big WHERE body LIKE '%y%'").warnings
    )
    plan = explain(reader, "SELECT * FROM big WHERE id = 7")
    assert plan.warnings == []
    assert "big_pkey" in details(plan.nodes)[0]


def test_a_statement_with_parameters_is_planned_without_their_values(reader: Desk) -> None:
    plan = explain(reader, "SELECT * FROM big WHERE id = $1 AND body = $2 LIMIT $3")
    assert any("big_pkey" in text for text in details(plan.nodes))
    with pytest.raises(Refusal, match="write values"):
        explain(reader, "SELECT * FROM big WHERE id = $1", analyze=True)


def test_analyzing_runs_the_statement_and_says_what_it_gave(reader: Desk) -> None:
    plan = explain(reader, "SELECT * FROM big WHERE id < 100", analyze=True)
    assert plan.row_count == 99
    assert plan.elapsed_ms is not None
    assert "gave" in plan.nodes[0].detail


def test_a_sort_on_disk_is_found(reader: Desk) -> None:
    plan = explain(reader, "SELECT * FROM big a ORDER BY md5(body || id)", analyze=True)
    assert any("on disk" in each or "Reads every row" in each for each in plan.warnings)


def test_analyzing_stays_inside_the_fences(desk: Opener, reader: Desk) -> None:
    for sql in (
        "DELETE FROM customers",
        "SELECT pg_sleep(9)",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; DELETE FROM customers",
    ):
        with pytest.raises(Refusal):
            explain(reader, sql, analyze=True)
    hurried = desk(Policy(query_timeout=0.4))
    began = time.monotonic()
    with pytest.raises(Refusal, match="Stopped after"):
        explain(hurried, "SELECT count(*) FROM big a, big b, big c", analyze=True)
    assert time.monotonic() - began < 2
    assert reader.one("SELECT count(*) FROM customers") == 3


def test_explain_in_front_is_taken_off(reader: Desk) -> None:
    assert explain(reader, "EXPLAIN SELECT 1").nodes[0].detail.startswith("Result")
