"""The directories of the command line: a ceiling, which a client's roots may narrow and never widen."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .addresses import read_uri
from .confinement import Scope
from .denial import Denial
from .descriptors import FOLDER, find_real, open_root, read_path
from .refusals import Refusal, explain, spell
from .stepping import Anchor

MOST_ROOTS = 100
NO_DIRECTORY = (
    "No directory is served. Name one on the server's command line (mcp-server-filesystem DIR), or let the client "
    "offer roots that are directories of this machine."
)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory as the command line names it."""

    path: Path
    writable: bool = True

    @property
    def inner(self) -> str:
        """The path as it is written inside; raises `Refusal` for one that cannot be served."""
        try:
            return read_path(str(self.path))
        except ValueError as error:
            raise Refusal(f"The directory {self.path} is not served: {error}.") from None

    def __str__(self) -> str:
        return f"{self.path}{'' if self.writable else ':ro'}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided."""

    denial: Denial = field(default_factory=Denial)
    read_only: bool = False
    gitignore: bool = True
    max_entries: int = 50_000
    max_bytes: int = 0
    by_walking: bool = False


class Sandbox:
    """Everything that may be reached, opened once and held open."""

    def __init__(self, directories: Sequence[Directory], policy: Policy) -> None:
        self.directories = tuple(directories)
        self.policy = policy
        self._anchors: dict[Path, Anchor] = {}
        self._opened: list[int] = []
        self._lock = threading.Lock()
        self._writing: dict[int, threading.Lock] = {}

    def problem(self) -> str | None:
        """Say why a directory cannot be served; None where all can."""
        for directory in self.directories:
            try:
                self._anchor(directory)
            except Refusal as refusal:
                return str(refusal)
        return None

    def writing(self, folder: int) -> threading.Lock:
        """The lock for the moment in which a file of an open directory is compared and replaced.

        Each device has its own: one that does not answer holds up no other.
        """
        return self._writing.setdefault(os.fstat(folder).st_dev, threading.Lock())

    @property
    def paths(self) -> list[str]:
        """The directories as they are written inside, but for those that cannot be served."""
        found: list[str] = []
        for directory in self.directories:
            with suppress(Refusal):
                found.append(directory.inner)
        return found

    @contextmanager
    def scope(self, roots: Sequence[str] | None = None) -> Generator[Scope]:
        """Open the directories of one call.

        Args:
            roots: The URIs that the client gave; None where it has none to give or is not asked.
        """
        with ExitStack() as stack:
            anchors = self._narrow(list(roots or ()), stack)
            denial, by_walking = self.policy.denial, self.policy.by_walking
            scope = Scope(anchors, denial, by_walking=by_walking, renew=self._renew)
            yield stack.enter_context(closing(scope))

    def close(self) -> None:
        """Close what is held open."""
        for fd in self._opened:
            os.close(fd)
        self._opened.clear()
        self._anchors.clear()

    def _anchor(self, directory: Directory, stale: Anchor | None = None) -> Anchor:
        """The open directory; opened anew where it still is the stale one."""
        with self._lock:
            anchor = self._anchors.get(directory.path)
            if anchor is None or anchor is stale:
                writable = directory.writable and not self.policy.read_only
                anchor = _open(directory.inner, writable)
                self._opened.append(anchor.fd)  # an old one may be in use: it is closed at the end
                self._anchors[directory.path] = anchor
        return anchor

    def _renew(self, anchor: Anchor) -> Anchor:
        """The same directory, opened anew where it was deleted and made again.

        Asked of those alone that a call uses, since the disk of another one may not answer.
        """
        if os.fstat(anchor.fd).st_nlink:
            return anchor
        for directory in self.directories:
            known = self._anchors.get(directory.path)
            if known is not None and known.path == anchor.path:
                return self._anchor(directory, stale=anchor)
        return anchor

    def _narrow(self, roots: list[str], stack: ExitStack) -> list[Anchor]:
        ceiling = [self._anchor(directory) for directory in self.directories]
        if len(roots) > MOST_ROOTS:  # each is held open while the call lasts
            raise Refusal(
                f"The client offers {len(roots)} roots; {MOST_ROOTS} are the most. Open fewer of them, or start the "
                "server with --roots ignore."
            )
        wanted = [(uri, path) for uri in roots if (path := read_uri(uri)) is not None]
        if not roots:
            if not ceiling:
                raise Refusal(NO_DIRECTORY)
            return ceiling
        if not ceiling:
            found = [anchor for _, path in wanted for anchor in self._open_root(path, stack)]
            if not found:
                raise Refusal(f"{NO_DIRECTORY} The client's roots are {_list(roots)}.")
            return found
        narrowed: list[Anchor] = []
        for _, path in wanted:
            for anchor in self._meet(ceiling, find_real(path), stack):
                if anchor.real not in [each.real for each in narrowed]:
                    narrowed.append(anchor)
        if not narrowed:
            named = _list([anchor.path for anchor in ceiling])
            raise Refusal(
                f"The client's roots ({_list(roots)}) and the directories of the command line ({named}) have nothing "
                "in common, so nothing may be used. Open a root inside them, name other directories, or start the "
                "server with --roots ignore."
            )
        return narrowed

    def _open_root(self, path: str, stack: ExitStack) -> list[Anchor]:
        try:
            anchor = _open(path, not self.policy.read_only)
        except Refusal:
            return []
        stack.callback(os.close, anchor.fd)
        return [anchor]

    def _meet(self, ceiling: Sequence[Anchor], real: str, stack: ExitStack) -> list[Anchor]:
        """What a root and the ceiling share: directories that lie in the root, and the root where it lies in one."""
        inside = [anchor for anchor in ceiling if _contains(real, anchor.real)]
        around = [anchor for anchor in ceiling if _contains(anchor.real, real) and anchor.real != real]
        if not around or any(anchor.real == real for anchor in inside):
            return inside
        nearest = max(around, key=lambda anchor: len(anchor.real))
        try:
            scope = Scope([nearest], self.policy.denial, by_walking=self.policy.by_walking, renew=self._renew)
            opened = scope.open(real, FOLDER)
        except Refusal:  # no directory, or not there
            return inside
        stack.callback(opened.close)
        return [Anchor(opened.real, opened.real, opened.fd, nearest.writable, nearest.home), *inside]


def _open(path: str, writable: bool) -> Anchor:
    try:
        opened, real = open_root(path)
        return Anchor(path, real, opened, writable, real)
    except FileNotFoundError:
        raise Refusal(f"The directory {spell(path)} does not exist. Make it, or name another one.") from None
    except NotADirectoryError:
        raise Refusal(f"{spell(path)} is a file. Name the directory that it lies in.") from None
    except OSError as error:
        raise explain(error, path) from None


def _contains(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


def _list(names: Sequence[str]) -> str:
    return ", ".join(spell(name) for name in names)
