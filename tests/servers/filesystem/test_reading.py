"""Reading text: encodings, whole lines, what does not fit into an answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.servers.filesystem.conftest import open_scope

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.content import HASHED
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.lines import Wish
from mcp_server_filesystem.reading import Text, read_text
from mcp_server_filesystem.refusals import Refusal

TEXT = "naïve — 漢字 \U0001f600\nsecond\nthird\n"
FIRST, LAST = Wish(count=1), Wish(count=1, from_end=True)


def read(scope: Scope, path: str, wish: Wish | None = None, most: int = 0) -> Text:
    return read_text(scope, path, wish or Wish(), most, Errand())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_an_encoding_that_can_be_told_is(scope: Scope, served: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (served / "t").write_bytes((mark + TEXT).encode(encoding))
    assert read(scope, "t").content == TEXT
    assert read(scope, "t", FIRST).content == TEXT.split("\n", maxsplit=1)[0]
    assert read(scope, "t", LAST).content == "third"
    assert read(scope, "t", Wish(first=2, count=1)).content == "second"
    assert read(scope, "t", Wish(first=2)).content == "second\nthird"


def test_an_encoding_that_cannot_be_told_is_assumed_and_named(scope: Scope, served: Path) -> None:
    (served / "w").write_bytes("“café” — naïve\n".encode("cp1252"))
    text = read(scope, "w")
    assert text.content == "“café” — naïve\n"
    assert "cp1252 (assumed" in text.remark


@pytest.mark.parametrize("data", [b"\0\1\2\3", bytes(range(256)) * 10, b"\x7fELF\2\1\1\0"])
def test_what_is_no_text_is_told_from_text(scope: Scope, served: Path, data: bytes) -> None:
    (served / "b").write_bytes(data)
    with pytest.raises(Refusal, match="read_media_file"):
        read(scope, "b")


@pytest.mark.parametrize("size", [3_000, HASHED + 500_000])
def test_a_file_larger_than_an_answer_is_read_to_its_end_by_what_each_part_says(
    scope: Scope, served: Path, size: int
) -> None:
    lines = [f"{number} é{'x' * (number % 50)}" for number in range(size // 25)]
    whole = "\n".join(lines) + "\n"
    (served / "big").write_text(whole, "utf-8")
    read_lines: list[str] = []
    wish, most = Wish(), max(size // 20, 2_000)
    for _ in range(100):
        text = read(scope, "big", wish, most)
        assert len(text.content.encode()) <= most
        read_lines += text.content.split("\n") if "Cut" in text.remark or wish.first > 1 else text.content.splitlines()
        following = re.search(r"offset=(\d+)", text.remark)
        if following is None:
            break
        wish = Wish(first=int(following[1]))
    assert read_lines == lines


def test_a_line_that_alone_is_too_long_is_cut_between_characters(scope: Scope, served: Path) -> None:
    (served / "long").write_text("é" * 10_000 + "\nnext\n", "utf-8")
    for wish in (Wish(), FIRST):
        text = read(scope, "long", wish, 2_000)
        assert set(text.content) == {"é"}
        assert "offset=2" in text.remark
        assert "read_media_file returns all of it" in text.remark
    assert read(scope, "long", Wish(first=2), 2_000).content == "next"
    assert set(read(scope, "long", Wish(count=2, from_end=True), 2_000).content.split("\n")[0]) <= {"n", "e", "x", "t"}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("closed", [True, False])
def test_head_and_tail_are_whole_lines(scope: Scope, served: Path, ending: str, closed: bool) -> None:
    lines = [f"line {number}" for number in range(5_000)]
    (served / "t").write_bytes((ending.join(lines) + (ending if closed else "")).encode())
    for count in (1, 2, 999, 5_000, 9_000):
        head = read(scope, "t", Wish(count=count)).content
        tail = read(scope, "t", Wish(count=count, from_end=True)).content
        assert head.split(ending) == lines[:count]
        assert tail.split(ending) == lines[-count:]


def test_an_empty_file_is_read(scope: Scope, served: Path) -> None:
    (served / "e").touch()
    for wish in (Wish(), FIRST, LAST):
        assert read(scope, "e", wish).content == ""


def test_the_tag_changes_with_the_content_and_only_with_it(served: Path) -> None:
    def tag() -> str:
        with open_scope(served) as scope:
            found = re.search(r"etag (\w+)", read(scope, "t").remark)
            assert found
            return found[1]

    (served / "t").write_text("a")
    first = tag()
    (served / "t").touch()
    assert tag() == first
    (served / "t").write_text("b")
    assert tag() != first
    (served / "t").write_text("x" * (HASHED + 1))
    large = tag()
    (served / "t").write_text("y" * (HASHED + 1))
    assert tag() != large


def test_a_line_that_a_file_of_holes_does_not_come_to_is_not_waited_for(scope: Scope, served: Path) -> None:
    with (served / "holes").open("wb") as file:
        file.write(TEXT.encode() * 1_000)
        file.truncate(1 << 40)
    for wish in (Wish(first=2_999), FIRST, LAST):
        assert read_text(scope, "holes", wish, 10_000, Errand(0.1)).content
    with pytest.raises(Refusal, match=r"Line 5000 was not reached in time: 3000 line feeds in \d+ bytes"):
        read_text(scope, "holes", Wish(first=5_000), 10_000, Errand(0.1))
