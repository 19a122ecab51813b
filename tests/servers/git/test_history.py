"""The history: bounds of time, paths, authors, pages; blame and grep."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Forge, Repo

from mcp_server_git.annotation import blame
from mcp_server_git.history import Log, Search, read_log
from mcp_server_git.moments import read_moment
from mcp_server_git.refusals import Refusal
from mcp_server_git.searching import LONGEST, Shortener, grep, read_lines

NOON = datetime(2024, 3, 31, 12, 0, tzinfo=UTC)


def dated(repo: Repo, moment: str, name: str = "Ada", **files: str) -> None:
    for file, text in files.items():
        repo.write(file.replace("_", "."), text)
    repo.git("add", "--all")
    author = f"{name} <{name.lower()}@example.org>"
    repo.git("commit", "-qm", moment, "--author", author, GIT_AUTHOR_DATE=moment, GIT_COMMITTER_DATE=moment)


@pytest.fixture
def dates(forge: Forge) -> Repo:
    """Commits whose dates do not rise: a rebase, or a clock that was wrong."""
    repo = forge.make("dates")
    dated(repo, "2024-01-10T10:00:00+00:00", a_txt="1")
    dated(repo, "2024-01-15T23:30:00+00:00", "Bob", a_txt="2")
    dated(repo, "2023-12-01T10:00:00+00:00", b_txt="3")
    dated(repo, "2024-02-01T10:00:00+00:00", a_txt="4")
    return repo


def subjects(log: Log) -> list[str]:
    return [each.message.strip()[:10] for each in log.commits]


def test_bounds_of_time_hold_for_every_commit(desk: Opener, dates: Repo) -> None:
    opened = desk(dates)

    def ask(start: str | None, end: str | None) -> list[str]:
        return subjects(opened.run(read_log(opened.repository, Search(start=start, end=end))))

    assert ask("2024-01-01", None) == ["2024-02-01", "2024-01-15", "2024-01-10"]
    assert ask("2024-01-15", "2024-01-15") == ["2024-01-15"]
    assert ask(None, "2024-01-15T23:29:59Z") == ["2023-12-01", "2024-01-10"]
    assert ask("Jan 11 2024", "2024-01-31T00:00:00+00:00") == ["2024-01-15"]
    assert ask("2 weeks ago", None) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-30T12:00:00Z", "2024-03-30T12:00:00+00:00"),
        ("2024-03-30 12:00:00 +0200", "2024-03-30T10:00:00+00:00"),
        ("now", "2024-03-31T12:00:00+00:00"),
        ("yesterday", "2024-03-30T12:00:00+00:00"),
        ("3 days ago", "2024-03-28T12:00:00+00:00"),
        ("a month ago", "2024-02-29T12:00:00+00:00"),
        ("2 years", "2022-03-31T12:00:00+00:00"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str, expected: str) -> None:
    assert read_moment(text, NOON) == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize("text", ["", "soon", "--all", "2024-13-01", "2024-01-01T99:00", "9999999 years ago", "-1 day"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="is no time"):
        read_moment(text, NOON)


def test_commits_are_found_by_path_and_author(desk: Opener, dates: Repo) -> None:
    opened = desk(dates)
    found = opened.run(read_log(opened.repository, Search(path="b.txt")))
    assert subjects(found) == ["2023-12-01"]
    found = opened.run(read_log(opened.repository, Search(author="BOB@")))
    assert [(each.author, each.committer) for each in found.commits] == [("Bob", "Ada")]
    assert "Committer: Ada" in str(found)
    assert subjects(opened.run(read_log(opened.repository, Search(author=".*")))) == []
    assert "leads out" in opened.refusal(read_log(opened.repository, Search(path="../x")))


def test_pages_of_the_history_make_the_whole(desk: Opener, repo: Repo) -> None:
    for number in range(30):
        repo.commit(f"commit {number}\n\n{'words ' * 40}")
    opened = desk(repo, max_bytes=5_000)
    hashes: list[str] = []
    cursor = None
    for _ in range(40):
        page = opened.run(read_log(opened.repository, Search(max_count=7, cursor=cursor)))
        hashes += [each.hash for each in page.commits]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert hashes == repo.say("log", "--format=%H").split()


def test_a_history_whose_messages_are_no_utf8_is_read(desk: Opener, repo: Repo) -> None:
    repo.git("-c", "i18n.commitEncoding=latin1", "commit", "-q", "--allow-empty", "-F", "-", stdin=b"caf\xe9")
    opened = desk(repo)
    assert opened.run(read_log(opened.repository, Search())).commits[0].message == "caf\u00e9\n"


def test_lines_are_blamed_with_those_not_committed_yet(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "one\ntwo\nthree\r\n")
    opened = desk(repo)
    found = opened.run(blame(opened.repository, "a.txt", None, None))
    first, second = repo.say("log", "--format=%H").split()[::-1]
    assert [(each.text, each.hash) for each in found.lines] == [("one", first), ("two", second), ("three", "0" * 40)]
    assert [each.number for each in opened.run(blame(opened.repository, "a.txt", 2, 2)).lines] == [2]
    assert "has only 3 lines" in opened.refusal(blame(opened.repository, "a.txt", 9, None))
    assert "no file" in opened.refusal(blame(opened.repository, "none.txt", None, None))


def test_a_line_without_an_end_costs_no_more_than_its_bytes(desk: Opener, repo: Repo) -> None:
    wide = "needle" * 500_000
    repo.commit("wide", **{"a.txt": "needle\n", "wide.txt": f"{wide}\nneedle {wide}", "z.txt": "a needle\n"})
    opened = desk(repo)
    found = opened.run(asyncio.wait_for(grep(opened.repository, "needle", None), 10))
    assert [(each.path, each.line, each.text) for each in found.matches] == [
        ("a.txt", 1, "needle"),
        ("wide.txt", 1, wide[:LONGEST]),
        ("wide.txt", 2, f"needle {wide}"[:LONGEST]),
        ("z.txt", 1, "a needle"),
    ]
    assert not found.truncated
    assert "the beginning is shown" in str(found)
    assert [*read_lines(b"a\nb\x007\x00one\nc\x008:two\nd\x009\x00thr")] == [(b"a\nb", 7, b"one"), (b"c", 8, b"two")]


@given(st.lists(st.tuples(st.text("a\n", min_size=1), st.integers(0, 3)), max_size=4), st.integers(1, 9_000))
@settings(max_examples=60, deadline=None)
def test_long_lines_are_shortened_however_they_come(found: list[tuple[str, int]], size: int) -> None:
    lines = [(name.encode(), b"x" * (length * 4_100)) for name, length in found]
    data = b"".join(b"%b\x0012:%b\n" % line for line in lines)
    shortener = Shortener()
    kept = b"".join(shortener.feed(data[at : at + size]) for at in range(0, len(data), size))
    wanted = [(name, 12, line) for name, line in lines]
    assert [(name, number, line[:LONGEST]) for name, number, line in read_lines(kept)] == [
        (name, number, line[:LONGEST]) for name, number, line in wanted
    ]
    assert len(kept) <= sum(len(name) + 4 * LONGEST + 32 for name, _ in lines)


@pytest.mark.parametrize("shift", range(0, 64, 4))
def test_a_blame_that_is_longer_than_what_is_read_of_git_ends_with_a_whole_line(
    desk: Opener, repo: Repo, shift: int
) -> None:
    text = f"{'x' * shift}\n" + "y\n" * 45_000  # shifted, what is read ends in every part of a line of git's
    repo.commit("long", **{"a.txt": text})
    opened = desk(repo)
    page = opened.run(blame(opened.repository, "a.txt", None, None))
    assert page.next_line == len(page.lines) + 1
    assert {each.text for each in page.lines[1:]} == {"y"}


def test_a_line_that_is_longer_than_what_is_read_is_blamed_in_part(desk: Opener, repo: Repo) -> None:
    repo.commit("wide", **{"a.txt": "y" * 3_000_000 + "\nnext\n"})
    opened = desk(repo)
    page = opened.run(blame(opened.repository, "a.txt", None, None))
    (line,) = page.lines
    assert line.text.startswith("yyyy")
    assert line.text.endswith("…")
    assert len(line.text) < 300
    assert page.next_line == 2


def test_a_long_blame_goes_on_by_line(desk: Opener, repo: Repo) -> None:
    repo.commit("long", a_txt="".join(f"line {number}\n" for number in range(200)))
    opened = desk(repo, max_bytes=8_000)
    lines: list[str] = []
    start: int | None = 1
    while start is not None:
        page = opened.run(blame(opened.repository, "a.txt", start, None))
        lines += [each.text for each in page.lines]
        start = page.next_line
    assert lines == [f"line {number}" for number in range(200)]


def test_lines_are_searched_in_the_work_tree_and_in_commits(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "one\nthree: 3\n")
    opened = desk(repo)
    found = opened.run(grep(opened.repository, "t(wo|hree)", None))
    assert [(each.path, each.line, each.text) for each in found.matches] == [("a.txt", 2, "three: 3")]
    found = opened.run(grep(opened.repository, "t(wo|hree)", "HEAD"))
    assert [(each.path, each.line, each.text) for each in found.matches] == [("a.txt", 2, "two")]
    assert opened.run(grep(opened.repository, "--help", None)).matches == []
    assert "Git refused" in opened.refusal(grep(opened.repository, "(", None))
