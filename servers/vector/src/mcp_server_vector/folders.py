"""Directories whose files may be read: opened once, walked by descriptor, so that no link leads out of them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .globs import Glob
from .refusals import Refusal
from .rules import MAX_TEXT

_MOST: Final = 200_000
_DEEPEST: Final = 64
_SKIPPED: Final = frozenset({"__pycache__", "node_modules"})
_READ: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_ENTER: Final = _READ | getattr(os, "O_DIRECTORY", 0)


class Gone(Refusal):
    """A directory of the command line that is not there, or cannot be looked into: a disk that was taken away."""


class Unreadable(Exception):
    """A file that is passed over, and why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells without reading it that a file is as it was."""

    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that was named on the command line, and the collection that its files go to when it is watched."""

    path: Path
    collection: str | None = None

    def __str__(self) -> str:
        return f"{self.collection}={self.path}" if self.collection else str(self.path)

    def place(self, path: Path) -> str | None:
        """The relative path of what lies in this folder, `""` for itself; None for anything else."""
        absolute = os.path.normpath(self.path / path)
        if absolute == str(self.path):
            return ""
        prefix = str(self.path).rstrip(os.sep) + os.sep
        return absolute[len(prefix) :].replace(os.sep, "/") if absolute.startswith(prefix) else None

    def walk(self, place: str, glob: Glob, closed: list[str] | None = None) -> Iterator[tuple[str, Mark]]:
        """Regular files at or under a place; hidden ones, links, and what tools leave behind are passed over.

        Directories that are there and cannot be looked into are put into `closed`. Raises `Gone`.
        """
        self._require()
        waiting = [] if any(map(_is_passed_over, place.split("/"))) else [place]
        seen = 0
        while waiting:
            here = waiting.pop()
            try:
                descriptor = self._open(here, _ENTER)
            except NotADirectoryError:
                mark = self.mark(here)
                if mark is not None and glob.matches(here):
                    yield here, mark
                continue
            except OSError as error:
                if closed is not None and error.errno not in (errno.ENOENT, errno.ELOOP):
                    closed.append(here)
                continue
            try:
                with os.scandir(descriptor) as entries:
                    found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
                for name, is_folder in found:
                    seen += 1
                    if seen > _MOST:
                        raise Refusal(f"There are more than {_MOST} files under {self.path}: name a part of it.")
                    path = f"{here}/{name}" if here else name
                    if _is_passed_over(name) or path.count("/") > _DEEPEST:
                        continue
                    if is_folder:
                        waiting.append(path)
                    elif glob.matches(path) and (mark := _mark_inside(descriptor, name)):
                        yield path, mark
            finally:
                os.close(descriptor)

    def mark(self, place: str) -> Mark | None:
        """The mark of a file; None when there is no regular file at this place."""
        try:
            descriptor = self._open(place, _READ)
        except OSError:
            return None
        try:
            return _mark(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def read(self, place: str) -> str:
        """The text of a file; raises `Unreadable`."""
        try:
            descriptor = self._open(place, _READ)
        except OSError as error:
            raise Unreadable(error.strerror or "cannot be opened") from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("no regular file")
            data = file.read(MAX_TEXT + 1)
        if len(data) > MAX_TEXT:
            raise Unreadable(f"larger than {MAX_TEXT >> 20} MiB")
        return _decode(data)

    def _require(self) -> None:
        try:
            os.close(self._open("", _ENTER))
        except OSError as error:
            raise Gone(
                f"The directory {self.path} cannot be looked into: {error.strerror}. What was indexed of it stays. "
                "Try again when it is there."
            ) from None

    def _open(self, place: str, flags: int) -> int:
        """Open part by part; a link anywhere on the way is refused by the system."""
        descriptor = os.open(self.path, _ENTER & ~getattr(os, "O_NOFOLLOW", 0))
        parts = place.split("/") if place else []
        try:
            for number, part in enumerate(parts, 1):
                last = number == len(parts)
                inner = os.open(part, flags if last else _ENTER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED


def _mark_inside(descriptor: int, name: str) -> Mark | None:
    """The mark of a file in an open directory; None when it went since its name was read."""
    try:
        return _mark(os.stat(name, dir_fd=descriptor, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _mark(found: os.stat_result) -> Mark | None:
    return Mark(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in data[:8192]:
        raise Unreadable("binary")
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8") from error
