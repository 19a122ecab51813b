"""Paths to descriptors: a path is decided on and opened in one act, beneath the descriptor of a directory.

On Linux the system itself does that (`openat2`). What it leaves undecided - an absolute link, a path that leaves a
directory and comes back into one that is served - and every path where it is missing is walked: one name after the
other, each opened without following a link, each link read and followed by hand. Either way the descriptor is what is
acted on, so that nothing swapped in afterwards counts.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .denial import Denial, runs_programs
from .refusals import Denied, NotThere, Outside, Refusal, explain, spell
from .system import open_beneath

PATH_ONLY = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
FOLDER = PATH_ONLY | os.O_DIRECTORY
LISTING = os.O_RDONLY | os.O_DIRECTORY
READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO without a writer must not hold the call
_MOST_LINKS = 40
_LONGEST = 4096
_IS_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)  # what systems say of a link that is not to be followed
_GONE = " (deleted)"
_SPELLED = re.compile(r"(?:\\x(?:0[1-9a-f]|1[0-9a-f]|7f|[89a-f][0-9a-f]))+")


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


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open directory, whether anything is there or not."""

    folder: Opened
    name: str

    @property
    def real(self) -> str:
        """The real name."""
        return os.path.join(self.folder.real, self.name)  # noqa: PTH118  # bytes that are no path to pathlib

    def status(self) -> os.stat_result | None:
        """What is there, links not followed; None for nothing."""
        try:
            return os.stat(self.name, dir_fd=self.folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None


class Scope:
    """The directories that one call may use."""

    def __init__(self, anchors: Sequence[Anchor], denial: Denial, *, by_walking: bool = False) -> None:
        self.anchors = tuple(anchors)
        self.denial = denial
        self.by_walking = by_walking
        self._longest = sorted(anchors, key=lambda anchor: -len(anchor.real))
        bases = [(_split(base), anchor) for anchor in anchors for base in {anchor.path, anchor.real}]
        self._bases = sorted(bases, key=lambda each: -len(each[0]))

    # --- opening ---

    def open(self, path: str, flags: int) -> Opened:
        """Open what is at a path, links followed as long as they stay inside; raises `Refusal`."""
        absolute = self.absolute(path)
        try:
            return self._open(absolute, flags)
        except Outside:
            raise self.outside(path) from None  # and not where a link points to
        except OSError as error:
            if error.errno == errno.ENOENT and (other := _unspell(absolute)) != absolute:
                return self.open(other, flags)
            raise explain(error, path) from None

    def _open(self, absolute: str, flags: int, *, tidy: bool = True) -> Opened:
        anchor, rest = self.locate(absolute, tidy=tidy)
        if not self.by_walking:
            try:
                opened = open_beneath(anchor.fd, rest, flags)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EAGAIN, errno.ELOOP):
                    raise
            else:
                real = _real_name(opened, anchor)
                if real is not None:
                    return Opened(opened, real)
                os.close(opened)
        with _Walk(self) as walk:
            return walk.open(anchor, rest, flags)

    @contextmanager
    def spot(self, path: str, *, follow: bool = True) -> Generator[Spot]:
        """Find the directory and the name that a path means, the last link followed too unless told otherwise."""
        current = self._read_spelling(self.absolute(path))
        for links in range(_MOST_LINKS):
            head, name = os.path.split(current.rstrip("/"))
            if name in ("", ".", ".."):
                raise Refusal(f"{spell(path)} names a directory by dots. Give its own name.")
            with self._open_parent(head, path, tidy=not links) as folder:
                target = _read_link(name, folder.fd) if follow else None
                if target is None:
                    try:
                        yield Spot(folder, name)
                    except OSError as error:
                        raise explain(error, path) from None
                    return
                current = os.path.join(folder.real, target)  # noqa: PTH118  # a link's target, absolute or not
        raise explain(OSError(errno.ELOOP, ""), path)

    def _read_spelling(self, absolute: str) -> str:
        r"""Take a path at its word, unless only what its \xNN stand for is there."""
        other = _unspell(absolute)
        if other == absolute:
            return absolute
        for asked, meant in ((absolute, other), (os.path.dirname(absolute), os.path.dirname(other))):  # noqa: PTH120  # texts
            for each, chosen in ((asked, absolute), (meant, other)):
                try:
                    self._open(each, PATH_ONLY).close()
                except (OSError, Outside):
                    continue
                return chosen
        return absolute

    def _open_parent(self, head: str, path: str, *, tidy: bool) -> Opened:
        try:
            return self._open(head, FOLDER, tidy=tidy)
        except Outside:
            raise self.outside(path) from None
        except FileNotFoundError:
            raise NotThere(
                f"Parent directory does not exist: {spell(head)}. Make it with create_directory first."
            ) from None
        except OSError as error:
            raise explain(error, path) from None

    def absolute(self, path: str) -> str:
        """Make a path absolute: a relative one counts from the first directory, `~` is the user's home."""
        if "\0" in path:
            raise Refusal("The path holds a NUL character, which no file name can. Send it without.")
        try:
            size = len(os.fsencode(path))
        except UnicodeEncodeError:
            raise Refusal(f"{spell(path)} holds half a surrogate pair, which no file name can.") from None
        if size > _LONGEST:
            raise Refusal(f"The path has {size} bytes; {_LONGEST} are the most that a path may have.")
        if path.startswith("~"):
            path = os.path.expanduser(path)  # noqa: PTH111  # leaves what names no user as it is
        if path.startswith("/"):
            return path
        return f"{self.anchors[0].path.rstrip('/')}/{path}"

    def show(self, path: str) -> str:
        """The absolute path that stands before what is found below it, in an answer."""
        return "/" + "/".join(_split(self.absolute(path)))

    def locate(self, absolute: str, *, tidy: bool = True) -> tuple[Anchor, str]:
        """Choose the directory that a path starts in, and the rest of the path; raises `Outside`.

        This only chooses a descriptor. Whether the rest stays inside is for the system to say. What a caller wrote is
        tidied of dots that stand outside; in a link they would have to be looked up there, and so lead out.
        """
        parts = _split(absolute)
        for base, anchor in self._bases:
            if parts[: len(base)] == base:
                return anchor, "/".join(parts[len(base) :]) or "."
        if tidy and ".." in parts:
            return self.locate(os.path.normpath(absolute), tidy=False)
        raise self.outside(absolute)

    def outside(self, path: str) -> Outside:
        """Say that a path is not served."""
        served = ", ".join(spell(anchor.path) for anchor in self.anchors)
        return Outside(
            f"Access denied - path outside allowed directories: {spell(path)} is not in {served}. "
            "list_allowed_directories shows what may be used."
        )

    # --- judging ---

    def anchor_of(self, real: str) -> Anchor:
        """The innermost directory that something lies in by its real name; raises `Outside`."""
        for anchor in self._longest:
            if real == anchor.real or real.startswith(anchor.real.rstrip("/") + "/"):
                return anchor
        raise self.outside(real)

    def relative(self, real: str) -> str:
        """The part of a real name that denied paths are told by."""
        home = self.anchor_of(real).home
        return real[len(home) :].strip("/")

    def is_denied(self, real: str) -> bool:
        """Tell whether a file is not for reading."""
        return self.denial.denies(self.relative(real))

    def admit_reading(self, real: str, path: str) -> None:
        """Raise `Denied` for what is not for reading, by its real name and by the one that was asked for."""
        self.admit_asking(path)
        if self.is_denied(real):
            raise self._denied(path)

    def admit_asking(self, path: str) -> None:
        """Raise `Denied` by the name alone, before it is looked whether anything is there."""
        anchor, rest = self.locate(self.absolute(path))
        asked = os.path.normpath(f"{anchor.real[len(anchor.home) :]}/{rest}").strip("/")
        if self.denial.denies(asked):
            raise self._denied(path)

    def _denied(self, path: str) -> Denied:
        return Denied(
            f"{spell(path)} is denied: its name says that it may hold secrets. "
            "Who runs the server decides on that with --deny."
        )

    def admit_writing(self, real: str, path: str) -> None:
        """Raise `Refusal` for what must not change."""
        self.admit_reading(real, path)
        if not self.anchor_of(real).writable:
            raise Refusal(f"{spell(path)} is in a directory that is served for reading only. Nothing was changed.")
        if runs_programs(real) or runs_programs(self.absolute(path)):
            raise Refusal(
                f"{spell(path)} is not written: git runs what hooks and configuration of a repository name. "
                "Let the user change it."
            )


class _Walk:
    """One path, name after name. Closes what it opened, but for the last."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
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
        self._anchor = anchor
        todo = deque(_split(rest))
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
                return Opened(opened, self._real())
            self._folders.append(opened)
        return Opened(os.open(".", flags | os.O_CLOEXEC, dir_fd=self._here()), self._real())

    def _here(self) -> int:
        return self._folders[-1] if self._folders else self._anchor.fd

    def _real(self) -> str:
        return "/".join([self._anchor.real.rstrip("/"), *self._names]) or "/"

    def _step(self, part: str, flags: int, todo: deque[str]) -> int | None:
        """Open a name; None where it is a link, whose target is then put in front of what is to do."""
        try:
            opened = os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._here())
        except OSError as error:
            target = _read_link(part, self._here()) if error.errno in _IS_LINK else None
            if target is None:
                raise
        else:
            if not stat.S_ISLNK(os.fstat(opened).st_mode):  # O_PATH opens a link itself
                return opened
            os.close(opened)
            target = _read_link(part, self._here())
            if target is None:
                raise OSError(errno.EAGAIN, "it was replaced meanwhile")
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, "")
        if target.startswith("/"):
            self._jump(target, todo)
        else:
            todo.extendleft(reversed(_split(target)))
        return None

    def _climb(self, todo: deque[str]) -> None:
        if self._folders:
            os.close(self._folders.pop())
            self._names.pop()
        elif self._anchor.real != "/":
            outer = os.path.dirname(self._anchor.real)  # noqa: PTH120  # a text
            while todo and todo[0] == "..":  # a real name has real names around it
                todo.popleft()
                outer = os.path.dirname(outer)  # noqa: PTH120  # a text
            rest = "/".join(todo)
            todo.clear()
            self._jump(f"{outer.rstrip('/')}/{rest}", todo)

    def _jump(self, absolute: str, todo: deque[str]) -> None:
        """Go on at an absolute path, if it is one of those that are served."""
        anchor, rest = self._scope.locate(absolute, tidy=False)
        self._leave()
        self._anchor = anchor
        todo.extendleft(reversed(_split(rest)))

    def _leave(self) -> None:
        for folder in self._folders:
            os.close(folder)
        self._folders.clear()
        self._names.clear()


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _read_link(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:  # no link, or nothing at all
        return None


def _real_name(opened: int, anchor: Anchor) -> str | None:
    """The name that the system knows a descriptor by; None where it cannot tell, and the path must be walked."""
    try:
        real, base = (os.readlink(f"/proc/self/fd/{fd}") for fd in (opened, anchor.fd))  # noqa: PTH115  # bytes
    except OSError:
        return None
    if real.endswith(_GONE) and os.fstat(opened).st_nlink == 0:
        real = real[: -len(_GONE)]
    if real == base:
        return anchor.real
    prefix = base.rstrip("/") + "/"
    return f"{anchor.real.rstrip('/')}/{real[len(prefix) :]}" if real.startswith(prefix) else None


def _unspell(path: str) -> str:
    r"""Read a name that was shown with \xNN for a byte that is not UTF-8, or of a control."""
    return _SPELLED.sub(lambda found: _unspell_bytes(found[0]), path)


def _unspell_bytes(spelled: str) -> str:
    return os.fsdecode(bytes.fromhex(spelled.replace("\\x", "")))
