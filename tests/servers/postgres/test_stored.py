"""Materialized views: reading one runs nothing of what it was made by, but shows the rows that it was made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.postgres.conftest import Opener, Shop, command, side_database

from mcp_server_postgres.policy import Policy

TABLES = """
CREATE TABLE people (id int, ssn text);
INSERT INTO people VALUES (1, 'c4nary');
CREATE SEQUENCE s;
CREATE MATERIALIZED VIEW numbered AS SELECT nextval('s') AS a, 'x' AS b;
CREATE MATERIALIZED VIEW told AS SELECT pg_read_file('PG_VERSION') ~ '^[0-9]' AS a;
CREATE VIEW over AS SELECT a FROM numbered;
CREATE VIEW counts AS SELECT nextval('s') AS a;
CREATE MATERIALIZED VIEW copied AS SELECT id, ssn FROM people;
CREATE MATERIALIZED VIEW plain AS SELECT id FROM people;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


XML = "CREATE MATERIALIZED VIEW dumped AS SELECT query_to_xml('TABLE people', true, true, '')::text AS a"


@pytest.fixture(scope="module")
def stored(shop: Shop) -> Iterator[Shop]:
    """A database of materialized views, some made by what no statement may call."""
    with side_database(shop) as side:
        command(side.superuser, TABLES)
        yield side


def test_what_a_materialized_view_was_made_by_does_not_run(desk: Opener, stored: Shop) -> None:
    reader = desk(None, stored.url())
    assert reader.query("SELECT a, b FROM numbered") == [[1, "x"]]
    assert reader.query("SELECT a FROM told") == [[True]]
    assert reader.query("SELECT over.a FROM over, told") == [[1]]
    assert command(stored.superuser, "SELECT last_value FROM s") == [(1,)]


def test_a_view_that_calls_it_is_refused_as_before(desk: Opener, stored: Shop) -> None:
    assert "nextval" in desk(None, stored.url()).refusal("SELECT counts.a FROM numbered, counts")
    assert command(stored.superuser, "SELECT last_value FROM s") == [(1,)]


@pytest.mark.parametrize("sql", ["SELECT ssn FROM copied", "SELECT id FROM copied", "SELECT c FROM copied c"])
def test_what_is_withheld_is_withheld_where_it_was_copied(desk: Opener, stored: Shop, sql: str) -> None:
    denied = desk(Policy(deny_tables=frozenset({"people"})), stored.url())
    assert "not served" in denied.refusal(sql)
    masked = desk(Policy(mask_columns=frozenset({("people", "ssn")})), stored.url())
    assert "people.ssn, which is masked" in masked.refusal(sql)
    assert masked.query("SELECT id FROM plain") == [[1]]


def test_a_copy_of_nobody_knows_what_is_refused_where_something_is_withheld(desk: Opener, stored: Shop) -> None:
    built = "SELECT 1 FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%--with-libxml%'"
    if not command(stored.superuser, built):
        pytest.skip("this PostgreSQL was built without libxml")
    command(stored.superuser, XML, "GRANT SELECT ON dumped TO PUBLIC")
    assert "c4nary" in str(desk(None, stored.url()).query("SELECT a FROM dumped"))
    denied = desk(Policy(deny_tables=frozenset({"people"})), stored.url())
    assert "query_to_xml" in denied.refusal("SELECT a FROM dumped")
