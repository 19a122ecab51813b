"""Walking a tree, the nearest directories first, within bounds; links are seen and never followed."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from .confinement import Scope
from .denial import is_git_folder
from .descriptors import LISTING, open_in, reopen, scan
from .errand import Errand
from .globs import compile_globs
from .ignoring import Rules, judge, read_rules
from .refusals import Refusal, spell
from .stepping import Opened, split
from .system import open_beneath

MOST_LEVELS = 64
_LOOK_UP = 500  # entries between two looks at the clock
_UNDECIDED = (errno.ENOSYS, errno.EPERM, errno.EAGAIN, errno.ENAMETOOLONG)  # openat2 is missing, or cannot tell


Entry = tuple[str, str, bool]
"""A name of a directory; "directory", "file", "symlink" or "other"; whether it is denied. There are many of them."""


class Folder(NamedTuple):
    """A directory of a walk, open while it is looked at; `path` is relative to the start and ends with a slash."""

    path: str
    level: int
    fd: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a walk leaves out and where it ends."""

    exclude: tuple[str, ...] = ()
    gitignore: bool = True
    most_entries: int = 50_000
    most_levels: int = MOST_LEVELS


@dataclass(slots=True)
class Tally:
    """What a walk left out, and why it ended."""

    ignored: int = 0
    denied: int = 0
    unreadable: int = 0
    overlong: int = 0
    cut: str | None = None
    notes: list[str] = field(default_factory=list[str])

    def remarks(self) -> list[str]:
        """What the reader of a partial result should know."""
        said = list(self.notes)
        if self.cut:
            said.append(f"Partial: {self.cut}")
        if self.ignored:
            said.append(f"{_count(self.ignored)} left out by .gitignore; start the server with --no-gitignore for all.")
        if self.overlong:
            said.append(f"{self.overlong} .gitignore have more patterns than are followed; the first ones are.")
        if self.unreadable:
            said.append(f"{_count(self.unreadable)} could not be read.")
        return said


def _count(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


class Walk:
    """One walk through a directory and all below it."""

    def __init__(self, scope: Scope, start: Opened, bounds: Bounds, errand: Errand) -> None:
        self.tally = Tally()
        self._scope = scope
        self._start = start
        self._bounds = bounds
        self._errand = errand
        self._exclude = compile_globs(each for glob in bounds.exclude for each in _spread(glob))
        relative = scope.relative(start.real)
        self._base = f"{relative}/" if relative else ""

    def folders(self) -> Iterator[Folder]:
        """Every directory, the start first; stops at the bounds and notes it in the tally."""
        chain = tuple(self._outer_rules()) if self._bounds.gitignore else ()
        waiting: deque[tuple[str, int, tuple[Rules, ...]]] = deque([("", 1, chain)])
        while waiting:
            path, level, chain = waiting.popleft()
            if self._errand.is_late:
                self.tally.cut = f"time was up with {len(waiting) + 1} directories to go. Choose a smaller directory."
                return
            fd = self._enter(path)
            if fd < 0:
                continue
            try:
                folder, chain = self._look(path, level, fd, chain)
                yield folder
            except OSError:  # the disk, or a directory that went in this moment
                self.tally.unreadable += 1
                continue
            finally:
                os.close(fd)
            if self.tally.cut:
                return
            below = [name for name, kind, denied in folder.entries if kind == "directory" and not denied]
            if below and level >= self._bounds.most_levels:
                self.tally.notes = [f"Directories below level {level} are not shown. Ask for one of them by its path."]
                continue
            waiting.extend((f"{path}{name}/", level + 1, chain) for name in below)

    def _enter(self, path: str) -> int:
        try:
            return self._open(path or ".")
        except OSError:
            self.tally.unreadable += 1
            return -1

    def _open(self, path: str) -> int:
        if not self._scope.by_walking:
            try:
                return open_beneath(self._start.fd, path, LISTING, links=False)
            except OSError as error:
                if error.errno not in _UNDECIDED:
                    raise
        opened = reopen(self._start.fd, LISTING)
        for name in split(path):
            outer = opened
            try:
                opened = open_in((outer, name), LISTING)
            finally:
                os.close(outer)
        return opened

    def _look(self, path: str, level: int, fd: int, chain: tuple[Rules, ...]) -> tuple[Folder, tuple[Rules, ...]]:
        """Read one directory: what is left out is counted, what is denied is marked."""
        with scan(fd) as found:
            room = self._bounds.most_entries - self._errand.seen
            every = sorted([(entry.name, kind_of(entry)) for entry in islice(found, room + 1)])
        self._errand.seen += len(every)
        if self._bounds.gitignore and any(name == ".gitignore" for name, _ in every):
            rules = read_rules(fd, self._base + path)
            if rules is not None:
                chain = (*chain, rules)
                self.tally.overlong += rules.is_cut
        if len(every) > room:
            every = every[: max(room, 0)]
            self.tally.cut = f"{self._bounds.most_entries} entries are the most. Choose a smaller directory."
        every = self._leave_out(path, every, chain)
        denial = self._scope.denial
        if not denial.candidates.touch([name for name, _ in every]):
            return Folder(path, level, fd, [(name, kind, False) for name, kind in every]), chain
        entries = [(name, kind, denial.denies_entry(self._base + path, name)) for name, kind in every]
        self.tally.denied += sum([denied for _, _, denied in entries])
        return Folder(path, level, fd, entries), chain

    def _leave_out(self, path: str, every: list[tuple[str, str]], chain: tuple[Rules, ...]) -> list[tuple[str, str]]:
        if self._exclude is not None:
            excludes = self._exclude.match
            every = [each for each in every if not excludes(path + each[0])]
        if not self._bounds.gitignore:
            return every
        kept = [each for each in every if each[1] != "directory" or not is_git_folder(each[0])]
        if chain:
            inner = self._base + path
            kept = [each for each in self._until_late(kept) if not judge(chain, inner, each[0], each[1] == "directory")]
        self.tally.ignored += len(every) - len(kept)
        return kept

    def _until_late(self, every: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """The entries as long as there is time: thousands of patterns on thousands of names take their while."""
        for number, each in enumerate(every):
            if number % _LOOK_UP == _LOOK_UP - 1 and self._errand.is_late:
                self.tally.cut = "time was up in a directory with many entries and patterns. Choose a smaller one."
                return
            yield each

    def _outer_rules(self) -> Iterator[Rules]:
        """The files of the directories around the start, from the outermost that is served."""
        anchor = self._scope.anchor_of(self._start.real)
        names = [name for name in self._start.real[len(anchor.real) :].split("/") if name]
        base = self._base[: len(self._base) - len("".join(f"{name}/" for name in names))]
        for depth in range(len(names)):
            inside = "/".join(names[:depth])
            try:
                with self._scope.open(f"{anchor.real}/{inside}", LISTING) as folder:
                    rules = read_rules(folder.fd, f"{base}{inside}/" if inside else base)
            except Refusal:
                continue
            if rules is not None:
                yield rules


def check_start(scope: Scope, path: str) -> Opened:
    """Open the directory in which a walk begins; raises `Refusal`."""
    scope.admit_asking(path)
    opened = scope.open(path, LISTING)
    try:
        scope.admit_reading(opened.real, path)
    except Refusal:
        opened.close()
        raise
    return opened


def _spread(glob: str) -> Iterator[str]:
    """A glob of what to leave out: one without a star also means that name anywhere, and all that lies in it."""
    yield glob
    if "*" not in glob:
        yield f"**/{glob}"
        yield f"**/{glob}/**"


def kind_of(entry: os.DirEntry[str]) -> str:
    """What an entry of a directory is, links not followed."""
    if entry.is_file(follow_symlinks=False):
        return "file"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "symlink" if entry.is_symlink() else "other"


def show(folder: str, name: str) -> str:
    """A path for people."""
    return spell(f"{folder.rstrip('/')}/{name}")
