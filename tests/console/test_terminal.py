"""Tables fit the terminal, and what a server writes cannot steer it."""

from __future__ import annotations

import pytest

from mcp_kernel.console.terminal import draw_table, fold, measure, scrub, wrap


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_fits_the_width(width: int) -> None:
    rows = [("query" * 10, "1,204", "word " * 60), ("ü", "7", "日本語" * 40)]
    drawn = draw_table(("NAME", "TOKENS", "WHAT IT DOES"), rows, width)
    assert max(map(measure, drawn.splitlines())) <= width
    assert drawn.count("word") == 60
    assert drawn.count("本") == 40


def test_numbers_stand_to_the_right() -> None:
    drawn = draw_table(("NAME", "N", "TEXT"), [("a", "1,204", "x"), ("b", "7", "y")], 60)
    assert drawn.splitlines() == ["NAME      N  TEXT", "a     1,204  x", "b         7  y"]


def test_a_row_of_several_lines_is_parted_from_the_next() -> None:
    assert "\n\n" in draw_table(("A", "B"), [("1", "x\ny"), ("2", "z")], 60)


def test_words_are_kept_whole_where_they_fit() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("abcdefghij k", 4) == ["abcd", "efgh", "ij k"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcödé 日本 👩‍🚀\n\tx", "plain ünïcödé 日本 👩‍🚀\n\tx"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    assert scrub(text) == shown


def test_several_lines_are_told_in_one() -> None:
    assert fold("It ended.\n  first\n\nsecond\n") == "It ended. | first | second"
    folded = fold("begin " + "x" * 10_000 + " end")
    assert len(folded) < 2000
    assert folded.startswith("begin")
    assert folded.endswith("end")
