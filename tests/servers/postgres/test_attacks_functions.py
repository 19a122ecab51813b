"""Functions that nobody wrote into the statement: behind defaults, types, operators, casts, indexes, views, bodies."""

from __future__ import annotations

import pytest
from tests.servers.postgres.siege import FIT, Fortress, in_turn

HIDDEN = {
    "a default": "SELECT traps.calm(1)",
    "a default, named": "SELECT traps.calm(a => 1)",
    "a default of PL/pgSQL": "SELECT traps.calm_in_words()",
    "a domain": "SELECT id::traps.locked FROM customers",
    "an array of a domain": "SELECT ARRAY[id]::traps.locked[] FROM customers",
    "a composite from text": "SELECT ('(' || id || ')')::traps.box FROM customers",
    "a composite literal": "SELECT '(1)'::traps.box",
    "a composite in a composite": "SELECT ('(\"(' || id || ')\")')::traps.crate FROM customers",
    "an array literal": "SELECT '{1}'::traps.locked[]",
    "a range": "SELECT ('[' || id || ',9]')::traps.span FROM customers",
    "a multirange": "SELECT ('{[' || id || ',9]}')::traps.span_multirange FROM customers",
    "jsonb_populate_record": "SELECT jsonb_populate_record(NULL::traps.box, '{\"n\": 1}') FROM customers",
    "json_to_record": "SELECT * FROM json_to_record('{\"n\": 1}') AS x (n traps.locked)",
    "json_to_recordset": "SELECT * FROM json_to_recordset('[{\"n\": 1}]') AS x (n traps.locked)",
    "record_in": "SELECT record_in('(1)'::cstring, 'traps.box'::regtype::oid, -1)",
    "domain_in": "SELECT domain_in('1'::cstring, 'traps.locked'::regtype::oid, -1) IS NULL",
    "an aggregate's state": "SELECT traps.started(id) FROM customers",
    "an argument's domain": "SELECT traps.add_box(1, id) FROM customers",
    "a cast to json": "SELECT to_json(traps.colour 'red')",
    "json_agg": "SELECT json_agg(traps.colour 'red')",
    "json_build_object": "SELECT json_build_object('a', ARRAY[traps.colour 'red'])",
    "to_jsonb of a row": "SELECT to_jsonb(x) FROM (SELECT traps.colour 'red' AS c) x",
    "row_to_json": "SELECT row_to_json(x) FROM (VALUES (traps.colour 'red')) x (c)",
    "ORDER BY": "SELECT n FROM (VALUES (ROW('a')::traps.note), (ROW('b')::traps.note)) v (n) ORDER BY n",
    "ORDER BY a row": "SELECT id FROM customers ORDER BY ROW(ROW(name)::traps.note)",
    "DISTINCT": "SELECT DISTINCT n FROM (VALUES (ROW('a')::traps.note), (ROW('b')::traps.note)) v (n)",
    "UNION": "SELECT ROW('a')::traps.note UNION SELECT ROW('b')::traps.note",
    "GREATEST": "SELECT GREATEST(ROW('a')::traps.note, ROW('b')::traps.note)",
    "a comparison of rows": "SELECT ROW(ROW('a')::traps.note, id) < ROW(ROW('b')::traps.note, 2) FROM customers",
    "a comparison of arrays": "SELECT ARRAY[ROW('a')::traps.note] < ARRAY[ROW('b')::traps.note]",
    "a window": "SELECT rank() OVER (ORDER BY n) FROM (VALUES (ROW('a')::traps.note), (ROW('b')::traps.note)) v (n)",
    "an ordered aggregate": "SELECT array_agg(id ORDER BY ROW(name)::traps.note) FROM customers",
    "a negator": "SELECT NOT (ROW(name)::traps.note OPERATOR(traps.===) ROW('b')::traps.note) FROM customers",
    "a prefix operator": "SELECT OPERATOR(traps.###) '{canary}'",
    "an index": "SELECT count(*) FROM traps.indexed WHERE id > 3",
    "a check": "SELECT count(*) FROM traps.checked WHERE id > 3",
    "a view": "SELECT done FROM traps.locking",
    "a view in a function's body": "SELECT (SELECT bool_or(done) FROM traps.locking) IS NULL",
    "SQL behind SQL": "SELECT traps.reads('{canary}')",
    "a LIMIT": "SELECT 1 LIMIT (SELECT traps.locks(3)::int)",
    "TABLESAMPLE": "SELECT id FROM customers TABLESAMPLE BERNOULLI ((SELECT traps.locks(3)::int * 10))",
    "VALUES": "VALUES (1, traps.locks(3))",
    "GROUPING SETS": "SELECT count(*) FROM customers GROUP BY GROUPING SETS ((traps.locks(3)), ())",
    "a recursive CTE": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE traps.locks(n)) TABLE r",
    "LATERAL": "SELECT * FROM customers c, LATERAL (SELECT traps.locks(c.id)) l",
    "ROWS FROM": "SELECT * FROM ROWS FROM (generate_series(1, 2), pg_ls_dir('.')) AS r(a, b)",
    "a FILTER": "SELECT count(*) FILTER (WHERE traps.locks(id)) FROM customers",
}
HONEST = [
    "SELECT '{1,2}'::int[], '(a,b)'::text, '[1,3)'::int4range, '{[1,3)}'::int4multirange",
    'SELECT jsonb_populate_record(NULL::public.address, \'{"street": "Via"}\')',
    "SELECT * FROM json_to_recordset('[{\"n\": 1}]') AS x (n public.positive)",
    "SELECT to_json(public.mood 'ok'), json_agg(public.mood 'sad')",
    "SELECT DISTINCT ROW(name, id) FROM customers ORDER BY 1",
    "SELECT GREATEST(public.mood 'ok', 'sad'), ARRAY[name] < ARRAY['b'] FROM customers",
    "SELECT ROW(id, name) < ROW(2, 'b') FROM customers",
    "SELECT NOT (name = 'Ada') FROM customers",
    "SELECT public.add_one(1), 1::public.positive, '{1}'::public.positive[]",
    "SELECT count(*) FROM traps.folded WHERE traps.folds(name) = 'a'",
    "SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)",
]


@pytest.mark.parametrize("place", HIDDEN)
@in_turn
def test_a_function_with_effects_is_found_where_it_hides(fortress: Fortress, role: str, era: str, place: str) -> None:
    attacker = fortress.attacker(role, era)
    said = attacker.refused(HIDDEN[place].replace("{canary}", fortress.canary))
    assert "Refused: the statement calls" in said, said
    attacker.leave()


@pytest.mark.parametrize("sql", HONEST)
@in_turn
def test_what_hides_nothing_is_answered(fortress: Fortress, role: str, era: str, sql: str) -> None:
    answered, text = fortress.attacker(role, era).ask(sql)
    assert answered, text


def test_what_runs_while_a_literal_is_read_cannot_write(fortress: Fortress) -> None:
    """PostgreSQL reads a literal of a composite or array type as it parses, and checks the domains in it."""
    attacker = fortress.attacker(FIT, "legacy")
    assert "read-only transaction" in attacker.refused("SELECT '{1}'::traps.counted[]")
    attacker.leave()


def test_functions_of_a_table_s_index_are_taken_at_their_word(fortress: Fortress) -> None:
    """One in SQL as a text, IMMUTABLE, in an index: no reason to refuse the table while something is withheld."""
    strict = fortress.attacker(FIT, "legacy", ("--deny-table", "credentials"))
    assert strict.ask("SELECT count(*) FROM traps.folded")[0]
    assert "nobody can say" in strict.refused("SELECT traps.folds('A')")
