"""Refs read as data: what HEAD is, and which commit a plain name stands for, without running git."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .layout import Layout
from .refusals import Refusal
from .regular import read_regular

HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LARGEST: Final = 64 * 1024 * 1024  # bytes of packed-refs
DEEPEST_REPLACEMENT: Final = 5  # objects that stand for objects that stand for others, as in git


@dataclass(frozen=True, slots=True)
class Head:
    """What HEAD is: a branch, or (detached) none; the commit is None on a branch without one."""

    branch: str | None
    commit: str | None

    def is_unborn(self, references: References) -> bool:
        """Tell whether HEAD is a branch that has no commit yet."""
        return self.commit is None and self.branch is not None and not references.has(f"refs/heads/{self.branch}")


def _is_name(name: str) -> bool:
    """Tell whether a ref's name leads to a place below `refs`: HEAD may hold anything."""
    return name.startswith("refs/") and not any(part in ("", ".", "..") for part in name.split("/"))


@dataclass(slots=True)
class References:
    """Reads refs; knows only those of the files backend, and says nothing of others."""

    layout: Layout
    _packed: dict[str, str] = field(default_factory=dict[str, str])
    _stamp: tuple[int, int, int] | None = None

    def head(self) -> Head | None:
        """Read HEAD; None where only git can tell (reftable). Raises `Refusal` for one that leads out of `refs`."""
        text = self._read(self.layout.git_dir / "HEAD")
        if text is None:
            return None
        if text.startswith("ref: refs/heads/"):
            name = text.removeprefix("ref: ").strip()
            if not _is_name(name):
                raise Refusal(
                    "HEAD of this repository is damaged: it names no branch. Repair it with git, then call again."
                )
            if name == "refs/heads/.invalid":
                return None
            return Head(name.removeprefix("refs/heads/"), self.find(name))
        return Head(None, text.strip()) if HASH.fullmatch(text.strip()) else None

    def find(self, name: str) -> str | None:
        """Give the hash of a full ref name; None where there is none or it is symbolic."""
        if not _is_name(name):
            return None
        text = self._read(self.layout.common_dir / name)
        if text is not None:
            return text.strip() if HASH.fullmatch(text.strip()) else None
        return self._read_packed().get(name)

    def replace(self, identity: str) -> str:
        """Give the object that stands for another one by `refs/replace`; itself where none does."""
        for _ in range(DEEPEST_REPLACEMENT):
            found = self.find(f"refs/replace/{identity}")
            if found is None:
                break
            identity = found
        return identity

    def has(self, name: str) -> bool:
        """Tell whether there is a ref of this full name."""
        if not _is_name(name):
            return False
        return self._read(self.layout.common_dir / name) is not None or name in self._read_packed()

    def list(self, prefix: str) -> dict[str, str | None]:
        """Give every ref below a prefix that ends in a slash, in the order of names; None for a symbolic one."""
        found: dict[str, str | None] = {
            name: value for name, value in self._read_packed().items() if name.startswith(prefix)
        }
        top = self.layout.common_dir
        for directory, _, files in os.walk(top / prefix):
            for each in files:
                name = (Path(directory) / each).relative_to(top).as_posix()
                text = (self._read(top / name) or "").strip()
                if HASH.fullmatch(text) or text.startswith("ref: "):
                    found[name] = text if HASH.fullmatch(text) else None
        return dict(sorted(found.items()))

    def _read_packed(self) -> dict[str, str]:
        path = self.layout.common_dir / "packed-refs"
        try:
            status = path.stat()
        except OSError:
            return {}
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            text = self._read(path, LARGEST) or ""
            lines = (line.partition(" ") for line in text.split("\n") if line[:1] not in ("#", "^", ""))
            self._packed = {name: value for value, _, name in lines if HASH.fullmatch(value)}
            self._stamp = stamp
        return self._packed

    @staticmethod
    def _read(path: Path, most: int = 4_096) -> str | None:
        data = read_regular(path, most)
        return None if data is None else data.decode("utf-8", "surrogateescape")
