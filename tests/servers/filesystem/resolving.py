"""A model of what a path may reach: it resolves by the book, one name after the other, in a tree that it only looks at.

Inside the served directories everything is followed. Outside of them nothing is looked at: a path may leave, climb, and
come back by the very names of a served directory, and that is all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_LINKS = 40


class Refused(Exception):
    """The path leads out, in a circle, through a file, or to nothing."""


@dataclass(frozen=True)
class Model:
    """What is served."""

    roots: Sequence[Path]

    def resolve(self, path: str) -> Path:
        """The real place of an absolute path, at which something may be or not; its parent is there."""
        here, todo, links = Path("/"), deque(part for part in path.split("/") if part), 0
        descended = False  # outside of what is served
        while todo:
            part = todo.popleft()
            inside = self._holds(here)
            if part == "..":
                if not inside and descended:
                    raise Refused(path)
                here = here.parent
                continue
            place = here / part
            if not inside:
                descended = True
            if not self._holds(place):
                if not any(root.is_relative_to(place) for root in self.roots):
                    raise Refused(path)
                here = place
                continue
            descended = False
            if place.is_symlink() and place not in self.roots:
                links += 1
                if links > MOST_LINKS:
                    raise Refused(path)
                target = str(place.readlink())
                here = Path("/") if target.startswith("/") else here
                todo.extendleft(reversed([each for each in target.split("/") if each not in ("", ".")]))
                continue
            if todo and not place.is_dir():
                raise Refused(path)
            here = place
        if not self._holds(here):
            raise Refused(path)
        return here

    def _holds(self, place: Path) -> bool:
        return any(place.is_relative_to(root) for root in self.roots)
