"""Rows are read in batches; what is answered, and what is held, is as if they were read one by one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server_sqlite.answers import QueryResult, collect
from mcp_server_sqlite.batches import MOST_BYTES, MOST_ROWS, read_batches
from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.values import encode, read_text, weigh

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT {} FROM n"
CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.binary(max_size=40),
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.text_factory = read_text
        yield opened


def read(cursor: sqlite3.Cursor, limit: int, max_bytes: int = 0) -> QueryResult:
    return collect(cursor, limit, Policy(max_rows=100_000, max_bytes=max_bytes), 0.0)


@given(
    rows=st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=30)),
    room=st.integers(1, 2000),
    limit=st.integers(1, 40),
)
def test_an_answer_holds_the_rows_that_fit_and_no_other(rows: list[tuple[Any, ...]], room: int, limit: int) -> None:
    fitting: list[list[object]] = []
    spent = 0
    for row in rows[:limit]:
        spent += 2 + sum(map(weigh, row))
        if spent > room:
            break
        fitting.append([encode(value) for value in row])
    values = ", ".join(f"({', '.join('?' * len(row))})" for row in rows)
    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute(f"VALUES {values}", [value for row in rows for value in row])
        answer = read(cursor, limit, max_bytes=room)
    assert answer.rows == fitting
    assert answer.truncated == (len(fitting) < len(rows))


@pytest.mark.parametrize("limit", [1, 100, MOST_ROWS, MOST_ROWS + 1, 3 * MOST_ROWS])
def test_no_row_is_computed_that_was_not_asked_for_but_the_one_that_tells_of_more(
    connection: sqlite3.Connection, limit: int
) -> None:
    computed: list[int] = []
    connection.create_function("slow", 1, computed.append)
    answer = read(connection.execute(NUMBERS.format("slow(i)")), limit)
    assert answer.truncated
    assert len(computed) <= limit + 2  # Python's module computes one ahead


@pytest.mark.parametrize("value", ["zeroblob(50000)", "printf('%.50000c', 'x')", "CAST(zeroblob(50000) AS TEXT)"])
def test_large_rows_are_weighed_before_many_are_held(connection: sqlite3.Connection, value: str) -> None:
    large = f"CASE WHEN i > 300 THEN {value} ELSE i END"
    with closing(read_batches(connection.execute(NUMBERS.format(large)), 1000)) as batches:
        sizes = [
            sum(len(cell) for row in batch.rows for cell in row if isinstance(cell, str | bytes)) for batch in batches
        ]
    assert max(sizes) <= MOST_BYTES + 50_000
    assert sum(sizes) == 700 * 50_000


def test_the_connection_decodes_as_before_when_a_result_was_read(connection: sqlite3.Connection) -> None:
    for limit in (1, 10):
        read(connection.execute("SELECT 'a' UNION ALL SELECT CAST(x'FF' AS TEXT)"), limit)
        assert connection.text_factory is read_text
    with pytest.raises(sqlite3.OperationalError, match="integer overflow"):
        read(connection.execute("SELECT 'a' UNION ALL SELECT abs(-9223372036854775808)"), 10)
    assert connection.text_factory is read_text
