"""Links inside a git directory: git reads and writes through them, so none may lead out of it.

A symbolic link tells where it leads. A file with several names does not tell where the others are; before git writes to
one without replacing it, it is replaced by a copy.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .layout import Layout
from .refusals import Refusal

UNUSED: Final = frozenset(("hooks", "lfs", "annex", "svn", "modules", "description", "worktrees", "rr-cache"))
"""What lies in a git directory and is not reached through it by anything that is done here."""
TREES: Final = ("refs", "logs", "info", "objects", "reftable")
SETTLED: Final = 0.1  # seconds after which a directory's time of change tells whether it changed since

WRITTEN_IN_PLACE: Final = ("COMMIT_EDITMSG", "MERGE_MSG", "SQUASH_MSG")
"""What git writes to without replacing it; it adds to `logs` besides."""

Stamp = tuple[int, int]


@dataclass(slots=True)
class LinkCheck:
    """Looks for links that lead out, and remembers of each directory when it last changed."""

    layout: Layout
    _seen: dict[str, tuple[Stamp, Sequence[str]]] = field(default_factory=dict[str, tuple[Stamp, Sequence[str]]])

    def check(self) -> None:
        """Raise `Refusal` if there is a link that leads out."""
        for top in {self.layout.git_dir, self.layout.common_dir}:
            waiting = [name for name in self._scan(str(top), top_level=True) if Path(name).name in TREES]
            while waiting:
                waiting += self._scan(waiting.pop())
        for place in self.layout.alternates:
            waiting = [str(place)]
            while waiting:
                waiting += self._scan(waiting.pop())

    def _scan(self, directory: str, *, top_level: bool = False) -> Sequence[str]:
        """Check the entries of a directory; gives those that are directories themselves."""
        try:
            status = os.stat(directory)  # noqa: PTH116  # hundreds of them in every call: a Path takes three times as long
            stamp = (status.st_ctime_ns, status.st_ino)  # the time of modification can be set back
            known = self._seen.get(directory)
            if known is not None and known[0] == stamp:
                return known[1]
            inner: list[str] = []
            with os.scandir(directory) as entries:
                for entry in entries:
                    if top_level and entry.name in UNUSED:
                        continue
                    if entry.is_symlink():
                        self._judge(entry.path)
                    elif entry.is_dir(follow_symlinks=False):
                        inner.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Refusal(f"{directory} cannot be read: {error.strerror}.") from None
        if time.time() - status.st_ctime > SETTLED:
            self._seen[directory] = (stamp, inner)
        return inner

    def _judge(self, path: str) -> None:
        target = Path(os.path.realpath(path))
        own = (self.layout.git_dir, self.layout.common_dir, *self.layout.alternates)
        if not any(each in target.parents for each in own):
            raise Refusal(
                f"{path} is a symbolic link that leads out of the repository's git directory, so the repository is "
                "not used. Replace the link by the file or directory itself."
            )
        if target.is_dir():
            raise Refusal(
                f"{path} is a symbolic link to a directory, so the repository is not used. Replace it by the directory."
            )


def separate(layout: Layout) -> None:
    """Replace what git writes to in place, and what has another name somewhere, by a copy. Raises `Refusal`."""
    for path in _written_in_place(layout):
        try:
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                _replace_by_copy(path, layout.git_dir)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Refusal(f"{path} has a second name, and cannot be replaced by a copy: {error.strerror}.") from None


def _written_in_place(layout: Layout) -> Iterator[str]:
    for place in {layout.git_dir, layout.common_dir}:
        yield from (str(place / name) for name in WRITTEN_IN_PLACE)
        for directory, _, files in os.walk(place / "logs"):
            yield from (str(Path(directory, name)) for name in files)


def _replace_by_copy(path: str, folder: Path) -> None:
    handle, temporary = tempfile.mkstemp(prefix="separate-", dir=folder)
    os.close(handle)
    try:
        shutil.copy2(path, temporary, follow_symlinks=False)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
