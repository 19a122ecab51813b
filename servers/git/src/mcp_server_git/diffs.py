"""Differences, cut between files, with the files that they touch as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .names import show, spell, trim, weigh
from .pages import Place, check, digest, read_cursor, write_cursor
from .policy import MEMORY_CEILING
from .refusals import Refusal
from .revisions import resolve, split_range

if TYPE_CHECKING:
    from .repository import Repository

FLAGS: Final = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--find-renames",
    "--raw",
    "-p",
    "-z",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
)
STATUSES: Final = {
    "A": "added",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "C": "copied",
    "T": "type changed",
    "U": "unmerged",
}
MOST_FILES: Final = 2_000
GITLINK: Final = b"160000"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs."""

    path: str
    status: str
    old_path: str | None = None
    is_submodule: bool = False


@dataclass(frozen=True, slots=True)
class Diff:
    """A difference, or a part of it; `files` lists all files that differ, `patch` is of this page.

    `next_cursor` leads to the next page of the same call.
    """

    title: str
    patch: str
    files: list[FileChange] = field(default_factory=list[FileChange])
    file_count: int = 0
    next_cursor: str | None = None
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        lines = [self.title, self.patch.rstrip("\n") or "No differences.", *self.notes]
        if self.next_cursor:
            lines.append(f"[Cut. {self.file_count} files differ in all. Go on with cursor={self.next_cursor}]")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Request:
    """What to compare: the subcommand with its own options, and what is said of it."""

    title: str
    command: Sequence[str]
    operands: Sequence[str] = ()
    context_lines: int = 3
    cursor: str | None = None


async def diff_unstaged(repository: Repository, context_lines: int, cursor: str | None) -> Diff:
    """Compare the work tree with the index."""
    repository.work_tree()
    return await read_diff(
        repository, Request("Unstaged changes:", ["diff", "--ignore-submodules=all"], (), context_lines, cursor)
    )


async def diff_staged(repository: Repository, context_lines: int, cursor: str | None) -> Diff:
    """Compare the index with HEAD."""
    repository.work_tree()
    return await read_diff(
        repository,
        Request("Staged changes:", ["diff", "--cached", "--ignore-submodules=dirty"], (), context_lines, cursor),
    )


async def diff_target(repository: Repository, target: str, context_lines: int, cursor: str | None) -> Diff:
    """Compare the work tree with a commit, or two commits with each other (`A..B`, `A...B`)."""
    title = f"Diff with {target}:"
    parts = split_range(target)
    if parts is not None:
        left, dots, right = parts
        first, last = await resolve(repository, left, right)
        command, operands = ["diff", "--ignore-submodules=dirty"], [f"{first}{dots}{last}"]
    elif repository.layout.work_tree is None:
        raise Refusal(f"{repository.name} is bare, so there is no work tree to compare {show(target)} with: give A..B.")
    else:
        command, operands = ["diff", "--ignore-submodules=all"], await resolve(repository, target)
    return await read_diff(repository, Request(title, command, operands, context_lines, cursor))


async def read_diff(repository: Repository, request: Request) -> Diff:
    """Run git and give one page of the difference."""
    if not 0 <= request.context_lines <= 100_000:
        raise Refusal(f"context_lines is {request.context_lines}, and must be between 0 and 100,000.")
    place, room = read_cursor(request.cursor), repository.policy.room
    arguments = [*request.command, *FLAGS, f"--unified={request.context_lines}", *request.operands, "--"]
    # A page is found by its offset, so what git says before it is read too, up to a little more than one page.
    output = await repository.demand(arguments, limit=min(place.offset + room * 3, MEMORY_CEILING))
    files, start = parse_raw(output.data)
    if start < 0:  # so many files that their list alone is longer than that
        output = await repository.demand(arguments)
        files, start = parse_raw(output.data)
    notes = repository.warn(output.errors)
    if start < 0:
        raise Refusal(f"More files differ than one answer can list ({len(files)} read). Compare nearer commits.")
    fingerprint = digest(output.data[:start], *request.operands, str(request.context_lines))
    check(place, fingerprint)
    if output.data.startswith(b"::"):
        # Conflicted files come first; git writes them either raw or as a patch, never both: ask for the patch alone.
        plain = [each for each in arguments if each != "--raw"]
        output, start = await repository.demand(plain, limit=min(place.offset + room * 3, MEMORY_CEILING)), 0
    body = output.data[start + place.offset :]
    listed, left = list_files(files, room // 2)
    if len(listed) < len(files):
        notes = [*notes, f"files lists {len(listed)} of {len(files)}."]
    patch, used = cut_patch(body, room - left - sum(map(weigh, notes)), whole=not output.cut)
    more = used < len(body) or output.cut
    cursor = write_cursor(Place(place.offset + used, fingerprint)) if more else None
    return Diff(request.title, patch, listed, len(files), cursor, notes)


def parse_raw(data: bytes) -> tuple[list[FileChange], int]:
    """Read the `--raw -z` part before a patch; gives the files and where the patch begins, -1 if it was cut before."""
    files: list[FileChange] = []
    at = 0
    while data[at : at + 1] == b":":
        end = data.find(b"\0", at)
        head = data[at + data[at:end].count(b":", 0, 8) : end].split(b" ")
        letter = head[-1][:1].decode("ascii", "replace")
        count = 2 if letter in "RC" else 1
        names: list[bytes] = []
        at = end + 1
        for _ in range(count):
            stop = data.find(b"\0", at)
            if end < 0 or stop < 0:
                return files, -1
            names.append(data[at:stop])
            at = stop + 1
        old = spell(names[0]) if count == 2 else None
        if files and files[-1].path == spell(names[-1]):  # in conflict, and beside it how it differs from one side
            continue
        files.append(FileChange(spell(names[-1]), STATUSES.get(letter, letter), old, GITLINK in head[:2]))
    if files and data[at : at + 1] == b"\0":
        at += 1
    return files, at


def list_files(files: list[FileChange], room: int) -> tuple[list[FileChange], int]:
    """Choose the files that fit into a list; gives them and what they weigh."""
    weight = 0
    for number, each in enumerate(files):
        added = weigh(each.path) + weigh(each.old_path or "null") + 75
        if number == MOST_FILES or weight + added > room:
            return files[:number], weight
        weight += added
    return files, weight


def cut_patch(body: bytes, room: int, *, whole: bool) -> tuple[str, int]:
    """Cut a patch to what fits: after a whole file, or inside the first one, after a whole line.

    Gives the text and how many bytes of the patch it stands for. `whole` says that `body` is the rest of it.
    """
    text = body.decode("utf-8", "replace")
    if whole and weigh(text) <= room:
        return text, len(body)
    room -= 80
    ends = _find_ends(body)
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        fits = weigh(body[: ends[middle - 1]].decode("utf-8", "replace")) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    if low:
        return body[: ends[low - 1]].decode("utf-8", "replace"), ends[low - 1]
    return _cut_file(body, room)


def _find_ends(body: bytes) -> list[int]:
    """Give where the parts of files end. A line of content begins with a blank, a sign or a backslash, never so."""
    ends: list[int] = []
    at = body.find(b"\ndiff --")
    while at >= 0:
        ends.append(at + 1)
        at = body.find(b"\ndiff --", at + 1)
    return ends


def _cut_file(body: bytes, room: int) -> tuple[str, int]:
    start = body[: room + 1]
    kept = trim(start[: start.rfind(b"\n") + 1].decode("utf-8", "replace"), room)
    if "\n" in kept:
        lines = kept.count("\n")
        used = sum(len(line) for line in body[: room + 1].split(b"\n")[:lines]) + lines
        return f"{kept}[This file's part goes on in the next page.]\n", used
    end = body.find(b"\n")
    used = len(body) if end < 0 else end + 1
    shown = trim(body[:room].decode("utf-8", "replace"), room)
    return f"{shown}\n[The line is {used} bytes long; the rest of it is left out.]\n", used
