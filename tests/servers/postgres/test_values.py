"""Every type of PostgreSQL as stated JSON, and back through params."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.postgres.conftest import Desk

from mcp_server_postgres.kinds import Kind
from mcp_server_postgres.values import decode_text, encode, weigh

STATED = {
    "1::smallint": 1,
    "2147483647": 2147483647,
    "9007199254740991": 9007199254740991,
    "9223372036854775807": {"$integer": "9223372036854775807"},
    "1.5::real": 1.5,
    "0.1::real": 0.1,
    "0.1::float8": 0.1,
    "'Infinity'::float8": {"$real": "Infinity"},
    "'-Infinity'::real": {"$real": "-Infinity"},
    "'NaN'::float8": {"$real": "NaN"},
    "12.50::numeric": 12.5,
    "100::numeric": 100,
    "0.1234567890123456789": {"$numeric": "0.1234567890123456789"},
    "'NaN'::numeric": {"$numeric": "NaN"},
    "repeat('9', 200)::numeric": {"$numeric": "9" * 200},
    "true": True,
    "NULL": None,
    "'x'": "x",
    "'x'::char(3)": "x  ",
    "'x'::\"char\"": "x",
    "'name'::name": "name",
    "'ü\U0001f600'": "ü\U0001f600",
    "'\\x00ff'::bytea": {"$blob": "AP8=", "bytes": 2},
    "'2024-02-29'::date": "2024-02-29",
    "'infinity'::date": "infinity",
    "'0044-03-15 BC'::date": "0044-03-15 BC",
    "'-infinity'::timestamp": "-infinity",
    "'4713-01-01 00:00:00 BC'::timestamp": "4713-01-01 00:00:00 BC",
    "'294276-12-31 23:59:59'::timestamp": "294276-12-31 23:59:59",
    "'2024-01-01 12:00+00'::timestamptz AT TIME ZONE 'UTC'": "2024-01-01 12:00:00",
    "'24:00'::time": "24:00:00",
    "'12:00+02'::timetz": "12:00:00+02",
    "'1 year 2 mons 3 days 04:05:06.789'::interval": "1 year 2 mons 3 days 04:05:06.789",
    "'178000000 years'::interval": "178000000 years",
    "'{\"a\": [1, 2.5, null]}'::jsonb": {"a": [1, 2.5, None]},
    "'[1e999]'::json": {"$json": "[1e999]"},
    "'[12345678901234567890]'::jsonb": {"$json": "[12345678901234567890]"},
    "'\"\\ud800\"'::json": {"$json": '"\\ud800"'},
    "ARRAY[1, NULL, 3]": [1, None, 3],
    "ARRAY[[1, 2], [3, 4]]": [[1, 2], [3, 4]],
    "'[0:1]={1,2}'::int[]": [1, 2],
    "ARRAY['a,b', 'c\"d', '', 'NULL', '\\', NULL]": ["a,b", 'c"d', "", "NULL", "\\", None],
    "ARRAY[9007199254740993]": [{"$integer": "9007199254740993"}],
    "ARRAY[1.5, 'NaN']::numeric[]": [1.5, {"$numeric": "NaN"}],
    "ARRAY['infinity'::date]": ["infinity"],
    "ARRAY['{\"a\": 1}'::jsonb]": [{"a": 1}],
    "ARRAY['\\x01'::bytea]": [{"$blob": "AQ==", "bytes": 1}],
    "'{}'::int[]": [],
    "ARRAY[box '(1,1),(0,0)']": ["(1,1),(0,0)"],
    "int4range(1, 5)": "[1,5)",
    "'{[1,2], [4,5]}'::int4multirange": "{[1,3),[4,6)}",
    "'ok'::mood": "ok",
    "ARRAY['ok', 'sad']::mood[]": ["ok", "sad"],
    "7::positive": 7,
    "ROW('Via \"X\", (3)', 3, 'infinity')::address": {"street": 'Via "X", (3)', "number": 3, "since": "infinity"},
    "ROW('\"', 1, NULL)::address": {"street": '"', "number": 1, "since": None},
    "ROW('', 1, NULL)::address": {"street": "", "number": 1, "since": None},
    "ROW('\\', 1, NULL)::address": {"street": "\\", "number": 1, "since": None},
    "ROW(NULL, NULL, NULL)::address": {"street": None, "number": None, "since": None},
    "ARRAY[ROW('a', 1, NULL)::address]": [{"street": "a", "number": 1, "since": None}],
    "ROW(1, 'a')": "(1,a)",
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "'10.0.0.1'::inet": "10.0.0.1",
    "'10.0.0.0/8'::cidr": "10.0.0.0/8",
    "'08:00:2b:01:02:03'::macaddr": "08:00:2b:01:02:03",
    "B'101'": "101",
    "point(1, 2)": "(1,2)",
    "'a & b'::tsquery": "'a' & 'b'",
    "'16/B374D848'::pg_lsn": "16/B374D848",
    "'customers'::regclass": "customers",
    "26::oid": 26,
    "'12.34'::money::numeric": 12.34,
}


@pytest.mark.parametrize("expression", STATED)
def test_a_value_comes_in_its_stated_form(reader: Desk, expression: str) -> None:
    found = reader.one(f"SELECT {expression} AS value")
    wanted = STATED[expression]
    assert found == wanted
    assert type(found) is type(wanted)
    json.dumps(found, allow_nan=False).encode()


PARAMS: list[tuple[str, Any, Any]] = [
    ("$1::int + 1", 1, 2),
    ("$1::int + 1", "1", 2),
    ("$1::date + 1", "2024-02-28", "2024-02-29"),
    ("$1::timestamptz AT TIME ZONE 'UTC'", "2024-01-01T12:00:00Z", "2024-01-01 12:00:00"),
    ("$1::interval * 2", "1 day", "2 days"),
    ("$1::numeric + 0", "0.1234567890123456789", {"$numeric": "0.1234567890123456789"}),
    ("$1::numeric + 0", {"$numeric": "12.5"}, 12.5),
    ("$1::bigint - 1", {"$integer": "9223372036854775807"}, {"$integer": "9223372036854775806"}),
    ("$1::float8", {"$real": "-Infinity"}, {"$real": "-Infinity"}),
    ("$1::bytea", {"$blob": "AP8="}, {"$blob": "AP8=", "bytes": 2}),
    ("$1::bytea", "\\x00ff", {"$blob": "AP8=", "bytes": 2}),
    ("$1::uuid", "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("$1::inet", "::1", "::1"),
    ("$1::boolean", True, True),
    ("$1::text", 5, "5"),
    ("$1::jsonb", {"a": [1, None]}, {"a": [1, None]}),
    ("$1::jsonb", [1, "x"], [1, "x"]),
    ("$1::jsonb", 1.5, 1.5),
    ("$1::jsonb", {"$ref": "#/a"}, {"$ref": "#/a"}),
    ("$1::jsonb", {"$json": "[1e999]"}, {"$json": "[1" + "0" * 999 + "]"}),
    ("$1::int[]", [1, None, 3], [1, None, 3]),
    ("$1::int[]", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ("$1::text[]", ['a,"b', "\\", "NULL", "", None], ['a,"b', "\\", "NULL", "", None]),
    ("$1::date[]", ["2024-01-01"], ["2024-01-01"]),
    ("$1::mood", "sad", "sad"),
    ("$1::address", '("Via X",3,)', {"street": "Via X", "number": 3, "since": None}),
    ("$1::int4range", "[1,3)", "[1,3)"),
    ("$1::int IS NULL", None, True),
    ("(SELECT count(*) FROM customers WHERE id = ANY($1))", [1, 2], 2),
    ("(SELECT name FROM customers WHERE name = $1)", "Ada", "Ada"),
    ("(SELECT count(*) FROM (SELECT 1 FROM customers LIMIT $1) x)", 2, 2),
    ("$1 || '$1' || $$ $1 $$", "x", "x$1 $1 "),
]


@pytest.mark.parametrize(("expression", "given", "wanted"), PARAMS)
def test_a_parameter_is_understood(reader: Desk, expression: str, given: Any, wanted: Any) -> None:
    assert reader.one(f"SELECT {expression}", [given]) == wanted


def test_a_parameter_that_does_not_fit_is_refused_with_advice(reader: Desk) -> None:
    assert "has 1 parameters" in reader.refusal("SELECT $1::int")
    assert "no $1" in reader.refusal("SELECT 1", [1])
    assert "must be a list" in reader.refusal("SELECT $1::int", {"a": 1})
    assert "invalid input syntax for type date" in reader.refusal("SELECT $1::date", ["tomorrow-ish"])
    assert "params[0]" in reader.refusal("SELECT $1::int", [{"a": 1}])
    assert "Known forms" in reader.refusal("SELECT $1::int", [{"$what": 1}])
    assert "NUL" in reader.refusal("SELECT $1::text", ["a\0b"])
    assert "surrogate" in reader.refusal("SELECT $1::text", ["\ud800"])
    assert "params[0][1]" in reader.refusal("SELECT $1::int[]", [[1, {"a": 1}]])


def test_columns_are_named_with_their_types(reader: Desk) -> None:
    result = reader.run(reader.database.query("SELECT 1 AS a, 'x'::varchar, now(), ARRAY[1], 'ok'::mood, 5::positive"))
    types = ["integer", "character varying", "timestamp with time zone", "integer[]", "mood", "integer"]
    assert [column.type for column in result.columns] == types
    assert result.columns[0].name == "a"


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
arrays = st.lists(st.one_of(texts, st.none()), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=arrays)
def test_any_array_of_texts_goes_there_and_back(reader: Desk, values: list[str | None]) -> None:
    assert reader.one("SELECT $1::text[]", [values]) == values
    assert reader.one("SELECT ROW($1, 1, NULL)::address", [values[0]])["street"] == values[0]


@given(values=arrays)
def test_an_array_that_is_written_can_be_read(values: list[str | None]) -> None:
    kind = Kind("text[]", "array", element=Kind("text"))
    assert decode_text(str(encode(values, kind, "params[0]")), kind) == values


@given(value=st.recursive(st.one_of(texts, st.booleans(), st.none(), st.integers()), st.lists, max_leaves=20))
def test_a_value_weighs_about_what_it_takes_as_json(value: Any) -> None:
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    assert weigh(value) >= size - str(value).count("\\") * 5 - str(value).count('"') - 30
