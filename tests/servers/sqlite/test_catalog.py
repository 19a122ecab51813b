"""The list, the description and the plan."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcp_server_sqlite.catalog import ForeignKey

from .conftest import Desk, Opener


@pytest.fixture(scope="module")
def open_shop(desk: Opener, shop: Path) -> Desk:
    return desk(shop)


def test_the_list_has_tables_and_views_with_counts(open_shop: Desk) -> None:
    listed = {each.name: each for each in open_shop.run(open_shop.database.list_tables())}
    assert list(listed) == [
        "best_sellers", "customers", "order_items", "order_totals", "orders", "products", "reviews",
    ]  # fmt: skip
    assert (listed["customers"].kind, listed["customers"].row_count, listed["customers"].row_count_exact) == (
        "table",
        60,
        True,
    )
    assert (listed["best_sellers"].kind, listed["best_sellers"].column_count) == ("view", 5)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("ORDER", ["order_items", "order_totals", "orders"]),
        ("order*", ["order_items", "order_totals", "orders"]),
        ("%_items", ["order_items"]),
        ("order?", ["orders"]),
        ("[o]*", []),
        ("*" * 100 + "zz", []),
        ("", ["best_sellers", "customers", "order_items", "order_totals", "orders", "products", "reviews"]),
    ],
)
def test_a_pattern_chooses_by_name(open_shop: Desk, pattern: str, names: list[str]) -> None:
    assert [each.name for each in open_shop.run(open_shop.database.list_tables("main", pattern))] == names


def test_another_schema_is_refused(open_shop: Desk) -> None:
    assert "one schema here: main" in open_shop.hear(open_shop.database.list_tables("temp"))


def test_a_table_is_described_whole(open_shop: Desk) -> None:
    table = open_shop.run(open_shop.database.describe_table("ORDER_ITEMS"))
    assert (table.name, table.kind, table.row_count, table.primary_key) == (
        "order_items", "table", open_shop.query("SELECT count(*) FROM order_items")[0][0], ["order_id", "product_id"],
    )  # fmt: skip
    columns = {column.name: column for column in table.columns}
    assert (columns["total"].generated, columns["quantity"].nullable) == ("virtual", False)
    assert {index.name: index.columns for index in table.indexes}["items_by_product"] == ["product_id"]
    assert ForeignKey("order_items", ["order_id"], "orders", ["id"], "NO ACTION", "CASCADE") in table.foreign_keys
    assert table.ddl is not None
    assert "WITHOUT ROWID" in table.ddl


def test_foreign_keys_triggers_and_unique_keys_are_seen_from_both_sides(open_shop: Desk) -> None:
    customers = open_shop.run(open_shop.database.describe_table("customers"))
    assert [key.table for key in customers.referenced_by] == ["orders", "reviews"]
    assert customers.unique_keys == [["email"]]
    reviews = open_shop.run(open_shop.database.describe_table("reviews"))
    assert [trigger.name for trigger in reviews.triggers] == ["review_needs_a_purchase"]
    assert not next(column for column in reviews.columns if column.name == "id").nullable


@pytest.mark.parametrize(
    ("name", "near"), [("custmers", "customers"), ("order", "orders"), ("zzz", "list_tables shows")]
)
def test_an_unknown_table_names_the_nearest(open_shop: Desk, name: str, near: str) -> None:
    assert near in open_shop.hear(open_shop.database.describe_table(name))
    assert near in open_shop.hear(open_shop.database.sample_rows(name))


@pytest.mark.parametrize("name", ["x'; DROP TABLE customers; --", '"', "customers\0", "main.customers", "\ud800"])
def test_a_hostile_table_name_is_only_a_name(open_shop: Desk, name: str) -> None:
    assert "There is no table" in open_shop.hear(open_shop.database.describe_table(name))


def test_ddl_can_be_run_again(open_shop: Desk) -> None:
    ddl = open_shop.run(open_shop.database.schema_ddl())
    with closing(sqlite3.connect(":memory:")) as raw:
        raw.executescript(ddl)
        made = raw.execute("SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL").fetchone()
    assert [list(made)] == open_shop.query("SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL")
    assert open_shop.run(open_shop.database.schema_ddl("reviews")).count(";\n\n") == 2


def test_sample_rows_are_rows(open_shop: Desk) -> None:
    assert open_shop.run(open_shop.database.sample_rows("products", 3)).row_count == 3


@pytest.fixture(scope="module")
def big(desk: Opener, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    path = tmp_path_factory.mktemp("big") / "big.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(
            "CREATE TABLE big (id INTEGER PRIMARY KEY, a, b); CREATE INDEX big_a ON big (a); CREATE TABLE small (a);"
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 12000) "
            "INSERT INTO big SELECT x, x, x FROM c;"
            "INSERT INTO small VALUES (1);"
        )
    return desk(path)


@pytest.mark.parametrize(
    ("sql", "warnings"),
    [
        ("SELECT * FROM big WHERE b = 1", ["Reads every row of big"]),
        ("SELECT alias.b FROM big AS alias", ["Reads every row of big"]),
        ("SELECT count(a) FROM big", ["of big, which has more than 1000 rows"]),
        ("SELECT * FROM big WHERE a = 1", []),
        ("SELECT * FROM big WHERE a = ? AND b = ?", []),
        ("SELECT * FROM big WHERE a = :a", []),
        ("SELECT * FROM small", []),
        ("SELECT * FROM small JOIN big USING (a)", []),
        ("SELECT * FROM small ORDER BY a", ["TEMP B-TREE FOR ORDER BY"]),
    ],
)
def test_a_plan_warns_of_what_will_be_slow(big: Desk, sql: str, warnings: list[str]) -> None:
    plan = big.run(big.database.explain_query(sql))
    assert len(plan.warnings) == len(warnings)
    assert all(text in warning for text, warning in zip(warnings, plan.warnings, strict=True))


def test_a_plan_is_a_tree(big: Desk) -> None:
    plan = big.run(
        big.database.explain_query("SELECT * FROM small WHERE a IN (SELECT a FROM big UNION SELECT b FROM big)")
    )
    assert any(node.children for node in plan.nodes)


def test_a_plan_can_be_measured_and_does_not_run_by_itself(big: Desk) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    assert big.run(big.database.explain_query(endless)).row_count is None
    assert big.run(big.database.explain_query("SELECT * FROM big", analyze=True)).row_count == 12000


@pytest.mark.parametrize(
    "sql", ["EXPLAIN SELECT 1", "DELETE FROM small", "SELECT 1; SELECT 2", "PRAGMA journal_mode=wal", ""]
)
def test_a_plan_of_what_may_not_run_is_refused(big: Desk, sql: str) -> None:
    assert big.hear(big.database.explain_query(sql)).startswith("REFUSED")


def test_a_big_table_is_counted_exactly_only_when_described(big: Desk) -> None:
    (listed,) = big.run(big.database.list_tables(pattern="big"))
    assert (listed.row_count, listed.row_count_exact) == (None, False)
    assert big.run(big.database.describe_table("big")).row_count == 12000
