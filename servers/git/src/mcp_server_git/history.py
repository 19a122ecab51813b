"""The history: commits in pages, bounded by time, path and author."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from .moments import read_moment
from .names import read_name, show, trim, weigh
from .pages import Place, check, digest, read_cursor, write_cursor
from .refusals import Refusal
from .revisions import resolve

if TYPE_CHECKING:
    from .repository import Repository

# One record: a mark, then fields that end in a NUL. No field can hold one: git cuts a message at its first.
FORMAT: Final = "--format=%H%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%D%x00%B%x00"
FIELDS: Final = 10
PLAIN: Final = (
    "--no-color",
    "--no-show-signature",
    "--no-notes",
    "--decorate=short",
    "--date=iso8601-strict",
    "--encoding=UTF-8",
)
MOST: Final = 10_000  # commits of one page
FILTERS_BY_DATE: Final = (2, 37)  # before it, git stops at the first commit that is too old


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. Dates are ISO 8601 with the zone of whoever wrote it."""

    hash: str
    parents: list[str]
    author: str
    author_email: str
    author_date: str
    committer: str
    committer_email: str
    committer_date: str
    refs: list[str]
    message: str

    def __str__(self) -> str:
        return "\n".join(_word(self))


def _word(commit: Commit) -> Iterator[str]:
    yield f"Commit: {commit.hash} ({', '.join(commit.refs)})" if commit.refs else f"Commit: {commit.hash}"
    if len(commit.parents) > 1:
        yield f"Merge: {' '.join(each[:12] for each in commit.parents)}"
    yield f"Author: {commit.author} <{commit.author_email}>"
    yield f"Date: {commit.author_date}"
    if (commit.author, commit.author_email) != (commit.committer, commit.committer_email):
        yield f"Committer: {commit.committer} <{commit.committer_email}> {commit.committer_date}"
    yield f"Message: {commit.message.rstrip()}\n"


@dataclass(frozen=True, slots=True)
class Log:
    """A page of the history, the newest commit first."""

    commits: list[Commit] = field(default_factory=list[Commit])
    next_cursor: str | None = None
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        lines = ["Commit history:", *map(str, self.commits), *self.notes]
        if not self.commits:
            lines.append("No commits match.")
        if self.next_cursor:
            lines.append(f"[There are more commits: go on with cursor={self.next_cursor}]")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Search:
    """Which commits are asked for: those of `revision` without those of `since`."""

    max_count: int = 10
    start: str | None = None
    end: str | None = None
    path: str | None = None
    author: str | None = None
    cursor: str | None = None
    revision: str = "HEAD"
    since: str | None = None


async def read_log(repository: Repository, search: Search) -> Log:
    """Give one page of the history of HEAD, or of another revision."""
    if not 1 <= search.max_count <= MOST:
        raise Refusal(f"max_count is {search.max_count}, and must be between 1 and {MOST:,}.")
    place = read_cursor(search.cursor)
    head = repository.references.head()
    if search.revision == "HEAD" and head is not None and head.is_unborn(repository.references):
        return Log(notes=[f"There is no commit yet on the branch {head.branch}."])
    start, *older = await resolve(repository, search.revision, *([search.since] if search.since else []))
    arguments, limits = _write_filters(repository, search)
    arguments += [f"^{each}" for each in older]
    fingerprint = digest(start, *older, search.start, search.end, search.path, search.author)
    check(place, fingerprint)
    command = ["log", FORMAT, *PLAIN, f"--max-count={search.max_count + 1}", f"--skip={place.offset}"]
    output = await repository.demand(
        [*command, *arguments, start, "--", *limits], limit=repository.policy.room * 2 + 1_000_000
    )
    commits = parse(output.data)
    fitting = _fit(commits[: search.max_count], repository.policy.room)
    more = len(fitting) < len(commits) or output.cut
    cursor = write_cursor(Place(place.offset + len(fitting), fingerprint)) if more and fitting else None
    return Log(fitting, cursor, repository.warn(output.errors))


def _write_filters(repository: Repository, search: Search) -> tuple[list[str], list[bytes]]:
    now = datetime.now().astimezone()
    version = repository.ready()[0].program.version
    arguments: list[str] = []
    if search.start is not None:
        bound = read_moment(search.start, now)
        arguments.append(f"--since{'-as-filter' if version >= FILTERS_BY_DATE else ''}=@{bound} +0000")
    if search.end is not None:
        arguments.append(f"--until=@{read_moment(search.end, now, is_end=True)} +0000")
    if search.author is not None:
        if not search.author or any(each in search.author for each in "\0\n\r") or len(search.author) > 1_000:
            raise Refusal(f"author {show(search.author)} is no part of a name or of an address.")
        arguments += ["--fixed-strings", "--regexp-ignore-case", f"--author={search.author}"]
    if search.path is None:
        return arguments, []
    return arguments, [relative(repository, search.path)]


def relative(repository: Repository, path: str) -> bytes:
    """Give a path as git takes it, relative to the repository's top; raises `Refusal` for one that leads out."""
    name = read_name(path)
    top = os.fsencode(repository.layout.top)
    found = os.path.normpath(name if name.startswith(b"/") else top + b"/" + name)
    if found != top and not found.startswith(top.rstrip(b"/") + b"/"):
        raise Refusal(
            f"{show(path, 300)} leads out of the repository {repository.layout.top}. Give a path inside of it."
        )
    return os.path.relpath(found, top)


def parse(data: bytes) -> list[Commit]:
    """Read records of `FORMAT`; one that was cut in the middle is left out."""
    fields = data.split(b"\0")
    commits: list[Commit] = []
    for at in range(0, len(fields) - FIELDS, FIELDS):
        identity, parents, *who, refs, message = (each.decode("utf-8", "replace") for each in fields[at : at + FIELDS])
        author, author_email, author_date, committer, committer_email, committer_date = who
        commits.append(
            Commit(
                identity.lstrip("\n"),
                parents.split(),
                author,
                author_email,
                author_date,
                committer,
                committer_email,
                committer_date,
                [each.strip() for each in refs.split(",") if each.strip()],
                message,
            )
        )
    return commits


def _fit(commits: list[Commit], room: int) -> list[Commit]:
    """Cut a list of commits to what fits; the message of the first is cut where it alone does not."""
    kept: list[Commit] = []
    left = room
    for each in commits:
        left -= _weigh(each)
        if left < 0:
            return kept or [shorten(each, room)]
        kept.append(each)
    return kept


def _weigh(commit: Commit) -> int:
    texts = (commit.author, commit.author_email, commit.committer, commit.committer_email, commit.message)
    return sum(map(weigh, texts)) + sum(len(each) + 70 for each in commit.parents) + sum(map(weigh, commit.refs)) + 350


def shorten(commit: Commit, room: int) -> Commit:
    """Cut a commit's message so that it fits."""
    left = room - (_weigh(commit) - weigh(commit.message)) - 100
    if weigh(commit.message) <= left:
        return commit
    total = len(commit.message)
    return replace(
        commit, message=f"{trim(commit.message, max(left, 50))}\n[The message is cut; it has {total} characters.]"
    )
