"""Differences: the same as git's, whole or page by page."""

from __future__ import annotations

import base64
import subprocess

import pytest
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Desk, Forge, Repo

from mcp_server_git.diffs import Diff, diff_staged, diff_target, diff_unstaged
from mcp_server_git.names import weigh
from mcp_server_git.showing import read_revision

PLAIN = ("--no-color", "--no-ext-diff", "--find-renames")


def pages(desk: Desk, target: str | None = None) -> list[Diff]:
    found: list[Diff] = []
    cursor = None
    while not found or cursor:
        repository = desk.repository
        work = diff_target(repository, target, 3, cursor) if target else diff_unstaged(repository, 3, cursor)
        found.append(desk.run(work))
        cursor = found[-1].next_cursor
    return found


def test_a_difference_is_git_s_own(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "one\nthree\n")
    repo.git("mv", "b.txt", "sub dir.txt")
    opened = desk(repo)
    staged = opened.run(diff_staged(opened.repository, 3, None))
    assert staged.patch == repo.git("diff", "--cached", *PLAIN).decode()
    assert [(each.path, each.status, each.old_path) for each in staged.files] == [("sub dir.txt", "renamed", "b.txt")]
    assert opened.run(diff_unstaged(opened.repository, 0, None)).patch == repo.git("diff", "-U0", *PLAIN).decode()
    assert (
        opened.run(diff_target(opened.repository, "HEAD~1", 3, None)).patch
        == repo.git("diff", "HEAD~1", *PLAIN).decode()
    )
    ranged = opened.run(diff_target(opened.repository, "HEAD~1..HEAD", 3, None))
    assert ranged.patch == repo.git("diff", "HEAD~1", "HEAD", *PLAIN).decode()


def test_a_long_difference_comes_in_pages_that_make_the_whole(desk: Opener, repo: Repo) -> None:
    for number in range(40):
        repo.write(f"f{number:02}.txt", "".join(f'line {line} "quoted"\n' for line in range(30)))
    repo.commit("many")
    opened = desk(repo, max_bytes=8_000)
    found = pages(opened, "HEAD~1..HEAD")
    assert len(found) > 3
    assert "".join(each.patch for each in found).encode() == repo.git("diff", "HEAD~1", "HEAD", *PLAIN)
    assert all(weigh(each.patch) < 8_000 for each in found)
    assert all(each.patch.startswith("diff --git ") for each in found)
    assert {each.file_count for each in found} == {40}


def test_a_file_larger_than_a_page_is_cut_at_a_line(desk: Opener, repo: Repo) -> None:
    repo.commit("big", big_txt="".join(f"line {line}\n" for line in range(3_000)))
    opened = desk(repo, max_bytes=8_000)
    found = pages(opened, "HEAD~1..HEAD")
    text = "".join(each.patch.replace("[This file's part goes on in the next page.]\n", "") for each in found)
    assert text.encode() == repo.git("diff", "HEAD~1", "HEAD", *PLAIN)


def test_a_line_larger_than_a_page_is_cut_and_the_rest_still_comes(desk: Opener, repo: Repo) -> None:
    repo.commit("long", a_txt="x" * 100_000 + "\nend\n", z_txt="last\n")
    found = pages(desk(repo, max_bytes=8_000), "HEAD~1..HEAD")
    assert "the rest of it is left out" in "".join(each.patch for each in found)
    assert "+last" in found[-1].patch


def test_a_cursor_into_changes_that_moved_on_is_refused(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "".join(f"line {line}\n" for line in range(3_000)))
    opened = desk(repo, max_bytes=8_000)
    cursor = opened.run(diff_unstaged(opened.repository, 3, None)).next_cursor
    repo.write("b.txt", "changed too\n")
    assert "changed since" in opened.refusal(diff_unstaged(opened.repository, 3, cursor))
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    for strange in ("bm9uc2Vuc2U", deep):
        assert "not written by this server" in opened.refusal(diff_unstaged(opened.repository, 3, strange))


def test_a_patch_that_is_no_utf8_is_shown(desk: Opener, repo: Repo) -> None:
    repo.commit("latin", a_txt="caf\u00e9\n".encode("latin-1"))
    opened = desk(repo)
    assert "+caf\ufffd" in opened.run(read_revision(opened.repository, "HEAD", None)).text


def test_a_merge_is_shown_as_what_it_brought(desk: Opener, repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    repo.commit("side", c_txt="sea\n")
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-edit", "side")
    opened = desk(repo)
    shown = opened.run(read_revision(opened.repository, "HEAD", None))
    assert shown.commit is not None
    assert len(shown.commit.parents) == 2
    assert [each.path for each in shown.files] == ["c.txt"]


@pytest.mark.parametrize("target", ["--output=x", "-h", "nothing", "HEAD:a.txt", "", "a\nb", "HEAD..nothing", "..."])
def test_what_is_no_revision_is_refused(desk: Opener, repo: Repo, target: str) -> None:
    opened = desk(repo)
    if target == "...":
        assert opened.run(diff_target(opened.repository, target, 3, None)).patch == ""
    else:
        assert opened.refusal(diff_target(opened.repository, target, 3, None))
    assert sorted(each.name for each in repo.path.iterdir()) == [".git", "a.txt", "b.txt"]


def test_files_and_directories_of_a_revision_are_shown(desk: Opener, forge: Forge, repo: Repo) -> None:
    repo.write("d/e.txt", "inside\n")
    repo.commit("nested", bin_dat=b"\0\1")
    opened = desk(repo)
    assert opened.run(read_revision(opened.repository, "HEAD~1:a.txt", None)).text == "one\ntwo\n"
    assert opened.run(read_revision(opened.repository, "HEAD:", None)).entries == ["a.txt", "b.txt", "bin.dat", "d/"]
    assert opened.run(read_revision(opened.repository, "HEAD:d/e.txt", None)).text == "inside\n"
    assert "binary" in str(opened.run(read_revision(opened.repository, "HEAD:bin.dat", None)))
    assert "There is no 'd/f'" in opened.refusal(read_revision(opened.repository, "HEAD:d/f", None))


def test_a_conflicted_file_is_shown_with_both_sides_like_git_s_own_and_in_pages(desk: Opener, repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "other")
    repo.write("a.txt", "".join(f"theirs {line}\n" for line in range(600)))
    repo.git("commit", "-qam", "theirs")
    repo.git("checkout", "-q", "-")
    repo.write("a.txt", "".join(f"ours {line}\n" for line in range(600)))
    repo.git("commit", "-qam", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("merge", "other")
    repo.write("b.txt", "edited meanwhile\n")
    expected = repo.git("diff", *PLAIN).decode()
    assert expected.startswith("diff --cc a.txt\n")
    assert "diff --git a/b.txt" in expected
    opened = desk(repo)
    found = opened.run(diff_unstaged(opened.repository, 3, None))
    assert found.patch == expected
    assert [each.path for each in found.files] == ["a.txt", "b.txt"]
    small = pages(desk(repo, max_bytes=8_000))
    assert len(small) > 1
    text = "".join(each.patch.replace("[This file's part goes on in the next page.]\n", "") for each in small)
    assert text == expected


@pytest.mark.parametrize("stages", [(1, 2), (1, 3), (2,), (3,), (2, 3), (1, 2, 3)])
def test_a_conflict_of_any_shape_is_listed_once(desk: Opener, repo: Repo, stages: tuple[int, ...]) -> None:
    blob = repo.say("rev-parse", "HEAD:a.txt")
    entries = "".join(f"100644 {blob} {stage}\tclash.txt\n" for stage in stages)
    repo.git("update-index", "--index-info", stdin=entries.encode())
    repo.write("clash.txt", "what is there now\n")
    repo.write("a.txt", "edited beside it\n")
    opened = desk(repo)
    found = opened.run(diff_unstaged(opened.repository, 3, None))
    assert sorted(each.path for each in found.files) == ["a.txt", "clash.txt"]
    assert found.file_count == 2
    assert found.patch == repo.git("diff", *PLAIN).decode()
