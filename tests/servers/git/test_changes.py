"""Staging, committing, branches and checkouts: what is done is right, and nothing is lost."""

from __future__ import annotations

import subprocess

import pytest
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Forge, Repo

from mcp_server_git.branches import checkout, create_branch, list_branches
from mcp_server_git.changes import add, commit, reset
from mcp_server_git.history import Search, read_log

HOOK = "#!/bin/sh\ntouch hook-ran\n"


def plant_hook(repo: Repo, name: str = "pre-commit", text: str = HOOK) -> None:
    repo.write(f".git/hooks/{name}", text).chmod(0o755)


def test_what_is_staged_is_committed_in_the_user_s_name(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "three\n")
    repo.write("c.txt")
    opened = desk(repo)
    assert opened.run(add(opened.repository, ["a.txt"])).files == ["a.txt"]
    made = opened.run(commit(opened.repository, "Say three\n\n# not a comment\n"))
    assert made.hash == repo.say("rev-parse", "HEAD")
    assert (made.branch, made.hooks_run, made.signed) == ("main", False, False)
    assert (
        repo.say("log", "-1", "--format=%an <%ae>|%cn|%B") == "Ada <ada@example.org>|Ada|Say three\n\n# not a comment"
    )
    assert repo.say("status", "--porcelain") == "?? c.txt"
    assert "Hooks and signing were skipped." in str(made)


def test_a_commit_of_nothing_or_by_nobody_is_refused(desk: Opener, forge: Forge, repo: Repo) -> None:
    opened = desk(repo)
    assert "Nothing is staged" in opened.refusal(commit(opened.repository, "empty"))
    assert "message is empty" in opened.refusal(commit(opened.repository, " \n"))
    forge.config.write_text("")
    repo.write("a.txt", "changed\n")
    opened.run(add(opened.repository, ["."]))
    assert "user.email" in opened.refusal(commit(opened.repository, "whose?"))
    forge.config.write_text("[user]\n\tname = Eve\n\temail = eve@example.org\n")
    assert opened.run(commit(opened.repository, "now")).summary.startswith("1 file changed")
    assert repo.say("log", "-1", "--format=%an") == "Eve"


def test_the_first_commit_of_an_empty_repository_can_be_made(desk: Opener, forge: Forge) -> None:
    empty = forge.make("empty")
    empty.write("a.txt")
    opened = desk(empty)
    assert "no commit yet" in str(opened.run(read_log(opened.repository, Search())))
    opened.run(add(opened.repository, ["a.txt"]))
    opened.run(reset(opened.repository))
    assert empty.say("status", "--porcelain") == "?? a.txt"
    opened.run(add(opened.repository, ["a.txt"]))
    opened.run(commit(opened.repository, "first"))
    assert empty.say("rev-list", "--count", "HEAD") == "1"


def test_hooks_run_only_where_the_operator_said_so(desk: Opener, repo: Repo) -> None:
    plant_hook(repo)
    repo.write("a.txt", "1\n")
    opened = desk(repo)
    opened.run(add(opened.repository, ["a.txt"]))
    assert "has the hooks pre-commit" in str(opened.run(commit(opened.repository, "quiet")))
    assert not (repo.path / "hook-ran").exists()
    repo.write("a.txt", "2\n")
    willing = desk(repo, run_hooks=True)
    willing.run(add(willing.repository, ["a.txt"]))
    made = willing.run(commit(willing.repository, "loud"))
    assert made.hooks_run
    assert "Hooks were run: pre-commit" in str(made)
    assert (repo.path / "hook-ran").exists()


def test_a_hook_that_says_no_stops_the_commit(desk: Opener, repo: Repo) -> None:
    plant_hook(repo, "commit-msg", "#!/bin/sh\necho no ticket >&2\nexit 1\n")
    repo.write("a.txt", "1\n")
    opened = desk(repo, run_hooks=True)
    opened.run(add(opened.repository, ["a.txt"]))
    before = repo.say("rev-parse", "HEAD")
    assert "no ticket" in opened.refusal(commit(opened.repository, "x"))
    assert repo.say("rev-parse", "HEAD") == before


def test_unstaging_keeps_the_work_tree_and_a_merge_in_progress(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "kept\n")
    repo.git("add", ".")
    opened = desk(repo)
    opened.run(reset(opened.repository))
    assert repo.say("status", "--porcelain") == "M a.txt"
    repo.commit("ours")
    repo.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    repo.commit("theirs", a_txt="other\n")
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("merge", "main")
    assert "merge is in progress" in opened.refusal(reset(opened.repository))
    assert "unresolved conflicts" in opened.refusal(commit(opened.repository, "x"))
    repo.write("a.txt", "both\n")
    opened.run(add(opened.repository, ["a.txt"]))
    opened.run(commit(opened.repository, "merged"))
    assert len(repo.say("log", "-1", "--format=%P").split()) == 2


def test_a_checkout_refuses_to_lose_uncommitted_work(desk: Opener, repo: Repo) -> None:
    repo.git("branch", "old", "HEAD~1")
    repo.git("checkout", "--quiet", "-b", "with-log")
    repo.commit("log", x_log="theirs\n")
    repo.git("checkout", "--quiet", "main")
    repo.write(".git/info/exclude", "*.log\n")
    repo.write("x.log", "mine, ignored\n")
    repo.write("a.txt", "uncommitted\n")
    opened = desk(repo)
    assert "Nothing was changed" in opened.refusal(checkout(opened.repository, "old"))
    assert "Nothing was changed" in opened.refusal(checkout(opened.repository, "with-log"))
    assert (repo.path / "a.txt").read_text() == "uncommitted\n"
    assert (repo.path / "x.log").read_text() == "mine, ignored\n"
    assert "no revision 'a.txt'" in opened.refusal(checkout(opened.repository, "a.txt"))
    repo.git("checkout", "--quiet", "--", "a.txt")
    assert str(opened.run(checkout(opened.repository, "old"))).startswith("Switched to branch 'old'")
    assert "detached" in str(opened.run(checkout(opened.repository, "main~1")))


def test_a_branch_of_a_remote_becomes_a_local_one(desk: Opener, forge: Forge, repo: Repo) -> None:
    repo.git("branch", "feature/x")
    clone = Repo(forge.folder / "clone", forge.environment)
    repo.git("clone", "--quiet", str(repo.path), str(clone.path))
    opened = desk(clone)
    moved = opened.run(checkout(opened.repository, "feature/x"))
    assert moved.branch == "feature/x"
    assert clone.say("symbolic-ref", "HEAD") == "refs/heads/feature/x"
    listed = opened.run(list_branches(opened.repository, "all", None, None))
    assert [(each.name, each.is_remote, each.is_current) for each in listed.branches] == [
        ("feature/x", False, True),
        ("main", False, False),
        ("origin/feature/x", True, False),
        ("origin/main", True, False),
    ]
    assert [each.upstream for each in listed.branches][1] == "origin/main"


def test_branches_are_made_and_found_by_what_they_contain(desk: Opener, repo: Repo) -> None:
    opened = desk(repo)
    opened.run(create_branch(opened.repository, "old", "HEAD~1"))
    assert str(opened.run(create_branch(opened.repository, "new/one", None))) == "Created branch 'new/one' from 'main'"
    assert repo.say("rev-parse", "old") == repo.say("rev-parse", "HEAD~1")
    found = opened.run(list_branches(opened.repository, "local", "main", None))
    assert [each.name for each in found.branches] == ["main", "new/one"]
    found = opened.run(list_branches(opened.repository, "local", None, "main"))
    assert [each.name for each in found.branches] == ["old"]
    assert "exists already" in opened.refusal(create_branch(opened.repository, "old", None))


@pytest.mark.parametrize(
    "name", ["-f", "--force", "a..b", "a b", "x.lock", ".x", "a//b", "@{-1}", "HEAD", "a\nb", "a:b", ""]
)
def test_what_is_no_name_of_a_branch_is_refused(desk: Opener, repo: Repo, name: str) -> None:
    opened = desk(repo)
    assert "cannot be the name" in opened.refusal(create_branch(opened.repository, name, None))
    assert repo.say("branch", "--format=%(refname:short)") == "main"


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "a/../../outside.txt", ".git/config", "link/x", ""])
def test_nothing_from_outside_is_staged(desk: Opener, forge: Forge, repo: Repo, name: str) -> None:
    (forge.folder / "outside.txt").write_text("secret")
    (repo.path / "link").symlink_to(forge.folder)
    opened = desk(repo)
    assert opened.refusal(add(opened.repository, [name]))
    assert repo.say("diff", "--cached", "--name-only") == ""


def test_a_file_under_a_filter_is_not_staged_raw(desk: Opener, repo: Repo) -> None:
    repo.commit("lfs", **{".gitattributes": "*.bin filter=lfs\n"})
    repo.git("config", "filter.lfs.clean", "git-lfs clean %f")
    repo.write("big.bin", "large")
    repo.write("small.txt", "fine")
    opened = desk(repo)
    assert "big.bin must go through a filter" in opened.refusal(add(opened.repository, ["."]))
    assert opened.run(add(opened.repository, ["small.txt"])).files == ["small.txt"]
