"""Databases that are not UTF-8: what cannot be told is said to be so, and nothing is lost without a word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.postgres.conftest import Desk, Opener, Shop, command, side_database

from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal

PLAIN = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING"


@pytest.fixture(scope="module")
def bytes_of_any_kind(shop: Shop) -> Iterator[Shop]:
    """A database that takes any byte for a text, with a Latin-1 one in it."""
    with side_database(shop, f"{PLAIN} 'SQL_ASCII'") as side:
        command(
            side.superuser,
            r"CREATE TABLE mixed AS SELECT * FROM (VALUES (1, 'plain'), (2, E'caf\xe9'), (3, 'café')) AS v(id, x)",
            "GRANT SELECT ON mixed TO PUBLIC",
        )
        yield side


@pytest.fixture
def mixed(desk: Opener, bytes_of_any_kind: Shop) -> Desk:
    return desk(None, bytes_of_any_kind.url())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM mixed",
        "SELECT ARRAY[x] FROM mixed WHERE id = 2",
        "SELECT x::int FROM mixed WHERE id = 2",
        "SELECT repeat(x, 1000000) FROM mixed WHERE id = 2",
        "SELECT to_json(x) FROM mixed",
    ],
)
def test_a_text_that_is_not_utf_8_is_refused_with_a_way_to_read_it(mixed: Desk, sql: str) -> None:
    said = mixed.refusal(sql)
    assert "invalid byte sequence" in said
    assert "convert_to(column, 'SQL_ASCII')" in said
    assert mixed.query("SELECT id, x FROM mixed WHERE id <> 2 ORDER BY id") == [[1, "plain"], [3, "café"]]


def test_the_ways_that_are_advised_read_it(mixed: Desk) -> None:
    said = mixed.refusal("SELECT x FROM mixed")
    ways = [said[said.index("convert_to(") :].partition(";")[0], said[said.index("convert_from(") :].rstrip(".")]
    assert mixed.one(f"SELECT {ways[0].replace('column', 'x')} FROM mixed WHERE id = 2") == {
        "$blob": "Y2Fm6Q==",
        "bytes": 4,
    }
    assert mixed.one(f"SELECT {ways[1].replace('column', 'x')} FROM mixed WHERE id = 2") == "café"


def test_the_bytes_stand_in_no_error_where_something_is_withheld(desk: Opener, bytes_of_any_kind: Shop) -> None:
    strict = desk(Policy(deny_tables=frozenset({"other"})), bytes_of_any_kind.url())
    said = strict.refusal("SELECT x FROM mixed")
    assert "0xe9" not in said
    assert "22021" in said
    assert "convert_to" in said


def test_a_comment_that_is_not_utf_8_is_told_and_the_server_goes_on(mixed: Desk, bytes_of_any_kind: Shop) -> None:
    command(bytes_of_any_kind.superuser, r"COMMENT ON TABLE mixed IS E'caf\xe9'")
    try:
        with pytest.raises(Refusal, match="not UTF-8"):
            mixed.run(mixed.database.list_tables())
    finally:
        command(bytes_of_any_kind.superuser, "COMMENT ON TABLE mixed IS NULL")
    assert [table.name for table in mixed.run(mixed.database.list_tables())] == ["mixed"]


def test_latin_1_comes_as_it_is_meant_and_takes_what_it_has_letters_for(desk: Opener, shop: Shop) -> None:
    with side_database(shop, f"{PLAIN} 'LATIN1'") as side:
        command(side.superuser, "CREATE TABLE t AS SELECT 'café'::text AS \"dénommé\"; GRANT SELECT ON t TO PUBLIC")
        latin = desk(None, side.url())
        assert latin.query('SELECT * FROM t WHERE "dénommé" = $1', ["café"]) == [["café"]]
        assert latin.run(latin.database.describe_table("t")).columns[0].name == "dénommé"
        for said in (latin.refusal("SELECT '€'"), latin.refusal("SELECT $1::text", ["€"])):
            assert "has no such character" in said
        assert latin.one("SELECT repeat('é', 1000000)")["bytes"] == 1000000
        latin.run(latin.database.close())
