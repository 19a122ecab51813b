"""The text of a table: the same whether its columns are written at once or cell by cell."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_kernel import Column, Table

LONG = "x" * 200
cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)


def lines_of(rows: list[list[Any]]) -> list[str]:
    width = len(rows[0]) if rows else 0
    text = str(Table([Column(f"c{place}", "text") for place in range(width)], rows, len(rows)))
    return text.split("\n")[2:-1]


@given(columns=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=3))
def test_a_row_s_text_does_not_depend_on_the_rows_beside_it(columns: list[list[Any]]) -> None:
    rows = [list(row) for row in zip(*columns, strict=True)]
    assert lines_of(rows) == [line for row in rows for line in lines_of([row])]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2**60, -3], ["1", str(2**60), "-3"]),
        ([1.5, 2.0, 1e22, 1e-7], ["1.5", "2.0", "1e+22", "1e-7"]),
        (["a", "", "b"], ["a", "", "b"]),
        (["a|b", "c\nd", "e\rf"], ["a\\|b", "c\\nd", "e\\rf"]),
        (["a", LONG], ["a", f"{'x' * 120}…"]),
        ([True, False], ["true", "false"]),
        ([1, None, "a", [1, "b"]], ["1", "NULL", "a", '[1,"b"]']),
    ],
)
def test_a_column_of_one_kind_is_written_as_its_cells_are(values: list[Any], texts: list[str]) -> None:
    assert lines_of([[value] for value in values]) == texts
    assert [lines_of([[value]])[0] for value in values] == texts


def test_rows_of_no_columns_and_of_uneven_length_are_written_too() -> None:
    assert lines_of([[], []]) == ["", ""]
    assert lines_of([]) == []
    assert lines_of([[1, 2], [3]]) == ["1 | 2", "3"]
