"""Functions with effects are refused wherever they stand; those that compute or look are not."""

from __future__ import annotations

import time

import pytest
from tests.servers.postgres.conftest import Desk, Opener, Shop, command

from mcp_server_postgres.policy import Policy

EFFECTS = [
    "SELECT pg_sleep(9)",
    "SELECT 1 WHERE pg_sleep(9) IS NOT NULL",
    "SELECT (SELECT pg_sleep(9)) FROM customers",
    "SELECT count(*) FROM customers ORDER BY max(pg_sleep(9)::text)",
    "SELECT * FROM generate_series(1, 2) g, LATERAL pg_sleep(g)",
    "WITH x AS (SELECT pg_sleep(9)) SELECT * FROM x",
    "SELECT sum(id) FILTER (WHERE pg_sleep(9) IS NULL) FROM customers",
    "SELECT row_number() OVER (ORDER BY pg_sleep(9)::text) FROM customers",
    "SELECT CASE WHEN false THEN pg_sleep(9)::text END",
    "SELECT 1 LIMIT (SELECT 1 FROM pg_sleep(9))",
    "SELECT naps(9)",
    "SELECT 9::drowsy",
    "SELECT ARRAY['9']::drowsy[]",
    "SELECT * FROM sleeper",
    "SELECT * FROM sleeper_again",
    "SELECT 'channel' ~~~ 'payload'",
    "SELECT lock_all(id) FROM customers",
    "SELECT ROW('/etc/hostname')::path_name::text",
    "SELECT 1 FROM (VALUES (ROW('a')::path_name), (ROW('b')::path_name)) v(p) ORDER BY p USING <<<",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT pg_read_binary_file('/etc/hostname')",
    "SELECT * FROM pg_ls_dir('/')",
    "SELECT pg_stat_file('/etc/hostname')",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "SELECT lo_import('/etc/hostname')",
    "SELECT lo_export(1, '/tmp/pwned')",
    "SELECT lo_creat(-1)",
    "SELECT lo_get(1)",
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT nextval('sales.orders_id_seq')",
    "SELECT setval('sales.orders_id_seq', 99)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT pg_create_physical_replication_slot('s')",
    "SELECT pg_stat_reset()",
    "SELECT pg_import_system_collations('public'::regnamespace)",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT table_to_xml('customers'::regclass, true, true, '')",
    "SELECT schema_to_xml('public', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT * FROM ts_stat('SELECT ''a''::tsvector')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery')",
]


@pytest.mark.parametrize("sql", EFFECTS)
def test_a_function_with_effects_is_refused_for_a_superuser_too(desk: Opener, shop: Shop, sql: str) -> None:
    boss = desk(Policy(allow_superuser=True), shop.superuser)
    began = time.monotonic()
    assert "effects" in (said := boss.refusal(sql)) or "text as SQL" in said, said
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("sql", [sql for sql in EFFECTS if "sleep" in sql or "lock" in sql])
def test_and_for_a_fit_role(reader: Desk, sql: str) -> None:
    assert "Refused" in reader.refusal(sql)


def test_explaining_is_no_way_around(reader: Desk) -> None:
    assert "Refused" in reader.refusal("EXPLAIN SELECT pg_sleep(9)")


def test_a_function_of_the_same_name_elsewhere_is_another_function(desk: Opener, shop: Shop) -> None:
    command(
        shop.superuser,
        "CREATE OR REPLACE FUNCTION sales.pg_sleep(text) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT $1; END",
    )
    assert desk().one("SELECT sales.pg_sleep('awake')") == "awake"


def test_the_operator_can_allow_a_function_by_name(desk: Opener) -> None:
    allowed = desk(Policy(allow_functions=frozenset({"pg_sleep"})))
    assert allowed.query("SELECT pg_sleep(0)") == [[None]]
    assert "--allow-function" in allowed.refusal("SELECT pg_sleep_for('0 s')")


def test_a_view_that_is_replaced_is_looked_at_again(desk: Opener, shop: Shop) -> None:
    command(
        shop.superuser,
        "CREATE OR REPLACE VIEW changing AS SELECT 'calm'::text AS x",
        "GRANT SELECT ON changing TO PUBLIC",
    )
    fresh = desk()
    assert fresh.one("SELECT x FROM changing") == "calm"
    command(shop.superuser, "CREATE OR REPLACE VIEW changing AS SELECT pg_sleep(9)::text AS x")
    assert "pg_sleep" in fresh.refusal("SELECT x FROM changing")


def test_where_statements_cannot_be_taken_apart_names_are_refused(desk: Opener, shop: Shop) -> None:
    plain = desk(None, shop.url("mcp_plain"))
    assert plain.one("SELECT count(*) FROM customers") == 3
    for sql in ("SELECT pg_sleep(9)", 'SELECT "pg_sleep"(9)', "SELECT pg_catalog . pg_sleep(9)", "SELECT PG_SLEEP(9)"):
        assert "pg_sleep" in plain.refusal(sql)
