"""The role that the server connects as: fit to hand a model's SQL to, or refused with what makes a fit one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.postgres.conftest import PASSWORD, Desk, Opener, Shop, command, side_database

from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal


@pytest.fixture
def armed(shop: Shop) -> Iterator[str]:
    """A role that may run programs on the server, by way of another."""
    command(
        shop.superuser,
        f"CREATE ROLE mcp_between; CREATE ROLE mcp_armed LOGIN PASSWORD '{PASSWORD}'",
        "GRANT pg_execute_server_program TO mcp_between; GRANT mcp_between TO mcp_armed",
        f"GRANT CONNECT ON DATABASE {shop.database} TO mcp_armed",
    )
    yield shop.url("mcp_armed")
    command(
        shop.superuser, f"REVOKE ALL ON DATABASE {shop.database} FROM mcp_armed", "DROP ROLE mcp_armed, mcp_between"
    )


def test_a_superuser_is_refused_with_the_sql_of_a_fit_role(desk: Opener, shop: Shop) -> None:
    boss = desk(None, shop.superuser)
    for said in (boss.refusal("SELECT 1"), boss.refusal("EXPLAIN SELECT 1")):
        assert "superuser" in said
        assert "CREATE ROLE" in said
        assert f'"{shop.database}"' in said
        assert "--allow-superuser" in said
    for work in (boss.database.list_tables(), boss.database.schema_ddl(), boss.database.describe_table("customers")):
        with pytest.raises(Refusal, match="superuser"):
            boss.run(work)


def test_so_is_a_member_of_a_role_that_may_touch_files_or_run_programs(desk: Opener, armed: str) -> None:
    assert "pg_execute_server_program" in desk(Policy(query_timeout=9), armed).refusal("SELECT 1")
    assert desk(Policy(query_timeout=9, allow_superuser=True), armed).one("SELECT 1") == 1


def test_the_advice_makes_a_role_that_is_fit(desk: Opener, shop: Shop) -> None:
    said = desk(None, shop.superuser).refusal("SELECT 1")
    sql = said[said.index("CREATE ROLE") : said.index("and puts it")]
    command(shop.superuser, sql.replace("choose one", PASSWORD).replace("mcp_reader", "mcp_adviser"))
    try:
        made = desk(None, shop.url("mcp_adviser"))
        assert made.one("SELECT count(*) FROM customers") == 3
        assert made.run(made.database.check()).can_probe
    finally:
        command(shop.superuser, "DROP OWNED BY mcp_adviser CASCADE; DROP ROLE mcp_adviser")


def test_what_cannot_be_withheld_is_refused_with_the_grants_that_do(desk: Opener, shop: Shop) -> None:
    policy = Policy(deny_tables=frozenset({"credentials"}), mask_columns=frozenset({("customers", "ssn")}))
    plain = desk(policy, shop.url("mcp_plain"))
    said = plain.refusal("SELECT 1")
    assert "GRANT TEMPORARY" in said
    assert "REVOKE SELECT ON credentials" in said
    assert "other than ssn" in said
    assert plain.database.cannot_withhold


def test_a_fit_role_knows_that_it_is(reader: Desk) -> None:
    standing = reader.run(reader.database.check())
    assert (standing.powers, standing.superuser, standing.can_probe) == ([], False, True)


FORBIDS = """
CREATE TABLE t AS SELECT 1 AS a;
GRANT SELECT ON t TO PUBLIC;
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no DDL here'; END$$;
CREATE EVENT TRIGGER no_ddl ON {event} EXECUTE FUNCTION forbid();
"""


@pytest.mark.parametrize("event", ["ddl_command_start", "ddl_command_end"])
def test_where_an_event_trigger_forbids_ddl_plain_queries_are_served(desk: Opener, shop: Shop, event: str) -> None:
    with side_database(shop) as side:
        command(side.superuser, FORBIDS.format(event=event))
        plain = desk(None, side.url())
        assert plain.query("SELECT a FROM t WHERE a = $1", [1]) == [[1]]
        assert "pg_sleep has effects" in plain.refusal("SELECT pg_sleep(9)")
        strict = desk(Policy(deny_tables=frozenset({"u"})), side.url())
        said = strict.refusal("SELECT a FROM t")
        assert "An event trigger of this database stops temporary objects (no DDL here)" in said
        assert "REVOKE SELECT ON u" in said
        assert strict.database.cannot_withhold
        for each in (plain, strict):
            each.run(each.database.close())


def test_an_event_trigger_that_forbids_nothing_is_in_nobody_s_way(desk: Opener, shop: Shop) -> None:
    with side_database(shop) as side:
        command(side.superuser, FORBIDS.format(event="sql_drop").replace("RAISE EXCEPTION 'no DDL here'", "NULL"))
        strict = desk(Policy(deny_tables=frozenset({"u"})), side.url())
        assert strict.one("SELECT a FROM t") == 1
        assert strict.run(strict.database.check()).can_probe
        strict.run(strict.database.close())
