"""What runs: one statement that the engine accepts as a cursor's query, in a transaction that leaves nothing behind."""

from __future__ import annotations

import pytest
from tests.servers.postgres.conftest import Desk, Opener, Shop, command

from mcp_server_postgres.policy import Policy

REFUSED = [
    "INSERT INTO customers (id, name) VALUES (9, 'x')",
    "UPDATE customers SET name = 'x'",
    "DELETE FROM customers",
    "TRUNCATE customers",
    "DROP TABLE customers",
    "CREATE TABLE t (a int)",
    "COPY customers TO PROGRAM 'touch /tmp/pwned'",
    "COPY customers TO '/tmp/pwned'",
    "DO $$BEGIN PERFORM 1; END$$",
    "SET TRANSACTION READ WRITE",
    "SET default_transaction_read_only = off",
    "BEGIN",
    "COMMIT",
    "LISTEN x",
    "NOTIFY x",
    "LOCK TABLE customers",
    "CALL f()",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "PREPARE TRANSACTION 'x'",
    "CHECKPOINT",
    "VACUUM",
    "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
    "EXPLAIN DELETE FROM customers",
    "SELECT 1 INTO t",
    "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
    "SELECT * FROM customers FOR UPDATE",
    "SELECT 1; DROP TABLE customers",
    "COMMIT; DROP SCHEMA sales CASCADE",
    "SELECT 1; END; DROP TABLE customers; --",
    "/* SELECT */ DROP TABLE customers",
    "SELECT 1) s OFFSET 0) q(c0) ; DROP TABLE customers --",
    "",
    " ; -- nothing",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_no_query_is_refused_and_changes_nothing(reader: Desk, shop: Shop, sql: str) -> None:
    assert reader.refusal(sql)
    assert command(
        shop.superuser, "SELECT count(*), (SELECT count(*) FROM pg_class WHERE relname = 't') FROM customers"
    ) == [(3, 0)]


@pytest.mark.parametrize("sql", REFUSED)
def test_a_superuser_s_override_changes_nothing_about_that(desk: Opener, shop: Shop, sql: str) -> None:
    boss = desk(Policy(allow_superuser=True), shop.superuser)
    assert boss.refusal(sql)
    assert command(
        shop.superuser, "SELECT count(*), (SELECT count(*) FROM pg_class WHERE relname = 't') FROM customers"
    ) == [(3, 0)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select 1 ;",
        "  -- why\n SELECT 1 /* not ; yet */ ; -- done",
        "VALUES (1)",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
        "(SELECT 1)",
        "SELECT 1 UNION SELECT 1 ORDER BY 1",
        "SELECT $$;$$ || E'\\';' || ';' = $x$;';;$x$ ;",
    ],
)
def test_a_query_in_every_dress_runs(reader: Desk, sql: str) -> None:
    assert reader.one(sql) in (1, True)


def test_equal_names_of_columns_and_no_columns_at_all_are_no_trouble(reader: Desk) -> None:
    assert reader.query("SELECT a.id, b.id FROM customers a JOIN customers b USING (id) ORDER BY 1") == [
        [1, 1],
        [2, 2],
        [3, 3],
    ]
    assert reader.query("SELECT FROM customers") == [[], [], []]


def test_the_order_of_rows_is_that_of_the_statement(reader: Desk) -> None:
    assert reader.query("SELECT name FROM customers ORDER BY name DESC") == [["Cy"], ["Bob"], ["Ada"]]
    assert reader.query("SELECT body, id FROM big ORDER BY id DESC", limit=2)[1][1] == 29999


def test_explain_in_front_of_a_query_shows_its_plan(reader: Desk) -> None:
    assert "Seq Scan on customers" in str(reader.query("EXPLAIN SELECT name FROM customers"))
    assert any("customers" in row[0] for row in reader.query("EXPLAIN (COSTS OFF) SELECT * FROM customers"))
    assert "Output" in str(reader.query("explain verbose SELECT name FROM customers"))
    assert '"Plan"' in "".join(row[0] for row in reader.query("EXPLAIN (FORMAT json) SELECT 1"))
    assert "analyze=true" in reader.refusal("EXPLAIN ANALYZE SELECT 1")
    assert "analyze=true" in reader.refusal("EXPLAIN (ANALYZE, COSTS OFF) SELECT 1")
    assert "Only one statement that reads" in reader.refusal("EXPLAIN DELETE FROM customers")


def test_a_connection_is_clean_before_it_is_used_again(desk: Opener, shop: Shop) -> None:
    boss = desk(
        Policy(allow_superuser=True, allow_functions=frozenset({"set_config", "pg_advisory_lock"})), shop.superuser
    )
    assert boss.one("SELECT set_config('work_mem', '7MB', false) || pg_advisory_lock(77)::text") == "7MB"
    assert boss.one("SELECT current_setting('work_mem')") != "7MB"
    assert boss.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert boss.one("SELECT current_setting('transaction_read_only')") == "on"


def test_the_transaction_cannot_be_made_to_write(desk: Opener, shop: Shop) -> None:
    boss = desk(Policy(allow_superuser=True, allow_functions=frozenset({"set_config", "nextval"})), shop.superuser)
    assert "read-write mode" in boss.refusal("SELECT set_config('transaction_read_only', 'off', false)")
    assert "read-only" in boss.refusal("SELECT nextval('sales.orders_id_seq')")


def test_nothing_is_left_of_taking_statements_apart(reader: Desk, shop: Shop) -> None:
    for number in range(3):
        reader.query(f"SELECT {number} + id FROM customers")
    assert command(shop.superuser, "SELECT count(*) FROM pg_proc WHERE proname = 'mcp_probe'") == [(0,)]


def test_errors_say_what_to_do_next(reader: Desk) -> None:
    assert "list_tables" in reader.refusal("SELECT * FROM nowhere")
    assert "describe_table" in reader.refusal("SELECT nothing FROM customers")
    assert "One statement per call" in reader.refusal("SELECT 1; SELECT 2")
    assert "Only one statement that reads" in reader.refusal("DELETE FROM customers")
    assert "NUL" in reader.refusal("SELECT '\0'")
    assert "surrogate" in reader.refusal("SELECT '\ud800'")
    assert "GRANT" in reader.refusal("SELECT * FROM pg_authid")


def test_row_security_holds(reader: Desk) -> None:
    assert reader.query("SELECT what FROM rows_of_others") == [["mine"]]
