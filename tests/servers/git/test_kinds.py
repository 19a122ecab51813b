"""Repositories of every kind: bare, empty, shallow, partial, sparse, SHA-256, another user's, with broken parts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Desk, Forge, Repo

from mcp_server_git.branches import list_branches
from mcp_server_git.changes import add, commit
from mcp_server_git.diffs import diff_staged, diff_target
from mcp_server_git.files import read_file
from mcp_server_git.history import Search, read_log
from mcp_server_git.searching import grep
from mcp_server_git.showing import read_revision
from mcp_server_git.status import read_status


def subjects(desk: Desk) -> list[str]:
    return [each.message.strip() for each in desk.run(read_log(desk.repository, Search())).commits]


def clone(forge: Forge, repo: Repo, *options: str, name: str = "clone") -> Repo:
    path = forge.folder / name
    repo.git("clone", "--quiet", *options, f"file://{repo.path}", str(path))
    return Repo(path, forge.environment)


def test_a_bare_repository_is_read(desk: Opener, forge: Forge, repo: Repo) -> None:
    opened = desk(clone(forge, repo, "--bare"))
    assert subjects(opened) == ["second", "first"]
    assert opened.run(read_revision(opened.repository, "HEAD:a.txt", None)).text == "one\ntwo\n"
    assert [each.name for each in opened.run(list_branches(opened.repository, "local", None, None)).branches] == [
        "main"
    ]
    assert opened.run(grep(opened.repository, "two", None)).matches
    assert opened.run(diff_target(opened.repository, "HEAD~1..HEAD", 3, None)).file_count == 1
    for work in (
        read_status(opened.repository),
        add(opened.repository, ["a"]),
        diff_target(opened.repository, "HEAD", 3, None),
    ):
        assert "bare" in opened.refusal(work)


def test_a_repository_with_sha256_is_served(desk: Opener, forge: Forge) -> None:
    repo = forge.make("long", "--object-format=sha256")
    repo.commit("first", a_txt="one\n")
    repo.write("a.txt", "two\n")
    opened = desk(repo)
    opened.run(add(opened.repository, ["a.txt"]))
    made = opened.run(commit(opened.repository, "second"))
    assert len(made.hash) == 64
    assert opened.run(read_file(opened.repository, "HEAD~1", "a.txt")) == "one\n"
    assert opened.run(read_revision(opened.repository, "HEAD", None)).files[0].path == "a.txt"


def test_packed_objects_and_refs_are_read(desk: Opener, repo: Repo) -> None:
    opened = desk(repo)
    assert opened.run(read_file(opened.repository, "HEAD", "a.txt")) == "one\ntwo\n"
    repo.commit("third", a_txt="three\n")
    repo.git("tag", "-a", "v1", "-m", "tagged")
    repo.git("gc", "--quiet", "--prune=now")
    assert opened.run(read_file(opened.repository, "v1", "a.txt")) == "three\n"
    assert opened.run(read_file(opened.repository, "HEAD~2", "a.txt")) == "one\n"
    assert subjects(opened) == ["third", "second", "first"]


def test_shallow_and_sparse_clones_are_served(desk: Opener, forge: Forge, repo: Repo) -> None:
    repo.write("d/e.txt")
    repo.commit("third")
    shallow = clone(forge, repo, "--depth=1")
    shallow.git("sparse-checkout", "set", "nothing")
    opened = desk(shallow)
    assert subjects(opened) == ["third"]
    assert opened.run(read_status(opened.repository)).counts == dict.fromkeys(
        ("staged", "unstaged", "untracked", "conflicted"), 0
    )


def test_what_a_partial_clone_lacks_is_not_fetched(desk: Opener, forge: Forge, repo: Repo) -> None:
    repo.git("config", "uploadpack.allowFilter", "true")
    partial = clone(forge, repo, "--filter=blob:none", "--no-checkout")
    before = sorted(path.name for path in (partial.path / ".git" / "objects" / "pack").iterdir())
    opened = desk(partial)
    assert subjects(opened) == ["second", "first"]
    assert "partial clone" in opened.refusal(read_revision(opened.repository, "HEAD", None))
    assert "missing" in opened.refusal(read_file(opened.repository, "HEAD", "a.txt"))
    assert sorted(path.name for path in (partial.path / ".git" / "objects" / "pack").iterdir()) == before


def test_an_empty_repository_has_an_answer_for_everything(desk: Opener, forge: Forge) -> None:
    opened = desk(forge.make("empty"))
    assert subjects(opened) == []
    assert opened.run(list_branches(opened.repository, "all", None, None)).branches == []
    assert opened.run(diff_staged(opened.repository, 3, None)).patch == ""
    for revision in ("HEAD", "HEAD:a", "main"):
        assert "no" in opened.refusal(read_revision(opened.repository, revision, None)).lower()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_another_user_s_repository_is_read_but_its_hooks_are_not_run(desk: Opener, repo: Repo) -> None:
    repo.write(".git/hooks/pre-commit", "#!/bin/sh\ntouch hook-ran\n").chmod(0o755)
    for path in [repo.path, *repo.path.rglob("*")]:
        os.chown(path, 12_345, 12_345, follow_symlinks=False)
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("status")
    opened = desk(repo, run_hooks=True)
    assert subjects(opened) == ["second", "first"]
    repo.write("a.txt", "x\n")
    opened.run(add(opened.repository, ["a.txt"]))
    made = opened.run(commit(opened.repository, "third"))
    assert not made.hooks_run
    assert "safe.directory" in str(made)
    assert not (repo.path / "hook-ran").exists()


def test_a_submodule_is_a_repository_of_its_own(desk: Opener, forge: Forge, repo: Repo) -> None:
    other = forge.make("other")
    other.commit("in the submodule", x_txt="1\n")
    repo.git("submodule", "--quiet", "add", str(other.path), "sub")
    opened = desk(repo)
    status = opened.run(read_status(opened.repository))
    assert [str(each) for each in status.staged] == ["new file: .gitmodules", "new file: sub"]
    inner = opened.find("sub")
    assert [each.message.strip() for each in opened.run(read_log(inner, Search())).commits] == ["in the submodule"]
    (repo.path / "sub" / "x.txt").write_text("2\n")
    opened.run(commit(opened.repository, "with a submodule"))
    (repo.path / ".gitmodules").unlink()
    repo.write("more/z.txt")
    assert opened.run(add(opened.repository, ["."])).files == [".gitmodules", "more/z.txt"]
    repo.git("reset", "--quiet", "--hard")
    repo.write("more/z.txt")
    assert opened.run(add(opened.repository, ["."])).files == ["more/z.txt"]
    assert [each.path for each in opened.run(read_status(inner)).unstaged] == ["x.txt"]


@pytest.mark.parametrize(
    "text", ["[core", '[core]\nx = "open', "= nonsense", "[core]\n\tbare = \\q", "[extensions]\n\tsurprise = 1\n"]
)
def test_a_configuration_that_is_broken_or_unknown_is_refused_in_words(desk: Opener, repo: Repo, text: str) -> None:
    config: Path = repo.path / ".git" / "config"
    config.write_text(f"[core]\n\trepositoryformatversion = 1\n{text}\n")
    opened = desk(repo)

    async def ask() -> object:
        return await read_status(opened.repository)

    assert str(config) in (said := opened.refusal(ask())) or "extension 'surprise'" in said
    config.write_text("[core]\n\trepositoryformatversion = 0\n")
    assert opened.run(read_status(opened.repository)).branch == "main"
