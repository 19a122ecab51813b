"""The places of one repository: found, resolved, and all inside the area."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .area import Area
from .names import unquote
from .refusals import NothingThere, Refusal
from .regular import read_regular

LARGEST_POINTER: Final = 4_096  # bytes of a `.git` or `commondir` file
LARGEST_ALTERNATES: Final = 64 * 1024
DEEPEST_ALTERNATES: Final = 5  # as in git
MOST_ALTERNATES: Final = 64  # lines of a file, and places of a repository
QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\(?:[abfnrtv"\\]|[0-3][0-7]{2}))*"')


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a repository keeps what: all paths are resolved, and lie inside the area that was asked for them.

    `common_dir` differs from `git_dir` in a linked worktree; `work_tree` is None where the repository is bare;
    `alternates` are the object directories that it borrows from.
    """

    git_dir: Path
    common_dir: Path
    work_tree: Path | None
    alternates: tuple[Path, ...] = ()

    @property
    def top(self) -> Path:
        """The directory that the repository is called after."""
        return self.work_tree or self.git_dir

    @property
    def objects(self) -> Path:
        """The object directory."""
        return self.common_dir / "objects"


def discover(path: Path, area: Area) -> Layout:
    """Find the repository that a resolved path is in, looking upwards no further than the area goes.

    Raises `Refusal` when there is none, or when a part of it lies outside.
    """
    start = path if path.is_dir() else path.parent
    for directory in (start, *start.parents):
        if not area.holds(directory):
            break
        found = look(directory, area)
        if found is not None:
            if not area.admits(found.top):
                raise Refusal(f"The repository {found.top} is outside of what is allowed. {area.say()}")
            _check_roots(found, area)
            return found
    raise NothingThere(f"{path} is not in a git repository. {area.say()}")


def _check_roots(found: Layout, area: Area) -> None:
    """Raise `Refusal` where the client's roots leave out a place that the repository is read from."""
    places = [
        ("Its git directory", found.git_dir),
        ("The repository that this worktree belongs to", found.common_dir),
        ("Its object directory", Path(os.path.realpath(found.objects))),
        *(("The object directory that it borrows from", each) for each in found.alternates),
    ]
    for what, place in places:
        if not area.covers(place, found.top):
            raise Refusal(
                f"{what}, {place}, lies outside of the client's roots, and {found.top} cannot be read without it. "
                f"Open it as a root too. {area.say()}"
            )


def look(directory: Path, area: Area) -> Layout | None:
    """Find the repository that a resolved directory is; None where it is none. Raises `Refusal` as `discover` does."""
    dot = directory / ".git"
    try:
        kind = dot.lstat().st_mode
    except OSError:
        kind = 0
    if stat.S_ISREG(kind):
        return _settle(_follow(dot, area), directory, area)
    if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
        git_dir = _inside(dot, area, "Its .git")
        return _settle(git_dir, directory, area) if _is_git_dir(git_dir) else None
    if not _is_git_dir(directory):
        return None
    return _settle(directory, directory.parent if directory.name == ".git" else None, area)


def _is_git_dir(directory: Path) -> bool:
    """Tell whether a directory looks like one that git made (the rule of git's own set-up)."""
    if not os.path.lexists(directory / "HEAD"):
        return False
    if (directory / "commondir").is_file():
        return True
    return (directory / "objects").is_dir() and (directory / "refs").is_dir()


def _follow(dot: Path, area: Area) -> Path:
    """Read a `.git` file (gitrepository-layout), as worktrees and submodules have."""
    found = re.fullmatch(rb"gitdir: ([^\x00\n]+)\n*", _read_small(dot, LARGEST_POINTER))
    if not found:
        raise Refusal(f"{dot} does not say where the repository is. It should hold one line: gitdir: PATH")
    git_dir = _inside(dot.parent / os.fsdecode(found[1]), area, f"What {dot} points to")
    if not _is_git_dir(git_dir):
        raise NothingThere(f"{dot} points to {git_dir}, which is not a git directory.")
    return git_dir


def _settle(git_dir: Path, work_tree: Path | None, area: Area) -> Layout:
    common_dir = git_dir
    pointer = git_dir / "commondir"
    if os.path.lexists(pointer):
        text = os.fsdecode(_read_small(pointer, LARGEST_POINTER).rstrip(b"\r\n"))
        common_dir = _inside(git_dir / text, area, "The repository that this worktree belongs to")
        if git_dir.parent != common_dir / "worktrees":
            # Where git puts it. Any other could be a repository that lays hands on its neighbour.
            raise Refusal(
                f"{pointer} points to {common_dir}, which has no worktree there. `git worktree repair` may help."
            )
    objects = _inside(common_dir / "objects", area, "Its object directory")
    alternates: list[Path] = []
    _borrow(objects, area, 0, alternates)
    return Layout(git_dir, common_dir, work_tree, tuple(alternates))


def _borrow(objects: Path, area: Area, depth: int, found: list[Path]) -> None:
    """Add the object directories that an object directory borrows from, and those that these borrow from, each once."""
    file = objects / "info" / "alternates"
    if not os.path.lexists(file):
        return
    if depth == DEEPEST_ALTERNATES:
        raise Refusal(f"{file}: alternates are nested too deep.")
    lines = [line for line in _read_small(file, LARGEST_ALTERNATES).split(b"\n") if line and not line.startswith(b"#")]
    if len(lines) > MOST_ALTERNATES:
        raise Refusal(f"{file} has {len(lines)} lines; {MOST_ALTERNATES} are the most that are followed.")
    for line in lines:
        if line.startswith(b'"') and not QUOTED.fullmatch(line):  # git might read another path in it than we do
            raise Refusal(f"{file} is damaged: a line of it has odd quotes.")
        name = os.fsdecode(unquote(line[1:-1]) if line.startswith(b'"') else line)
        place = _inside(objects / name, area, "The object directory that it borrows from (objects/info/alternates)")
        if place in found:
            continue
        if len(found) == MOST_ALTERNATES:
            raise Refusal(f"{file}: the repository borrows from more than {MOST_ALTERNATES} places.")
        found.append(place)
        _borrow(place, area, depth + 1, found)


def _inside(path: Path, area: Area, what: str) -> Path:
    try:
        resolved = Path(os.path.realpath(path))
    except (OSError, ValueError):
        resolved = Path(os.sep)
    if not area.holds(resolved):
        raise Refusal(
            f"{what} lies outside of what is allowed. If it belongs together, the server must be started with "
            f"--repository for both places. {area.say()}"
        )
    return resolved


def _read_small(path: Path, most: int) -> bytes:
    """Read a small regular file that is no link; raises `Refusal`."""
    data = read_regular(path, most + 1)
    if data is None:
        raise Refusal(f"{path} cannot be read: it is a symbolic link, or no file.")
    if len(data) > most or b"\0" in data:
        raise Refusal(f"{path} is damaged: it is too large, or holds a NUL character.")
    return data
