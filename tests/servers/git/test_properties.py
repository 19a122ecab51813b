"""Random repositories: what is said of them is what git itself says."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.git.forge import Forge, Repo

from mcp_server_git.annotation import blame
from mcp_server_git.branches import list_branches
from mcp_server_git.diffs import diff_staged, diff_target, diff_unstaged
from mcp_server_git.history import Search, read_log
from mcp_server_git.names import read_name, spell
from mcp_server_git.refusals import Refusal
from mcp_server_git.repository import Repository
from mcp_server_git.searching import grep
from mcp_server_git.status import Status, read_status

T = TypeVar("T")
NAMES = [b"a", b"b.txt", b"d/a", b"d/e/f", b"\xff\xfe", b'"q"', b"caf\xc3\xa9", b"new\nline", b"-x", b" s", b":(top)a"]
BRANCHES = ["main", "side", "feature/x", "caf\u00e9", "a\u2028b"]
WORDS = ["one", "two", "x = 1", "caf\u00e9", "", "\tindented", "diff --git a b", "end\r"]
LINES = st.lists(st.sampled_from(WORDS), max_size=8)
CONTENTS = st.one_of(
    LINES.map(lambda lines: "\n".join(lines).encode()),
    LINES.map(lambda lines: "".join(f"{line}\n" for line in lines).encode()),
    st.sampled_from([b"\0binary\xff", b"caf\xe9\n"]),
)
CHANGES = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), CONTENTS), max_size=4)


class Step(NamedTuple):
    """A commit on a branch, which another one may be merged into; None for a file that is removed."""

    branch: str
    changes: dict[bytes, bytes | None]
    merged: str | None


HISTORIES = st.lists(
    st.builds(Step, st.sampled_from(BRANCHES), CHANGES, st.one_of(st.none(), st.sampled_from(BRANCHES))),
    min_size=1,
    max_size=8,
)
LISTED = ["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"]
few = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def write_history(history: list[Step]) -> bytes:
    """A stream for `git fast-import`."""
    text, known = b"", dict[str, int]()
    for number, step in enumerate([Step("main", {b"a": b"first\n"}, None), *history], start=1):
        message = f"commit {number}\n\n{'body' * (number % 3)}".encode()
        text += f"commit refs/heads/{step.branch}\nmark :{number}\n".encode()
        text += f"author Ada <ada@x> {1_700_000_000 + number} +0130\n".encode()
        text += f"committer Bob <bob@x> {1_700_000_000 + number} -0800\n".encode()
        text += b"data %d\n" % len(message) + message + b"\n"
        if step.branch not in known and number > 1:
            text += b"from :1\n"
        if step.merged is not None and step.merged in known and step.merged != step.branch:
            text += f"merge :{known[step.merged]}\n".encode()
        for name, content in step.changes.items():
            quoted = b'"' + b"".join(b"\\%03o" % byte for byte in name) + b'"'
            if content is None:
                text += b"D " + quoted + b"\n"
            else:
                text += b"M 100644 inline " + quoted + b"\ndata %d\n" % len(content) + content + b"\n"
        known[step.branch] = number
    return text


@contextmanager
def made(history: list[Step]) -> Generator[tuple[Repo, Repository]]:
    """The repository on disk, checked out, and as it is served."""
    with tempfile.TemporaryDirectory() as folder:
        forge = Forge(Path(folder).resolve() / "forge")
        repo = forge.make("repo", "--template=")
        repo.git("fast-import", "--quiet", stdin=write_history(history))
        repo.git("reset", "--quiet", "--hard")
        repositories = forge.serve(repo, max_bytes=0)
        try:
            yield repo, repositories.find(None, repositories.ceiling)
        finally:
            repositories.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 30))


def change(repo: Repo, changes: dict[bytes, bytes | None]) -> None:
    """Make changes of the work tree, where a file is not in the way of a directory."""
    for name, content in changes.items():
        path = repo.path / os.fsdecode(name)
        if content is None:
            path.unlink(missing_ok=True)
        elif not path.is_dir() and all(not each.is_file() for each in path.parents):
            repo.write(name, content)


def read_porcelain(data: bytes) -> set[tuple[str, str, str]]:
    """The (part, change, file) of `git status --porcelain=v1 -z`."""
    found: set[tuple[str, str, str]] = set()
    fields = iter(data.split(b"\0"))
    for line in filter(None, fields):
        letters, name = line[:2].decode(), spell(line[3:])
        if letters == "??":
            found.add(("untracked", "?", name))
            continue
        both = zip(("staged", "unstaged"), letters, strict=True)
        found |= {(part, letter, name) for part, letter in both if letter != " "}
        if "R" in letters:
            next(fields)
    return found


def read_answer(status: Status) -> set[tuple[str, str, str]]:
    letters = {"modified": "M", "new file": "A", "deleted": "D", "renamed": "R"}
    found = {("staged", letters[each.change], each.path) for each in status.staged}
    found |= {("unstaged", letters[each.change], each.path) for each in status.unstaged}
    return found | {("untracked", "?", each) for each in status.untracked}


@few
@given(HISTORIES, CHANGES, CHANGES)
def test_the_status_and_the_differences_are_git_s(
    history: list[Step], staged: dict[bytes, bytes | None], unstaged: dict[bytes, bytes | None]
) -> None:
    with made(history) as (repo, served):
        change(repo, staged)
        repo.git("add", "--all")
        change(repo, unstaged)
        plain = ("-c", "core.quotePath=false")
        assert read_answer(run(read_status(served))) == read_porcelain(repo.git("status", "--porcelain=v1", "-z"))
        for mine, words in (
            (run(diff_unstaged(served, 3, None)), ["diff"]),
            (run(diff_staged(served, 2, None)), ["diff", "--cached", "-U2"]),
            (run(diff_target(served, "HEAD", 0, None)), ["diff", "-U0", "HEAD"]),
            (run(diff_target(served, "main..HEAD~0", 3, None)), ["diff", "main..HEAD~0"]),
        ):
            assert mine.patch == repo.git(*plain, *words).decode("utf-8", "replace")
            names = repo.git(*words, "--name-only", "-z").split(b"\0")[:-1]
            assert [each.path for each in mine.files] == [spell(name) for name in names]


@few
@given(HISTORIES, st.sampled_from(NAMES), st.integers(1, 5))
def test_the_log_and_the_branches_are_git_s(history: list[Step], name: bytes, count: int) -> None:
    with made(history) as (repo, served):
        for branch in repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads").decode().split("\n")[:-1]:
            mine = run(read_log(served, Search(max_count=count, path=spell(name), revision=branch)))
            words = ["log", f"-{count}", "--format=%H %an %cn %aI %cI %P", branch, "--", name]
            theirs = repo.git("--literal-pathspecs", *words).decode()
            assert [
                " ".join([each.hash, each.author, each.committer, each.author_date, each.committer_date, *each.parents])
                for each in mine.commits
            ] == [line.rstrip() for line in theirs.split("\n")[:-1]]
            listed = run(list_branches(served, "local", branch, None)).branches
            lines = repo.git(*LISTED, f"--contains={branch}").decode().split("\n")[:-1]
            assert [f"{each.name} {each.commit}" for each in listed] == lines
        everything = run(list_branches(served, "all", None, None)).branches
        assert [f"{each.name} {each.commit}" for each in everything] == repo.git(*LISTED).decode().split("\n")[:-1]


@few
@given(HISTORIES)
def test_every_commit_is_on_a_page(history: list[Step]) -> None:
    with made(history) as (repo, served):
        found: list[str] = []
        cursor = None
        while True:
            page = run(read_log(served, Search(max_count=2, cursor=cursor)))
            found += [each.hash for each in page.commits]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == repo.git("log", "--format=%H").decode().split()


@few
@given(HISTORIES, CHANGES, st.sampled_from(NAMES))
def test_the_blame_is_git_s(history: list[Step], changes: dict[bytes, bytes | None], name: bytes) -> None:
    with made(history) as (repo, served):
        change(repo, changes)
        can_be_blamed = bool(repo.git("--literal-pathspecs", "ls-tree", "HEAD", "--", name))
        can_be_blamed &= (repo.path / os.fsdecode(name)).is_file()
        try:
            mine = [(each.hash, each.number, each.author) for each in run(blame(served, spell(name), None, None)).lines]
        except Refusal:
            assert not can_be_blamed
            return
        if not can_be_blamed:
            assert mine == []
            return
        lines = repo.git("--literal-pathspecs", "blame", "--line-porcelain", "--", name)
        heads = re.findall(rb"^([0-9a-f]{40}) \d+ (\d+).*\nauthor (.*)$", lines, re.MULTILINE)
        # Git says "External file" of what was not read by itself, and we read for it.
        theirs = [(sha.decode(), int(number), author.decode()) for sha, number, author in heads]
        assert [each[:2] for each in mine] == [each[:2] for each in theirs]
        assert [a for sha, _, a in mine if int(sha, 16)] == [a for sha, _, a in theirs if int(sha, 16)]


@few
@given(HISTORIES, CHANGES, st.sampled_from(["o", "^one$", "caf.", "x = [0-9]", "(a|e)n", "\t"]), st.booleans())
def test_a_search_finds_what_git_finds(
    history: list[Step], changes: dict[bytes, bytes | None], pattern: str, committed: bool
) -> None:
    with made(history) as (repo, served):
        change(repo, changes)
        where = ["HEAD"] if committed else []
        mine = run(grep(served, pattern, "HEAD" if committed else None)).matches
        try:
            theirs = repo.git("grep", "-I", "-n", "-z", "-E", "-e", pattern, *where)
        except Exception:  # it found nothing, which is a failure to it
            theirs = b""
        rows = re.findall(rb"(?:HEAD:)?([^\0]+)\0(\d+)\0(.*)\n", theirs)
        texts = [text.decode("utf-8", "replace").rstrip("\r") for _, _, text in rows]
        wanted = [(spell(name), int(number), text) for (name, number, _), text in zip(rows, texts, strict=True)]
        assert [(each.path, each.line, each.text) for each in mine] == wanted


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "loose"])
@few
@given(st.lists(CONTENTS, min_size=1, max_size=6), st.binary(min_size=200, max_size=3_000))
def test_every_object_is_read_as_git_reads_it(packed: bool, contents: list[bytes], bulk: bytes) -> None:
    history = [Step("main", {b"big": bulk + content, b"d/a": content}, None) for content in contents]
    with made(history) as (repo, served):
        if packed:
            repo.git("repack", "-a", "-d", "-f", "-q", "--depth=50", "--window=50")
        else:
            pack = next((repo.path / ".git" / "objects" / "pack").glob("*.pack"), None)
            if pack is not None:
                moved = pack.rename(repo.path / "moved").read_bytes()
                pack.with_suffix(".idx").unlink()
                repo.git("unpack-objects", "-q", stdin=moved)
        listed = repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)").decode()
        assert bool(list((repo.path / ".git" / "objects").glob("??/*"))) != packed

        async def read_all() -> None:
            for line in listed.splitlines():
                identity, kind = line.split()
                assert await served.objects.read(identity) == (kind, repo.git("cat-file", kind, identity))

        run(read_all())


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name))
def test_a_name_that_was_spelled_is_read_back(name: bytes) -> None:
    assert read_name(spell(name)) == name
