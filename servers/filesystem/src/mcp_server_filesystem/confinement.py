"""Paths to descriptors: a path is decided on and opened in one act, beneath the descriptor of a directory.

On Linux the system itself does that (`openat2`). What it leaves undecided - an absolute link, a path that leaves a
directory and comes back into one that is served - and every path where it is missing is walked: one name after the
other, each opened without following a link, each link read and followed by hand. Either way the descriptor is what is
acted on, so that nothing swapped in afterwards counts.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .denial import Denial, runs_programs
from .descriptors import CASE_FOLDS, FOLDER, PATH_ONLY, name_in, read_path, status_in
from .refusals import Denied, NotThere, Outside, Refusal, explain, spell
from .spelling import fold
from .stepping import MOST_LINKS, Anchor, Opened, Steps, find_link, split
from .system import open_beneath

_LONGEST = 4096
_GONE = " (deleted)"
_SPELLED = re.compile(r"(?:\\x(?:0[1-9a-f]|1[0-9a-f]|7f|[89a-f][0-9a-f]))+")


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open directory, whether anything is there or not."""

    folder: Opened
    name: str

    @property
    def real(self) -> str:
        """The real name."""
        return posixpath.join(self.folder.real, self.name)

    def status(self) -> os.stat_result | None:
        """What is there, links not followed; None for nothing."""
        try:
            return status_in((self.folder.fd, self.name))
        except FileNotFoundError:
            return None


class Scope:
    """The directories that one call may use."""

    def __init__(
        self,
        anchors: Sequence[Anchor],
        denial: Denial,
        *,
        by_walking: bool = False,
        renew: Callable[[Anchor], Anchor] | None = None,
    ) -> None:
        self.anchors = tuple(anchors)
        self.denial = denial
        self.by_walking = by_walking
        self._longest = sorted(anchors, key=lambda anchor: -len(anchor.real))
        bases = [(_fold(split(base)), anchor) for anchor in anchors for base in {anchor.path, anchor.real}]
        self._bases = sorted(bases, key=lambda each: -len(each[0]))
        self._renew = renew
        self._renewed: dict[int, Anchor] = {}
        self._kept: list[Opened] = []

    def keep(self, opened: Opened) -> None:
        """Take over what is open, to be closed when the call is over, perhaps when it is answered already."""
        self._kept.append(Opened(opened.fd, opened.real))
        opened.fd = -1

    def close(self) -> None:
        """Close what was kept."""
        for opened in self._kept:
            opened.close()

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
        anchor, rest = self._enter(absolute, tidy=tidy)
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
        with Steps(self._enter) as steps:
            opened = steps.open(anchor, rest, flags)
        try:
            self.anchor_of(opened.real)
        except Outside:
            opened.close()
            raise
        return opened

    @contextmanager
    def spot(self, path: str, *, follow: bool = True) -> Generator[Spot]:
        """Find the directory and the name that a path means, the last link followed too unless told otherwise."""
        current = self._read_spelling(self.absolute(path))
        for links in range(MOST_LINKS):
            head, name = posixpath.split(current.rstrip("/"))
            if name in ("", ".", ".."):
                raise Refusal(f"{spell(path)} names a directory by dots. Give its own name.")
            with self._open_parent(head, path, tidy=not links) as folder:
                target = find_link((folder.fd, name)) if follow else None
                if target is None:
                    try:
                        yield Spot(folder, name_in((folder.fd, name)))
                    except OSError as error:
                        raise explain(error, path) from None
                    return
                current = posixpath.join(folder.real, target)  # absolute or not
        raise explain(OSError(errno.ELOOP, ""), path)

    def _read_spelling(self, absolute: str) -> str:
        r"""Take a path at its word, unless only what its \xNN stand for is there."""
        other = _unspell(absolute)
        if other == absolute:
            return absolute
        for asked, meant in ((absolute, other), (posixpath.dirname(absolute), posixpath.dirname(other))):
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
            own = split(self.absolute(path))
            if any(own == split(anchor.path) for anchor in self.anchors):
                raise Refusal(f"{spell(path)} is a served directory itself. Name something in it.") from None
            raise self.outside(path) from None
        except FileNotFoundError:
            raise NotThere(
                f"Parent directory does not exist: {spell(head)}. Make it with create_directory first."
            ) from None
        except OSError as error:
            raise explain(error, path) from None

    def absolute(self, path: str) -> str:
        """Make a path absolute: a relative one counts from the first directory, `~` is the user's home."""
        if not path:
            raise Refusal("The path is empty. Name a file or a directory; the first served directory is '.'.")
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
        try:
            path = read_path(path)
        except ValueError as error:
            raise Refusal(f"{spell(path)} is not used as a path: {error}.") from None
        if path.startswith("/"):
            return path
        return f"{self.anchors[0].path.rstrip('/')}/{path}"

    def show(self, path: str) -> str:
        """The absolute path that stands before what is found below it, in an answer."""
        return "/" + "/".join(split(self.absolute(path)))

    def locate(self, absolute: str, *, tidy: bool = True) -> tuple[Anchor, str]:
        """Choose the directory that a path starts in, and the rest of the path; raises `Outside`.

        This only chooses a descriptor. Whether the rest stays inside is for the system to say. What a caller wrote is
        tidied of dots that stand outside; in a link they would have to be looked up there, and so lead out.
        """
        parts = split(absolute)
        told = _fold(parts)
        for base, anchor in self._bases:
            if told[: len(base)] == base:
                return anchor, "/".join(parts[len(base) :]) or "."
        if tidy and ".." in parts:
            return self.locate(posixpath.normpath(absolute), tidy=False)
        raise self.outside(absolute)

    def _enter(self, absolute: str, *, tidy: bool = True) -> tuple[Anchor, str]:
        """The same, of a directory that is still there, or there again."""
        anchor, rest = self.locate(absolute, tidy=tidy)
        return self.renew(anchor), rest

    def renew(self, anchor: Anchor) -> Anchor:
        """Open a directory anew that was deleted and made again; looks once in a call."""
        if self._renew is None:
            return anchor
        if anchor.fd not in self._renewed:
            self._renewed[anchor.fd] = self._renew(anchor)
        renewed = self._renewed[anchor.fd]
        if renewed.real != anchor.real:  # which what was found of this call so far would not fit
            raise Refusal(f"{spell(anchor.path)} was replaced by another directory. Try again.")
        return renewed

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

    def _is_writable(self, real: str) -> bool:
        """Tell whether this may change: not in a read-only directory, nor in one whose name it is in another case."""
        anchor, folded = self.anchor_of(real), fold(real)
        within = [each for each in self._longest if f"{folded}/".startswith(f"{fold(each.real).rstrip('/')}/")]
        return anchor.writable and all(each.writable for each in within if len(each.real) > len(anchor.real))

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
        asked = posixpath.normpath(f"{anchor.real[len(anchor.home) :]}/{rest}").strip("/")
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
        if not self._is_writable(real):
            raise Refusal(f"{spell(path)} is in a directory that is served for reading only. Nothing was changed.")
        if runs_programs(real) or runs_programs(self.absolute(path)):
            raise Refusal(
                f"{spell(path)} is not written: git runs what hooks and configuration of a repository name. "
                "Let the user change it."
            )


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


def _fold(parts: list[str]) -> list[str]:
    """Names as this system compares them; this is to choose a directory, not to judge."""
    return [part.lower() for part in parts] if CASE_FOLDS else parts


def _unspell(path: str) -> str:
    r"""Read a name that was shown with \xNN for a byte that is not UTF-8, or of a control."""
    return _SPELLED.sub(lambda found: _unspell_bytes(found[0]), path)


def _unspell_bytes(spelled: str) -> str:
    return os.fsdecode(bytes.fromhex(spelled.replace("\\x", "")))
