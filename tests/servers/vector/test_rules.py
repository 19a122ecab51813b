"""What may be a name, an id, a text, metadata, a filter; and the words that a query becomes."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_server_vector.globs import Glob
from mcp_server_vector.refusals import Refusal
from mcp_server_vector.rules import (
    MAX_TEXT,
    check_collection,
    check_filter,
    check_id,
    check_metadata,
    check_query,
    check_text,
)
from mcp_server_vector.words import spell, terms


@pytest.mark.parametrize("name", ["abc", "a-b_c.d", "Notes2026", "a" * 62])
def test_honest_names_are_taken(name: str) -> None:
    assert check_collection(name) == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 63, "../x", "a..b", "a/b", "-abc", "abc-", "a b", "naïve", "abc\n", "abc\x00", "'; DROP--"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Refusal, match="letters"):
        check_collection(name)


@pytest.mark.parametrize("identifier", ["", "a\nb", "\x00", "\ud800", "x" * 1025])
def test_an_id_is_short_and_can_be_seen(identifier: str) -> None:
    with pytest.raises(Refusal):
        check_id(identifier)
    assert check_id("/home/me/ä b#1.md") == "/home/me/ä b#1.md"


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no letters"), (" \n!?", "no letters"), ("PK\x00\x01abc", "NUL"), ("ä" * (MAX_TEXT // 2 + 1), "more than")],
)
def test_a_text_that_nothing_could_find_is_refused(text: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        check_text(text)


def test_half_characters_are_replaced() -> None:
    assert check_text("a\ud800b") == "a\ufffdb"
    assert check_query("a\udfff b") == "a  b"


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": None},
        {"a": [1]},
        {"a": {"b": 1}},
        {"": 1},
        {"mcp:document": "x"},
        {"chroma:document": "x"},
        {"$and": 1},
        {"a": 2**63},
        {"a": float("nan")},
        {"a": "x" * 1025},
        {"a\x00": 1},
        {str(number): number for number in range(33)},
    ],
)
def test_metadata_that_cannot_be_kept_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        check_metadata(metadata)


def test_flat_metadata_are_taken() -> None:
    metadata = {"title": "ü", "year": 2024, "score": 0.5, "draft": False}
    assert check_metadata(metadata) == metadata


def test_a_filter_has_a_size_and_several_conditions_are_joined() -> None:
    assert check_filter({"a": 1, "b": 2}, "where") == {"$and": [{"a": 1}, {"b": 2}]}
    assert check_filter({}, "where") is None
    deep: dict[str, Any] = {"a": 1}
    for _ in range(40):
        deep = {"$and": [deep, {"b": 1}]}
    for given in (
        deep,
        {"$or": [{"a": number} for number in range(300)]},
        {"a": 2**70},
        {"a": "\ud800"},
        {"a": "\x00"},
        {"a": "x" * 10_001},
    ):
        with pytest.raises(Refusal):
            check_filter(given, "where")


def test_nothing_of_a_query_is_syntax() -> None:
    assert terms('a" OR NEAR(b) NOT col:x* -y ^z') == [
        '"a"', '"or"', '"near"', '"b"', '"not"', '"col"', '"x"', '"y"', '"z"',
    ]  # fmt: skip
    assert terms("max_wal_size readFileSync") == [
        '"max"',
        '"wal"',
        '"size"',
        '"readfilesync"',
        '"read"',
        '"file"',
        '"sync"',
    ]
    assert terms("検索 engine") == ['"検  索"', '"engine"']
    assert len(terms(" ".join(map(str, range(1000))))) == 64


def test_words_that_are_written_together_are_found_apart() -> None:
    assert spell("plain words") == "plain words"
    assert "read File Sync" in spell("use readFileSync here")
    assert spell("全文検索").split() == list("全文検索")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**/*", "a/b.md", True),
        ("*.md", "a/b.md", True),
        ("*.md", "a/b.txt", False),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/x/a.md", False),
        ("docs/**", "docs/x/a.md", True),
        ("docs/**/a.md", "docs/a.md", True),
        ("*.{md,txt}", "x/a.txt", True),
        ("[ab].md", "c.md", False),
        ("**/" * 100 + "x", "a/" * 60 + "y", False),
        ("*a" * 100, "a" * 300, True),
        ("*a" * 300 + "b", "a" * 299, False),
    ],
)
def test_a_glob_matches_part_by_part_and_at_once(pattern: str, path: str, fits: bool) -> None:
    assert Glob(pattern).matches(path) is fits


@pytest.mark.parametrize("pattern", ["", "x" * 1001, "{a,b}" * 10])
def test_a_glob_that_is_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(Refusal):
        Glob(pattern)
