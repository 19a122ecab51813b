"""Trees and searches: what they leave out, where they end, what cannot hang them."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.filesystem.conftest import CANARY, open_scope

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.errand import Errand, Stopped
from mcp_server_filesystem.globs import Names, compile_globs
from mcp_server_filesystem.listing import draw_tree
from mcp_server_filesystem.refusals import Refusal
from mcp_server_filesystem.searching import Query, search_contents, search_names
from mcp_server_filesystem.walking import Bounds

ALL = Bounds()


def fits(glob: str, path: str) -> bool:
    expression = compile_globs([glob])
    return expression is not None and expression.match(path) is not None


def found(scope: Scope, pattern: str, bounds: Bounds = ALL) -> list[str]:
    hits = search_names(scope, ".", pattern, bounds, Errand())
    return [path.removeprefix(f"{scope.anchors[0].path}/") for path in hits.matches]


def lines(scope: Scope, query: Query, bounds: Bounds = ALL) -> list[tuple[str, int]]:
    hits = search_contents(scope, ".", query, bounds, Errand())
    return [(match.path.removeprefix(f"{scope.anchors[0].path}/"), match.line) for match in hits.matches]


@pytest.mark.parametrize(
    ("glob", "good", "bad"),
    [
        ("*.py", "a.py .py", "a/b.py a.pyc"),
        ("**/*.py", "a.py x/a.py x/y/a.py", "a.txt"),
        ("src/**", "src/a src/a/b", "src other/a"),
        ("**/test/**/*.js", "test/a.js x/test/y/z/a.js", "tests/a.js test.js"),
        ("a?c", "abc", "ac a/c abbc"),
        ("[!a]*", "b bc", "a ab"),
        ("{a,b{c,d}}.x", "a.x bc.x bd.x", "b.x c.x"),
        ("v{1..3}", "v1 v2 v3", "v4 v"),
        ("*a*b*c", "abc xaxbxc aabbcc abcc", "acb ab"),
        ("[", "[", "x"),
        ("a.b", "a.b", "axb"),
    ],
)
def test_globs_mean_what_they_mean_elsewhere(glob: str, good: str, bad: str) -> None:
    assert [path for path in good.split() if not fits(glob, path)] == []
    assert [path for path in bad.split() if fits(glob, path)] == []


@given(st.text("ab*?", min_size=1, max_size=8), st.text("abc", max_size=10))
@settings(max_examples=300, deadline=None)
def test_globs_of_names_agree_with_fnmatch(glob: str, name: str) -> None:
    if glob.strip("*") or "**" not in glob:
        assert fits(glob, name or "c") == fnmatch.fnmatchcase(name or "c", glob)


def test_globs_that_would_run_away_do_not(scope: Scope, served: Path) -> None:
    (served / ("a" * 200)).touch()
    started = time.monotonic()
    for glob in ("*a" * 100 + "b", "**/" * 50 + "b", "{a,b}" * 6 + "c"):
        assert found(scope, glob) == []
    assert time.monotonic() - started < 2
    with pytest.raises(Refusal, match="alternatives"):
        found(scope, "{a,b}" * 40)


def test_more_globs_than_can_be_compiled_in_time_are_refused_and_a_long_list_is_not(scope: Scope, served: Path) -> None:
    (served / "kept").touch()
    started = time.monotonic()
    for exclude in (("x" * 20,) * 200_000, ("{a,b}" * 6 + "c",) * 1000):
        with pytest.raises(Refusal, match="Give fewer of them"):
            found(scope, "**", Bounds(exclude=exclude))
    assert time.monotonic() - started < 2
    assert "kept" in found(scope, "**", Bounds(exclude=tuple(f"package{number}" for number in range(300))))


def test_gitignore_is_honoured_counted_and_can_be_left(scope: Scope, served: Path) -> None:
    (served / ".gitignore").write_text("*.log\n!keep.log\nbuild/\n/top\ninner/*.tmp\n# comment\n")
    for path in ("x.log", "keep.log", "build/out.txt", "top", "inner/top", "inner/c.tmp", ".git/HEAD"):
        (served / path).parent.mkdir(exist_ok=True)
        (served / path).touch()
    (served / "inner" / ".gitignore").write_text("b.txt\n")
    assert found(scope, "**") == [".gitignore", "a.txt", "inner", "inner/.gitignore", "inner/top", "keep.log"]
    notes = search_names(scope, "inner", "**", ALL, Errand()).notes
    assert "2 entries left out by .gitignore" in notes[0]
    assert "--no-gitignore" in notes[0]
    assert "build/out.txt" in found(scope, "**", Bounds(gitignore=False))


def test_a_pattern_that_fits_nothing_says_what_would(scope: Scope) -> None:
    said = {pattern: search_names(scope, ".", pattern, ALL, Errand()).notes for pattern in ("b.txt", "", "*.md", "a*")}
    assert said["b.txt"] == ["b.txt fits only what lies in . itself; **/b.txt looks below, too"]
    assert said[""] == ["an empty pattern fits nothing; **/* fits everything"]
    assert "**/*.md" in said["*.md"][0]
    assert said["a*"] == []


def test_walks_follow_no_link_and_mark_what_is_denied(scope: Scope, served: Path) -> None:
    (served / "out").symlink_to("../outside")
    (served / ".env").write_text(CANARY)
    (served / ".ssh").mkdir()
    (served / ".ssh" / "id").write_text(CANARY)
    hits = search_names(scope, ".", "**", ALL, Errand())
    assert [Path(path).name for path in hits.denied] == [".env", ".ssh"]
    assert not [path for path in hits.matches if "secret.txt" in path or "id" in path.split("/")]
    contents = search_contents(scope, ".", Query(CANARY), ALL, Errand())
    assert contents.matches == []
    assert "denied" in contents.notes[0]
    tree, _ = draw_tree(scope, ".", ALL, 0, Errand())
    assert {entry["name"] for entry in json.loads(tree) if entry.get("denied")} == {".env", ".ssh"}


def test_bounds_cut_and_say_so(scope: Scope, served: Path) -> None:
    deep = served
    for number in range(70):
        deep = deep / f"d{number}"
        deep.mkdir()
    for number in range(300):
        (served / "inner" / f"{number}").touch()
    tree, remarks = draw_tree(scope, ".", Bounds(most_entries=50), 0, Errand())
    assert tree.count('"name"') <= 50
    assert "50 entries are the most" in remarks[0]
    tree, remarks = draw_tree(scope, ".", Bounds(most_levels=2), 0, Errand())
    assert "d1" in tree
    assert "d2" not in tree
    assert "level 2" in remarks[0]
    tree, remarks = draw_tree(scope, ".", ALL, 5_000, Errand())
    assert len(tree) <= 5_000
    assert json.loads(tree)
    assert "larger than an answer" in remarks[0]
    for number in range(50):
        (deep.parents[20] / f'"ü{number}').mkdir()
    for room in range(4_000, 120_000, 4_000):
        tree, _ = draw_tree(scope, ".", ALL, room, Errand())
        assert len(tree.encode()) <= room
        assert json.loads(tree)
    _, remarks = draw_tree(scope, ".", ALL, 0, Errand(seconds=-1))
    assert "time was up" in remarks[0]


def test_a_stopped_walk_ends(scope: Scope) -> None:
    errand = Errand()
    errand.stop()
    with pytest.raises(Stopped):
        draw_tree(scope, ".", ALL, 0, errand)


def test_contents_are_found_in_every_encoding(scope: Scope, served: Path) -> None:
    for encoding in ("utf-8", "utf-16", "utf-8-sig", "cp1252"):
        (served / f"{encoding}.t").write_bytes("first\nthe café é\n".encode(encoding))
    (served / "binary.t").write_bytes(b"\0\1the caf\xc3\xa9")
    expected = [(f"{encoding}.t", 2) for encoding in ("cp1252", "utf-16", "utf-8-sig", "utf-8")]
    assert sorted(lines(scope, Query("café"))) == sorted(expected)
    assert sorted(lines(scope, Query("caf. é$", regex=True))) == sorted(expected)
    assert lines(scope, Query("café", include=("utf-8.t",))) == [("utf-8.t", 2)]
    assert len(lines(scope, Query("café", most=2))) == 2


def test_a_regular_expression_cannot_hang_the_search(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server_filesystem.matching.FILE_SECONDS", 0.2)
    for number in range(6):
        (served / f"evil{number}").write_text("a" * 50 + "b\n")
    started = time.monotonic()
    with open_scope(served) as scope:
        hits = search_contents(scope, ".", Query("(a+)+$", regex=True), ALL, Errand())
        assert lines(scope, Query("(((a{60000}){60000}){60000})" * 3, regex=True)) == []
    assert time.monotonic() - started < 8
    assert hits.truncated
    assert any("takes too long" in note for note in hits.notes)


TEXTS = st.lists(st.text("ab \n", max_size=40), min_size=1, max_size=4)
EXPRESSIONS = st.sampled_from(["a", "ab", "^a", "b$", "a\\s+b", "^$"])


@given(TEXTS, EXPRESSIONS)
@settings(max_examples=15, deadline=None)
def test_matches_are_those_of_python_s_own(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], expression: str
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    expected: set[tuple[str, int]] = set()
    for number, text in enumerate(texts):
        (folder / f"f{number}").write_text(text)
        for match in re.finditer(expression, text, re.MULTILINE):
            if match.start() < len(text) or not text.endswith("\n"):
                expected.add((f"f{number}", text.count("\n", 0, match.start()) + 1))
    with open_scope(folder) as scope:
        assert set(lines(scope, Query(expression, regex=True, most=1000))) == expected


def test_a_matcher_that_never_answers_is_told_from_a_bad_expression(
    tmp_path: Path, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr("mcp_server_filesystem.matching._PROGRAM", silent)
    monkeypatch.setattr("mcp_server_filesystem.matching._START", 0.0)
    with pytest.raises(Refusal, match="not read in time"):
        search_contents(scope, ".", Query("a+", regex=True), ALL, Errand())
    monkeypatch.undo()
    with pytest.raises(Refusal, match=r"not valid: .*unterminated"):
        search_contents(scope, ".", Query("(a", regex=True), ALL, Errand())


def test_files_that_vanish_or_may_not_be_read_are_counted(scope: Scope, served: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root reads everything")
    (served / "locked").mkdir(mode=0)
    assert "could not be read" in search_names(scope, ".", "**", ALL, Errand()).notes[0]


@given(st.lists(st.text("a.E*", min_size=1, max_size=4), max_size=4), st.lists(st.text("a.eE", min_size=1), max_size=4))
def test_names_looked_at_together_miss_none(globs: list[str], names: list[str]) -> None:
    for fold in (True, False):
        compiled = Names(globs, fold=fold)
        if any(compiled.match(name) for name in names):
            assert compiled.touch(names)
