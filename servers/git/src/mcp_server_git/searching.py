"""Grep: lines of tracked files, in the work tree or in a commit."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .names import spell, weigh
from .refusals import Refusal
from .revisions import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .repository import Repository

COMMAND: Final = (
    "grep",
    "--no-color",
    "--line-number",
    "--null",
    "--full-name",
    "-I",
    "--no-textconv",
    "--no-recurse-submodules",
    "--extended-regexp",
)
NUMBER: Final = re.compile(rb"([0-9]{1,10})[\x00:]")
LONGEST: Final = 2_000  # characters of a pattern, and of a line that is shown
_KEPT: Final = LONGEST * 4 + 16  # bytes of a line with its number


@dataclass(frozen=True, slots=True)
class Match:
    """A line that matches."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.text}"


@dataclass(frozen=True, slots=True)
class Matches:
    """Lines that match; `truncated` says that there are more."""

    matches: list[Match] = field(default_factory=list[Match])
    truncated: bool = False
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        lines = [*map(str, self.matches), *self.notes]
        if self.truncated:
            lines.append("[There are more matches than fit: use a narrower pattern.]")
        return "\n".join(lines) or "No tracked file has a line that matches."


async def grep(repository: Repository, pattern: str, revision: str | None) -> Matches:
    """Search tracked files for an extended regular expression."""
    if not pattern or len(pattern) > LONGEST or any(each in pattern for each in "\0\n\r"):
        raise Refusal(f"The pattern must be one line of 1 to {LONGEST} characters: an extended regular expression.")
    if revision is None and repository.layout.work_tree is None:
        revision = "HEAD"
    command = [*COMMAND, "-e", pattern]
    prefix = b""
    if revision is not None:
        (commit,) = await resolve(repository, revision)
        command.append(commit)
        prefix = f"{commit}:".encode()
    output = await repository.run([*command, "--"], limit=repository.policy.room * 2, sieve=Shortener().feed)
    if output.code not in (0, 1) and not output.cut:
        raise Refusal(repository.explain(output))
    links = _Links(repository.layout.work_tree if revision is None else None)
    matches: list[Match] = []
    shortened = False
    room = repository.policy.room
    for name, number, line in read_lines(output.data):
        file, text = name.removeprefix(prefix), line.decode("utf-8", "replace").rstrip("\r")
        if links.leads_through(file):
            continue
        shortened = shortened or len(text) > LONGEST
        match = Match(spell(file), number, text[:LONGEST])
        room -= weigh(match.path) + weigh(match.text) + 45
        if room < 0:
            break
        matches.append(match)
    notes = repository.warn(output.errors)
    if shortened:
        notes.append(f"Of a line that is longer than {LONGEST} characters the beginning is shown.")
    if links.found:
        notes.append("Files that lie behind a symbolic link were left out.")
    return Matches(matches, output.cut or room < 0, notes)


class Shortener:
    """Takes the rest of long lines out of what git's grep says, as it comes, so that one does not fill what is read."""

    def __init__(self) -> None:
        self._in_name = True
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Give of the next bytes those that are kept."""
        kept, at = bytearray(), 0
        while at < len(data):
            end = data.find(b"\0" if self._in_name else b"\n", at) + 1
            part = data[at : end or len(data)]
            at += len(part)
            if self._in_name:
                kept += part
                self._left = _KEPT
            else:
                kept += part[: self._left]
                if end and len(part) > self._left:
                    kept += b"\n"
                self._left = max(self._left - len(part), 0)
            self._in_name = self._in_name != bool(end)
        return bytes(kept)


def read_lines(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """The name, the number and the line of each match that is there to its end.

    Step by step, since a name may hold a line break, and without looking at a byte twice, since a line may be as long
    as all that is read: an expression that is tried at every byte of it would take hours.
    """
    at = 0
    while (end := data.find(b"\0", at)) >= 0:
        number = NUMBER.match(data, end + 1)
        last = -1 if number is None else data.find(b"\n", number.end())
        if number is None or last < 0:
            return
        yield data[at:end], int(number[1]), data[number.end() : last]
        at = last + 1


class _Links:
    """Tells which names of the work tree lie behind a symbolic link.

    Git's grep opens a tracked name without looking at the directories above it, so that one of these, replaced by a
    link, would lead it out of the work tree. Where the kernel's fence holds, it has read nothing outside anyhow.
    """

    def __init__(self, top: Path | None) -> None:
        self._top = top
        self._known: dict[bytes, bool] = {}
        self.found = False

    def leads_through(self, name: bytes) -> bool:
        """Tell whether the file or a directory above it is a link."""
        if self._top is None:
            return False
        if name not in self._known:
            file = self._top / os.fsdecode(name)
            places = (file, *(each for each in file.parents if self._top in each.parents))
            self._known[name] = any(each.is_symlink() for each in places)
            self.found = self.found or self._known[name]
        return self._known[name]
