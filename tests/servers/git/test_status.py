"""What git_status says, compared with what was done."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Forge, Repo

from mcp_server_git.changes import add
from mcp_server_git.status import Change, Status, read_status


def status(desk: Opener, repo: Repo | Path, **policy: int) -> Status:
    opened = desk(repo, **policy)
    return opened.run(read_status(opened.repository))


def test_every_kind_of_change_is_told_apart(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "changed\n")
    repo.git("mv", "b.txt", "c.txt")
    repo.write("new.txt")
    repo.git("add", "new.txt")
    repo.write("untracked.txt")
    found = status(desk, repo)
    assert found.staged == [Change("c.txt", "renamed", "b.txt"), Change("new.txt", "new file")]
    assert found.unstaged == [Change("a.txt", "modified")]
    assert found.untracked == ["untracked.txt"]
    assert found.branch == "main"
    assert found.commit == repo.say("rev-parse", "HEAD")
    assert "renamed: b.txt -> c.txt" in str(found)


def test_the_upstream_is_told_with_what_lies_between(desk: Opener, forge: Forge, repo: Repo) -> None:
    clone = Repo(forge.folder / "clone", forge.environment)
    repo.git("clone", "--quiet", str(repo.path), str(clone.path))
    repo.commit("theirs")
    clone.commit("ours", mine_txt="1")
    clone.commit("ours too", mine_txt="2")
    clone.git("fetch", "--quiet")
    found = status(desk, clone)
    assert (found.upstream, found.ahead, found.behind) == ("origin/main", 2, 1)
    clone.git("update-ref", "-d", "refs/remotes/origin/main")
    gone = status(desk, clone)
    assert (gone.upstream, gone.ahead) == ("origin/main", None)
    assert "is gone" in str(gone)


def test_an_empty_repository_and_a_detached_head_are_told(desk: Opener, forge: Forge, repo: Repo) -> None:
    empty = status(desk, forge.make("empty"))
    assert (empty.branch, empty.commit) == ("main", None)
    assert "No commits yet" in str(empty)
    repo.git("checkout", "--quiet", "HEAD~1")
    detached = status(desk, repo)
    assert detached.branch is None
    assert "HEAD detached" in str(detached)


def test_a_conflict_is_told_with_who_did_what(desk: Opener, repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    repo.commit("side", a_txt="one\nother\n")
    repo.git("checkout", "--quiet", "main")
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("merge", "side")
    found = status(desk, repo)
    assert found.conflicted == [Change("a.txt", "both modified")]
    assert found.in_progress == "merge"


def test_names_that_are_no_text_lead_back_to_their_files(desk: Opener, repo: Repo) -> None:
    repo.write(b'caf\xe9 "x"\n.txt')
    opened = desk(repo)
    (name,) = opened.run(read_status(opened.repository)).untracked
    assert name == '"caf\\351 \\"x\\"\\n.txt"'
    assert opened.run(add(opened.repository, [name])).files == [name]


def test_the_user_s_own_excludes_and_line_endings_count(desk: Opener, forge: Forge, repo: Repo) -> None:
    (forge.folder / "home" / "ignore").write_text("*.log\n")
    more = forge.folder / "home" / "more"
    more.write_text("[core]\n\texcludesFile = ~/ignore\n\tautocrlf = true\n")
    forge.config.write_text(forge.config.read_text() + "[include]\n\tpath = more\n")
    repo.write("x.log")
    repo.write("new.txt", "one\r\ntwo\r\n")
    opened = desk(repo)
    assert opened.run(read_status(opened.repository)).untracked == ["new.txt"]
    opened.run(add(opened.repository, ["new.txt"]))
    assert repo.git("cat-file", "blob", ":new.txt") == b"one\ntwo\n"


def test_a_long_status_is_cut_and_counted(desk: Opener, repo: Repo) -> None:
    for number in range(300):
        repo.write(f"file-with-a-longer-name-{number}.txt")
    found = status(desk, repo, max_bytes=4_000)
    assert found.truncated
    assert found.counts["untracked"] == 300
    assert 0 < len(found.untracked) < 200


def test_a_linked_worktree_needs_its_main_repository_allowed(desk: Opener, forge: Forge, repo: Repo) -> None:
    tree = forge.folder / "tree"
    repo.git("worktree", "add", "--quiet", "-b", "side", str(tree))
    both = desk(tree, repo)
    assert both.run(read_status(both.find(str(tree)))).branch == "side"
    alone = desk(tree)

    async def ask() -> object:
        return alone.find()

    assert "lies outside of what is allowed" in alone.refusal(ask())
