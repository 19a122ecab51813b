"""Passages: nothing is lost, nothing is too long, and a cut comes where a reader would pause."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server_vector.passages import OVERLAP, SIZE, join, split

PIECES = st.sampled_from(
    ["word ", "Sentence. ", "\n", "\n\n", "# Heading\n", "## Other #\n", "longword" * 20, "文。", " "]
)


@given(st.lists(PIECES, max_size=80).map("".join))
@settings(max_examples=60, deadline=None)
def test_passages_put_together_are_the_text_again(text: str) -> None:
    pieces = list(split(text, 100, 20))
    assert all(len(piece.text) <= 100 for piece in pieces)
    assert [piece.position for piece in pieces] == list(range(len(pieces)))
    assert all(text[piece.start :].startswith(piece.text) for piece in pieces)
    joined = join((piece.start, piece.text) for piece in pieces)
    assert joined.split() == text.split()


def test_a_text_that_is_one_endless_word_is_cut_all_the_same() -> None:
    text = "x" * 5000
    pieces = list(split(text))
    assert max(len(piece.text) for piece in pieces) == SIZE
    assert join((piece.start, piece.text) for piece in pieces) == text


def test_a_passage_begins_at_a_heading_and_knows_the_one_it_stands_under() -> None:
    text = "# First\n" + "About apples. " * 60 + "\n\n# Second\n" + "About pears. " * 120
    pieces = list(split(text))
    second = next(piece for piece in pieces if "pears" in piece.text)
    assert second.text.startswith("# Second")
    assert pieces[0].heading == "First"
    assert {piece.heading for piece in pieces if "pears" in piece.text} == {"Second"}
    assert pieces[-1].searchable.startswith("Second\n")


def test_passages_end_with_a_sentence_and_overlap() -> None:
    text = "".join(f"This is sentence number {number} of a long story. " for number in range(100))
    pieces = list(split(text))
    assert all(piece.text.rstrip().endswith(".") for piece in pieces)
    for one, next_one in pairwise(pieces):
        shared = one.start + len(one.text) - next_one.start
        assert 0 < shared <= OVERLAP
        assert next_one.text.startswith("This")


@pytest.mark.parametrize("text", ["." * 400_000, "# \n" * 100_000, "a\n" * 150_000, ".\"')]" * 80_000])
def test_no_text_takes_long_to_cut(text: str) -> None:
    began = time.process_time()
    assert sum(1 for _ in split(text)) > 100
    assert time.process_time() - began < 0.4  # a run of dots took three times as long


def test_splitting_is_lazy() -> None:
    pieces = split("Sentence. " * 400_000)
    assert next(pieces).start == 0


@pytest.mark.parametrize("text", ["", " \n\t ", "\n" * 3000])
def test_nothing_gives_no_passages(text: str) -> None:
    assert list(split(text)) == []
