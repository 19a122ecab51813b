"""The area: the directories in which repositories may lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .names import show
from .refusals import Refusal


@dataclass(frozen=True, slots=True)
class Area:
    """Directories, resolved; whatever lies in one of them, by its resolved path, is inside.

    `within`, where it is given, must also hold one of the two: it narrows. A directory that lies in this area and
    holds one of those in `within` is narrowed to itself, since a repository is one thing.
    """

    directories: tuple[Path, ...]
    within: tuple[Path, ...] = ()

    @classmethod
    def of(cls, paths: Iterable[Path], within: Iterable[Path] = ()) -> Area:
        """Make an area of paths as they were given."""
        return cls(tuple(map(_resolve, paths)), tuple(map(_resolve, within)))

    def holds(self, path: Path) -> bool:
        """Tell whether a resolved path lies inside."""
        return any(path == each or each in path.parents for each in self.directories)

    def admits(self, top: Path) -> bool:
        """Tell whether a repository, by the resolved directory that it is called after, may be served."""
        if not self.holds(top):
            return False
        return not self.within or any(top == each or each in top.parents or top in each.parents for each in self.within)

    def covers(self, place: Path, top: Path) -> bool:
        """Tell whether a place of an admitted repository lies where the roots allow: in one, or in `top` itself."""
        return not self.within or any(place == each or each in place.parents for each in (*self.within, top))

    def locate(self, text: str | None) -> Path:
        """Resolve what a caller gave as a repository's path; raises `Refusal` for what lies outside.

        What is said about outside is the same whether something is there or not.
        """
        if text is None:
            return self._only()
        if "\0" in text or not text or len(text) > 4_000:
            raise Refusal(f"repo_path {show(text)} is no path. {self.say()}")
        try:
            path = _resolve(self.directories[0] / text)
        except (OSError, ValueError, RuntimeError):
            raise Refusal(f"repo_path {show(text, 300)} is outside of what is allowed. {self.say()}") from None
        if not self.holds(path):
            raise Refusal(f"repo_path {show(text, 300)} is outside of what is allowed. {self.say()}")
        return path

    def _only(self) -> Path:
        admitted = [each for each in self.directories if self.admits(each)]
        if len(admitted) != 1:
            raise Refusal(f"repo_path is missing, and there is not exactly one repository to mean. {self.say()}")
        return admitted[0]

    def say(self) -> str:
        """Say what is allowed, and how that changes."""
        allowed = f"Allowed: {_list(self.directories)}"
        if self.within:
            allowed += f", narrowed by the client's roots: {_list(self.within)}"
        return f"{allowed}. Other repositories need --repository PATH when the server starts."


def _list(paths: Sequence[Path]) -> str:
    shown = ", ".join(map(str, paths[:10]))
    return shown if len(paths) <= 10 else f"{shown} and {len(paths) - 10} more"


def _resolve(path: Path) -> Path:
    return Path(os.path.realpath(path))
