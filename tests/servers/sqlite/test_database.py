"""What a query answers: rows, types, forms of values, parameters, and what it says when it cuts or refuses."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_server_sqlite.database import MOST_AT_ONCE, Database
from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.refusals import Refusal

from .conftest import Desk, Opener


@pytest.fixture(scope="module")
def open_shop(desk: Opener, shop: Path) -> Desk:
    return desk(shop)


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("NULL", None),
        ("1.5", 1.5),
        ("9007199254740991", 9007199254740991),
        ("9007199254740992", {"$integer": "9007199254740992"}),
        ("-9223372036854775808", {"$integer": "-9223372036854775808"}),
        ("9e999", {"$real": "Infinity"}),
        ("-9e999", {"$real": "-Infinity"}),
        ("9e999 - 9e999", None),
        ("x'00ff10'", {"$blob": "AP8Q", "bytes": 3}),
        ("CAST(x'636166e9' AS TEXT)", {"$text": "Y2Fm6Q==", "lossy": "caf\ufffd"}),
        ("char(0) || 'a'", "\0a"),
        ("date('2024-02-29', '+1 year')", "2025-03-01"),
        ("json_extract('{\"a\": [1, true]}', '$.a')", "[1,true]"),
    ],
)
def test_every_value_has_a_form_in_json(open_shop: Desk, sql: str, value: object) -> None:
    assert open_shop.query(f"SELECT {sql}") == [[value]]
    json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        -2.5,
        "é\U0001f600",
        {"$integer": "9223372036854775807"},
        {"$real": "-Infinity"},
        {"$blob": "AP8Q", "bytes": 3},
    ],
)
def test_a_form_that_came_out_goes_in_again(open_shop: Desk, value: Any) -> None:
    assert open_shop.query("SELECT ?", [value]) == [[value]]
    assert open_shop.query("SELECT :v", {"v": value}) == [[value]]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ([], "uses 2, and there are 0 supplied"),
        ([1], "uses 2, and there are 1 supplied"),
        ([1, 2, 3], "uses 2, and there are 3 supplied"),
        ({"a": 1, "b": 2}, "Pass a list for ?"),
        ([1, [2]], "params[1] is a list"),
        ([1, {"x": 1}], "params[1] is an object that is not understood"),
        ([1, {"$blob": "not base64"}], "params[1] is an object"),
        ([1, 2**63], "beyond 64 bits"),
        ([1, "\ud800"], "lone surrogate"),
    ],
)
def test_a_wrong_parameter_is_named(open_shop: Desk, params: Any, text: str) -> None:
    assert text in open_shop.ask("SELECT ?, ?", params)


@pytest.mark.parametrize(
    ("params", "text"), [({"a": 1}, ":b"), ({}, ":a"), ({"a": 1, "b": 2, "c": 3}, "does not use: c")]
)
def test_a_wrong_name_is_named(open_shop: Desk, params: Any, text: str) -> None:
    assert text in open_shop.ask("SELECT :a, :b", params)


def test_names_may_carry_their_sigil(open_shop: Desk) -> None:
    assert open_shop.query("SELECT :a, @b, $c", {":a": 1, "b": 2, "$c": 3}) == [[1, 2, 3]]


def test_types_are_the_storage_classes_seen(open_shop: Desk) -> None:
    result = open_shop.run(
        open_shop.database.query("SELECT 1 a, 2.5 b, 'x' c, NULL d, 1 e UNION SELECT 2, 1.0, 'y', NULL, 'z'")
    )
    assert [column.type for column in result.columns] == ["INTEGER", "REAL", "TEXT", "NULL", "ANY"]


@pytest.mark.parametrize(
    ("policy", "limit", "rows", "text"),
    [
        (Policy(), 5, 5, "Cut after 5 rows, the limit of this call"),
        (Policy(max_rows=7), 100, 7, "Cut after 7 rows, the most this server returns"),
        (Policy(max_bytes=300), 100, 7, "go beyond 300 bytes"),
        (Policy(max_bytes=10), 100, 0, "The first row alone is larger than 10 bytes"),
        (Policy(max_bytes=0), 60, 60, None),
    ],
)
def test_a_cut_answer_says_by_what_and_how_to_go_on(
    desk: Opener, shop: Path, policy: Policy, limit: int, rows: int, text: str | None
) -> None:
    opened = desk(shop, policy)
    result = opened.run(opened.database.query("SELECT id, name, email FROM customers", limit=limit))
    assert (result.row_count, result.truncated) == (rows, text is not None)
    assert text is None or (result.note is not None and text in result.note)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("", "no statement that gives rows"),
        ("-- nothing", "no statement that gives rows"),
        ("SELECT 1; SELECT 2", "One statement per call"),
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM nosuch", "list_tables shows"),
        ("SELECT nosuch FROM customers", "describe_table shows"),
        ("SELECT 1\0", "NUL character"),
        ("SELECT '\ud800'", "lone surrogate"),
        ("SELECT abs(-9223372036854775808)", "integer overflow"),
        ("SELECT json('{')", "malformed JSON"),
    ],
)
def test_a_statement_that_cannot_run_is_explained(open_shop: Desk, sql: str, text: str) -> None:
    assert text in open_shop.ask(sql)


def test_a_limit_below_one_is_refused(open_shop: Desk) -> None:
    assert "at least 1" in open_shop.hear(open_shop.database.query("SELECT 1", limit=0))


def test_beyond_the_most_at_once_a_query_is_refused_and_the_others_are_answered(shop: Path) -> None:
    async def crowd() -> list[object]:
        database = Database.open(shop)
        try:
            asked = [database.query("SELECT count(*) FROM customers") for _ in range(MOST_AT_ONCE + 3)]
            return list(await asyncio.gather(*asked, return_exceptions=True))
        finally:
            await database.close()

    answers = asyncio.run(crowd())
    assert ["as many as may" in str(each) for each in answers if isinstance(each, Refusal)] == [True] * 3


def test_a_cancelled_query_ends_its_statement_and_frees_its_place(shop: Path) -> None:
    async def cancel() -> list[list[Any]]:
        database = Database.open(shop, Policy(query_timeout=60))
        endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        tasks = [asyncio.ensure_future(database.query(endless)) for _ in range(MOST_AT_ONCE)]
        await asyncio.wait(tasks, timeout=0.2)
        for task in tasks:
            task.cancel()
        ended, running = await asyncio.wait(tasks, timeout=30)
        assert (len(ended), len(running)) == (MOST_AT_ONCE, 0)
        rows = (await database.query("SELECT 1")).rows
        await database.close()
        return rows

    assert asyncio.run(cancel()) == [[1]]


def test_an_instruction_that_cannot_be_interrupted_is_given_up(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server_sqlite.line.GRACE", 0.1)

    async def stuck() -> tuple[str, list[list[Any]]]:
        database = Database.open(shop, Policy(query_timeout=0.2))
        try:
            await database.query("SELECT instr(zeroblob(500000), zeroblob(250000) || x'01')")
        except Refusal as refusal:
            text = str(refusal)
        else:
            text = "answered"
        rows = (await database.query("SELECT 1")).rows
        await database.close()
        return text, rows

    text, rows = asyncio.run(stuck())
    assert "the time a query may take here" in text
    assert rows == [[1]]


def test_an_answer_sees_what_another_program_wrote_between_two_calls(desk: Opener, tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE t (a)")
        opened = desk(path)
        assert opened.query("SELECT * FROM t") == []
        raw.execute("INSERT INTO t VALUES (1)")
        raw.commit()
        assert opened.query("SELECT * FROM t") == [[1]]
        raw.execute("ALTER TABLE t ADD COLUMN b DEFAULT 'new'")
        assert opened.query("SELECT * FROM t") == [[1, "new"]]
        raw.execute("CREATE VIRTUAL TABLE f USING fts5(x)")
        raw.execute("INSERT INTO f VALUES ('later')")
        raw.commit()
        assert opened.query("SELECT x FROM f WHERE f MATCH 'later'") == [["later"]]
