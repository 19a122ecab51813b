"""Tokens: where strings, names and comments begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server_postgres.lexing import read_tokens, strip_end, take_explain, words, write_parameters
from mcp_server_postgres.refusals import Refusal

PIECES = st.lists(
    st.sampled_from(
        ["'", '"', "$", "$$", "$a$", "/*", "*/", "--", "\n", ";", "a", "$1", "E'", "\\", " ", "U&'", "1", "é"]
    )
)


@given(PIECES)
def test_the_tokens_of_a_text_are_the_text(pieces: list[str]) -> None:
    sql = "".join(pieces)
    assert "".join(token.text for token in read_tokens(sql)) == sql
    assert sql.startswith(strip_end(sql)) or strip_end(sql) == ""


@pytest.mark.parametrize(
    ("sql", "bare"),
    [
        ("SELECT 1 ; ;", "SELECT 1"),
        ("SELECT 1 -- ;", "SELECT 1"),
        ("SELECT 1 /* /* ; */ ; */ ;", "SELECT 1"),
        ("SELECT ';'", "SELECT ';'"),
        ("SELECT E'\\';' ;", "SELECT E'\\';'"),
        ("SELECT '\\' ;", "SELECT '\\'"),
        ("SELECT $$;$$;", "SELECT $$;$$"),
        ("SELECT $a$ $$;$$ $a$;", "SELECT $a$ $$;$$ $a$"),
        ('SELECT ";" ;', 'SELECT ";"'),
        ("SELECT a$1;", "SELECT a$1"),
        (" ; ", ""),
    ],
)
def test_what_stands_behind_a_statement_is_taken_off(sql: str, bare: str) -> None:
    assert strip_end(sql) == bare


def test_parameters_are_cast_and_nothing_that_looks_like_one() -> None:
    sql = "SELECT $1, '$1', \"$1\", $$ $1 $$, a$1, $2 -- $1"
    written = write_parameters(sql, ["date", "integer[]"])
    assert written.count("::date") == 1
    assert written.count("::integer[]") == 1
    assert write_parameters(sql, []) == sql


def test_explain_is_taken_off_with_its_options() -> None:
    assert take_explain("SELECT 1") is None
    assert take_explain("/* a */ explain verbose SELECT 1") == ("VERBOSE", "SELECT 1")
    assert take_explain("EXPLAIN (COSTS off, FORMAT 'json') SELECT 1") == ("costs off, format json", " SELECT 1")
    assert take_explain("EXPLAIN (SELECT 1)") == ("FORMAT TEXT", "(SELECT 1)")
    for sql in ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN (ANALYZE) SELECT 1", "EXPLAIN (BUFFERS, ANALYZE on) SELECT 1"):
        with pytest.raises(Refusal):
            take_explain(sql)
    with pytest.raises(Refusal, match="options"):
        take_explain("EXPLAIN (FORMAT json; DROP TABLE x) SELECT 1")


def test_names_are_folded_as_the_engine_folds_them() -> None:
    assert words('SELECT PG_Sleep(1), "pg_""x", \'pg_no\' -- pg_no') == {"select", "pg_sleep", 'pg_"x'}
