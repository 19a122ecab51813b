"""Random trees and paths against a model, random edits against Python's own, random texts read by parts."""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.filesystem.conftest import open_scope
from tests.servers.filesystem.resolving import Model, Refused

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.editing import Edit
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.lines import Wish
from mcp_server_filesystem.listing import list_folder
from mcp_server_filesystem.moving import move
from mcp_server_filesystem.reading import Text, read_text
from mcp_server_filesystem.refusals import Refusal
from mcp_server_filesystem.sandbox import Policy, Sandbox
from mcp_server_filesystem.searching import search_names
from mcp_server_filesystem.walking import Bounds
from mcp_server_filesystem.writing import edit_text, write_text

BOX = Sandbox([], Policy())
FOLDERS = ("root", "root/d", "root/d/e", "second", "second/d", "out", "out/d")
LINKS = [f"l{number}" for number in range(6)]
STEPS = st.sampled_from(["..", "..", "d", "d", "e", "f", "root", "out", "../second", "../../TOP/root", *LINKS])
ROUTES = st.lists(STEPS, min_size=1, max_size=6).map("/".join)
TARGETS = st.tuples(st.booleans(), ROUTES)


class Tree(NamedTuple):
    """Links by name: in which directory each lies, whether it is absolute, and where it leads."""

    links: list[tuple[str, tuple[bool, str]]]
    paths: list[str]


TREES = st.builds(
    Tree,
    st.lists(st.tuples(st.sampled_from(FOLDERS), TARGETS), min_size=len(LINKS), max_size=len(LINKS)),
    st.lists(ROUTES, min_size=8, max_size=8),
)


@contextmanager
def planted(tree: Tree) -> Generator[Path]:
    """The tree on disk: every directory holds a file `f` that says where it is."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        for name in FOLDERS:
            (top / name).mkdir()
            (top / name / "f").write_text(name)
        for name, (where, (absolute, target)) in zip(LINKS, tree.links, strict=True):
            relative = target.replace("TOP", top.name)
            (top / where / name).symlink_to(f"{top}/{relative}" if absolute else relative)
        tree.paths[:] = [path.replace("TOP", top.name) for path in tree.paths]
        yield top


def contents(top: Path, *, without: Path | None = None) -> dict[Path, str]:
    files = (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
    return {path: path.read_text() for path in files if path != without}


def expected_of(model: Model, path: str) -> Path | None:
    try:
        return model.resolve(path)
    except Refused:
        return None


def read(scope: Scope, path: str) -> str | None:
    try:
        return read_text(scope, path, Wish(), 0, Errand()).content
    except Refusal:
        return None


def names(scope: Scope, path: str) -> list[str] | None:
    try:
        return [entry.name for entry in list_folder(scope, path).entries]
    except Refusal:
        return None


by_every_way = pytest.mark.parametrize("by_walking", [False, True], ids=["openat2", "walk"])


@by_every_way
@given(tree=TREES)
@settings(max_examples=35, deadline=None)
def test_what_is_read_and_listed_is_what_the_model_says(by_walking: bool, tree: Tree) -> None:
    with planted(tree) as top:
        model = Model([top / "root", top / "second"])
        with open_scope(*model.roots, policy=Policy(by_walking=by_walking)) as scope:
            for path in tree.paths:
                place = expected_of(model, f"{top}/root/{path}")
                file = place is not None and place.is_file()
                assert read(scope, path) == (place.read_text() if file and place else None), (path, place)
                folder = place is not None and place.is_dir()
                listed = sorted(each.name for each in place.iterdir()) if folder and place else None
                assert names(scope, path) == listed, (path, place)


@by_every_way
@given(tree=TREES)
@settings(max_examples=25, deadline=None)
def test_what_is_written_lands_where_the_model_says_and_nowhere_else(by_walking: bool, tree: Tree) -> None:
    with planted(tree) as top:
        model = Model([top / "root", top / "second"])
        with open_scope(*model.roots, policy=Policy(by_walking=by_walking)) as scope:
            for number, path in enumerate(tree.paths):
                place = expected_of(model, f"{top}/root/{path}")
                before = contents(top)
                try:
                    write_text(BOX, scope, path, f"new {number}", ("overwrite", None))
                except Refusal:
                    assert contents(top) == before
                    assert place is None or not place.is_file(), path
                    continue
                assert place is not None, path
                assert contents(top) == {**before, place: f"new {number}"}, path


@by_every_way
@given(tree=TREES)
@settings(max_examples=25, deadline=None)
def test_what_is_moved_stays_inside_and_nothing_is_lost(by_walking: bool, tree: Tree) -> None:
    with planted(tree) as top:
        roots = [top / "root", top / "second"]
        with open_scope(*roots, policy=Policy(by_walking=by_walking)) as scope:
            outside, texts = contents(top / "out"), sorted(contents(top).values())
            for source, destination in zip(tree.paths[::2], tree.paths[1::2], strict=True):
                try:
                    move(scope, source, destination, Errand())
                except Refusal:
                    continue
                assert contents(top / "out") == outside
                assert sorted(contents(top).values()) == texts
        assert all(root.is_dir() for root in roots)


@given(tree=TREES)
@settings(max_examples=25, deadline=None)
def test_both_ways_of_walking_a_tree_find_the_same(tree: Tree) -> None:
    with planted(tree) as top:
        found: list[list[str]] = []
        for by_walking in (False, True):
            with open_scope(top / "root", policy=Policy(by_walking=by_walking)) as scope:
                found.append(search_names(scope, ".", "**", Bounds(), Errand()).matches)
        assert found[0] == found[1] == sorted(str(path) for path in (top / "root").rglob("*"))


# --- edits ---

WORDS = st.text("ab\u00e9 ", min_size=0, max_size=6)
ENDINGS = st.sampled_from(["\n", "\r\n"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
CHANGES = st.lists(st.tuples(st.text("ab\n", min_size=1, max_size=4), st.text("abc\u00e9\n", max_size=5)), max_size=3)


def replace_as_python_does(text: str, changes: list[tuple[str, str]]) -> str | None:
    """All replacements of what stands there once, or None."""
    for old, new in changes:
        if text.find(old) < 0 or text.find(old) != text.rfind(old):
            return None
        text = text.replace(old, new)
    return text


@given(lines=st.lists(WORDS, min_size=1, max_size=8), ending=ENDINGS, encoding=ENCODINGS, changes=CHANGES)
@settings(max_examples=120, deadline=None)
def test_an_edited_file_holds_what_python_s_replace_gives(
    lines: list[str], ending: str, encoding: str, changes: list[tuple[str, str]]
) -> None:
    text = "\n".join(lines)
    wanted = replace_as_python_does(text, changes)
    with tempfile.TemporaryDirectory() as folder, open_scope(Path(folder)) as scope:
        file = Path(folder, "f")
        old = text.replace("\n", ending).encode(encoding)
        file.write_bytes(old)
        edits = [Edit(*change) for change in changes]
        try:
            edit_text(BOX, scope, "f", edits, (False, None))
        except Refusal:
            assert wanted is None
        kept = ending if ending in text.replace("\n", ending) else "\n"
        assert file.read_bytes() == (old if wanted is None else wanted.replace("\n", kept).encode(encoding))


# --- reading by parts ---

LINES = st.lists(st.text("ab\u00e9\u6f22\U0001f600\t ", max_size=12), min_size=1, max_size=40)
PARTS = st.tuples(st.integers(1, 45), st.integers(1, 45))


@given(lines=LINES, ending=ENDINGS, closed=st.booleans(), encoding=ENCODINGS, part=PARTS)
@settings(max_examples=150, deadline=None)
def test_a_part_is_what_the_whole_has_there(
    lines: list[str], ending: str, closed: bool, encoding: str, part: tuple[int, int]
) -> None:
    text = ending.join(lines) + (ending if closed else "")
    lines = text.removesuffix(ending).split(ending) if text else []
    first, count = part
    with tempfile.TemporaryDirectory() as folder, open_scope(Path(folder)) as scope:
        Path(folder, "f").write_bytes(text.encode(encoding))

        def take(wish: Wish) -> str:
            return read_text(scope, "f", wish, 0, Errand()).content

        assert take(Wish()) == text
        assert take(Wish(count=count)) == ending.join(lines[:count])
        assert take(Wish(count=count, from_end=True)) == ending.join(lines[-count:])
        try:
            assert take(Wish(first=first, count=count)) == ending.join(lines[first - 1 : first - 1 + count])
        except Refusal:
            assert first > len(lines)


def go_on(scope: Scope, most: int) -> list[str]:
    """Read a file by the answers' own word on how to go on."""
    pieces: list[str] = []
    offset = 1
    for _ in range(200):
        said: Text = read_text(scope, "f", Wish(first=offset), most, Errand())
        pieces.append(said.content)
        assert len(said.content.encode()) <= most
        following = said.remark.partition("Go on with offset=")[2]
        if not following:
            return pieces
        offset = int(following.partition(".")[0])
    raise AssertionError("it does not end")


@given(
    lines=st.lists(st.text("ab\u00e9\u6f22 ", min_size=20, max_size=120), min_size=1, max_size=150),
    encoding=ENCODINGS,
    most=st.integers(1600, 6000),
)
@settings(max_examples=25, deadline=None)
def test_what_is_cut_is_read_to_its_end_by_going_on(lines: list[str], encoding: str, most: int) -> None:
    with tempfile.TemporaryDirectory() as folder, open_scope(Path(folder)) as scope:
        Path(folder, "f").write_bytes("\n".join(lines).encode(encoding))
        assert "\n".join(go_on(scope, most)) == "\n".join(lines)


MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@given(data=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused_with_a_reason(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, open_scope(Path(folder)) as scope:
        Path(folder, "f").write_bytes(data)
        if b"\0" in data:
            assert read(scope, "f") is None or data.startswith(MARKS)
            return
        try:
            said = read_text(scope, "f", Wish(), 0, Errand())
        except Refusal:
            assert any(byte < 32 for byte in data)
            return
        for encoding in ("utf-16", "utf-32", "latin-1", "cp1252", "byte order mark"):
            if encoding in said.remark:
                assert encoding[0] in "ub" or said.content.encode(encoding) == data
                return
        assert said.content.encode() == data
