"""One path, name after name: each opened without following a link, each link read and followed by hand."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from .descriptors import FOLDER, Place, name_open, open_in, read_link_in, reopen

MOST_LINKS: Final = 40
_IS_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)  # what systems say of a link that is not to be followed


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A directory that is served: its name, its real name, its descriptor.

    `home` is the real name of the command line's directory that it lies in, from which denied paths count.
    """

    path: str
    real: str
    fd: int
    writable: bool
    home: str


@dataclass(slots=True)
class Opened:
    """A descriptor, and the real name under which it was found."""

    fd: int
    real: str

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Steps:
    """One path, name after name; `locate` chooses where an absolute one starts.

    Closes what it opened, but for the last.
    """

    def __init__(self, locate: Callable[..., tuple[Anchor, str]]) -> None:
        self._locate = locate
        self._folders: list[int] = []
        self._names: list[str] = []
        self._links = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def open(self, anchor: Anchor, rest: str, flags: int) -> Opened:
        """Open what is at a path that counts from an anchor; raises `OSError`, or `Refusal` where it leads out."""
        self._anchor = anchor
        todo = deque(split(rest))
        while todo:
            part = todo.popleft()
            if part == "..":
                self._climb(todo)
                continue
            opened = self._step(part, FOLDER if todo else flags, todo)
            if opened is None:
                continue
            self._names.append(part)
            if not todo:
                return self._name(opened)
            self._folders.append(opened)
        return self._name(reopen(self._here(), flags))

    def _name(self, opened: int) -> Opened:
        try:
            return Opened(opened, name_open(opened, self._real()))
        except OSError:
            os.close(opened)
            raise

    def _here(self) -> int:
        return self._folders[-1] if self._folders else self._anchor.fd

    def _real(self) -> str:
        return "/".join([self._anchor.real.rstrip("/"), *self._names]) or "/"

    def _step(self, part: str, flags: int, todo: deque[str]) -> int | None:
        """Open a name; None where it is a link, whose target is then put in front of what is to do."""
        try:
            opened = open_in((self._here(), part), flags)
        except OSError as error:
            target = find_link((self._here(), part)) if error.errno in _IS_LINK else None
            if target is None:
                raise
        else:
            if not stat.S_ISLNK(os.fstat(opened).st_mode):  # O_PATH opens a link itself
                return opened
            os.close(opened)
            target = find_link((self._here(), part))
            if target is None:
                raise OSError(errno.EAGAIN, "it was replaced meanwhile")
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, "")
        if target.startswith("/"):
            self._jump(target, todo)
        else:
            todo.extendleft(reversed(split(target)))
        return None

    def _climb(self, todo: deque[str]) -> None:
        if self._folders:
            os.close(self._folders.pop())
            self._names.pop()
        elif self._anchor.real != "/":
            outer = posixpath.dirname(self._anchor.real)
            while todo and todo[0] == "..":  # a real name has real names around it
                todo.popleft()
                outer = posixpath.dirname(outer)
            rest = "/".join(todo)
            todo.clear()
            self._jump(f"{outer.rstrip('/')}/{rest}", todo)

    def _jump(self, absolute: str, todo: deque[str]) -> None:
        """Go on at an absolute path, if it is one of those that are served."""
        anchor, rest = self._locate(absolute, tidy=False)
        self._leave()
        self._anchor = anchor
        todo.extendleft(reversed(split(rest)))

    def _leave(self) -> None:
        for folder in self._folders:
            os.close(folder)
        self._folders.clear()
        self._names.clear()


def split(path: str) -> list[str]:
    """The names of a path."""
    return [part for part in path.split("/") if part not in ("", ".")]


def find_link(place: Place) -> str | None:
    """The target of a link; None for what is none, or nothing at all."""
    try:
        return read_link_in(place)
    except OSError:
        return None
