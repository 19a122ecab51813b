"""The file of `--auth` while the server runs: read again when it changes, kept as it was where it is broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from mcp_kernel.auth.resource.document import Document, Mistaken, read

_LOG = logging.getLogger("mcp_kernel")

Part: TypeAlias = Callable[[Document], Callable[[], None]]
"""Understands a part of the file: notes what is wrong, and returns what puts the rest to use."""

_SECONDS: Final = 1.0  # between two looks

Mark: TypeAlias = "tuple[int, int, int] | None"


class AuthFile:
    """A file and whoever understands a part of it. All of it is put to use, or nothing."""

    def __init__(self, path: Path, parts: Iterable[Part], clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._parts = tuple(parts)
        self._clock = clock
        self._mark: Mark = None
        self._due = 0.0

    def load(self) -> None:
        """Read the file, put it to use and tell the log what is doubtful; raises `Mistaken`."""
        self._due = self._clock() + _SECONDS
        self._mark = _mark(self._path)  # before it is read: what is written meanwhile is seen at the next look
        document = read(self._path)
        uses = [part(document) for part in self._parts]
        document.require_sound()
        for use in uses:
            use()
        for doubt in sorted(set(document.doubts)):
            _LOG.warning("%s:%d: %s", self._path, doubt.line, doubt.text)

    def look(self) -> None:
        """Load the file again where it has changed, once a second at most."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + _SECONDS
        if _mark(self._path) == self._mark:
            return
        try:
            self.load()
        except Mistaken as error:
            _LOG.error("The file of --auth has changed and cannot be used; what it said before stays.\n%s", error)
        else:
            _LOG.warning("The file of --auth has changed; what it says holds from now on.")


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
