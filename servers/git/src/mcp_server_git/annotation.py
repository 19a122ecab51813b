"""Blame: who last changed each line of a file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .history import relative
from .moments import write_moment
from .names import spell, trim, weigh
from .refusals import NothingThere, Refusal

if TYPE_CHECKING:
    from .repository import Repository

LARGEST = 16 * 1024 * 1024  # bytes of a file


@dataclass(frozen=True, slots=True)
class Line:
    """A line and the commit that it comes from; zeros where it is not committed yet."""

    number: int
    hash: str
    author: str
    date: str
    summary: str
    text: str

    def __str__(self) -> str:
        return f"{self.hash[:8]} ({self.author} {self.date[:10]} {self.number}) {self.text}"


@dataclass(frozen=True, slots=True)
class Blame:
    """The lines of a file, or a part of them; `next_line` is where to go on."""

    path: str
    lines: list[Line] = field(default_factory=list[Line])
    next_line: int | None = None

    def __str__(self) -> str:
        text = "\n".join(map(str, self.lines)) or "The file has no lines."
        return text if self.next_line is None else f"{text}\n[Cut: go on with start_line={self.next_line}]"


async def blame(repository: Repository, path: str, start_line: int | None, end_line: int | None) -> Blame:
    """Blame the file as it is in the work tree; in a bare repository as it is in HEAD."""
    first, last = start_line or 1, end_line
    if first < 1 or (last is not None and last < first):
        raise Refusal(
            f"Lines {first} to {last} are no range: lines count from 1, and end_line is not before start_line."
        )
    name = relative(repository, path)
    command = ["blame", "--porcelain", "--no-textconv", "-L", f"{first},{last or ''}"]
    stdin = b""
    if repository.layout.work_tree is not None:
        # Git would follow a link in the directories above the file. What is read here is what the name says.
        stdin = _read_file(repository.layout.work_tree, name)
        command += ["--contents", "-"]
        if not stdin:
            return Blame(spell(name))
    output = await repository.run([*command, "--", name], stdin=stdin, limit=repository.policy.room * 8 + 1_000_000)
    if output.code and not output.cut:
        if "has only" in output.errors:
            raise Refusal(f"{repository.explain(output).removeprefix('Git refused: ')}. Ask for lines that it has.")
        if "no such path" in output.errors:
            raise NothingThere(f"{spell(name)} is not in HEAD: there is nothing to blame. git_status lists new files.")
        raise Refusal(repository.explain(output))
    return _fit(spell(name), _parse(_trim(output.data)), repository.policy.room, cut=output.cut)


def _read_file(top: Path, name: bytes) -> bytes:
    """Read a file of the work tree, following no link on the way."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    directory = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *parents, last = name.split(b"/")
        for part in parents:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
        with os.fdopen(os.open(last, flags, dir_fd=directory), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise Refusal(f"{spell(name)} is no file, or larger than {LARGEST} bytes: it cannot be blamed.")
            return file.read()
    except OSError:
        raise NothingThere(
            f"There is no file {spell(name)} in the work tree, or a symbolic link leads to it."
        ) from None
    finally:
        os.close(directory)


def _trim(data: bytes) -> bytes:
    """Without a last line of which only the beginning was read; the beginning of a file's line is one all the same."""
    end = data.rfind(b"\n") + 1
    return data if data.startswith(b"\t", end) else data[:end]


def _parse(data: bytes) -> list[Line]:
    commits: dict[str, dict[str, str]] = {}
    lines: list[Line] = []
    current, number = "", 0
    for raw in data.split(b"\n"):
        if raw.startswith(b"\t"):
            known = commits[current]
            text = raw[1:].decode("utf-8", "replace").rstrip("\r")
            moment = write_moment(known.get("author-time", "0"), known.get("author-tz", "+0000"))
            lines.append(Line(number, current, known.get("author", ""), moment, known.get("summary", ""), text))
            continue
        key, _, value = raw.decode("utf-8", "replace").partition(" ")
        if len(key) in (40, 64) and value[:1].isdigit():
            current, number = key, int(value.split()[1])
            commits.setdefault(current, {})
        elif current:
            commits[current][key] = value
    return lines


def _fit(path: str, lines: list[Line], room: int, *, cut: bool) -> Blame:
    kept: list[Line] = []
    for each in lines:
        room -= sum(map(weigh, (each.author, each.summary, each.text))) + 150
        if room < 0:
            if kept:
                return Blame(path, kept, each.number)
            short = Line(each.number, each.hash, each.author, each.date, each.summary, trim(each.text, 200) + "…")
            return Blame(path, [short], each.number + 1)
        kept.append(each)
    return Blame(path, kept, kept[-1].number + 1 if cut and kept else None)
