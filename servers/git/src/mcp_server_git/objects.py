"""Objects read in this process: commits, trees and blobs, read-only, from files and packs that are data to it."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .packs import LARGEST, Packs
from .refusals import Refusal
from .regular import read_regular

if TYPE_CHECKING:
    from .layout import Layout

SECONDS: Final = 5.0
HEAD: Final = re.compile(rb"(commit|tree|blob|tag) ([0-9]{1,9})")
ENTRY: Final = re.compile(rb"([0-7]{5,6}) ([^\x00]+)\x00")
IDENTITY: Final = re.compile(r"[0-9a-f]{40}")


class Entry(NamedTuple):
    """An entry of a tree."""

    mode: str
    hash: str
    name: bytes

    @property
    def kind(self) -> str:
        """What it is: tree, blob, link (a symbolic one) or commit (a submodule)."""
        return {"4": "tree", "12": "link", "16": "commit"}.get(self.mode[:-4], "blob")


class Objects:
    """The objects of one repository. What reads the packs is not safe for threads, so it has one thread of its own."""

    def __init__(self, layout: Layout) -> None:
        self._places = (layout.objects, *layout.alternates)
        self._thread: ThreadPoolExecutor | None = None
        self._packs: list[Packs] = []

    async def read(self, identity: str) -> tuple[str, bytes] | None:
        """Give an object's type and content; None where it cannot be told here, and git must be asked."""
        if not IDENTITY.fullmatch(identity):
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="objects")
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._read, identity)
        try:
            async with asyncio.timeout(SECONDS):
                return await work
        except TimeoutError:
            self.close()
            return None

    def _read(self, identity: str) -> tuple[str, bytes] | None:
        deadline = time.monotonic() + SECONDS
        try:
            for place in self._places:
                found = _read_loose(place, identity)
                if found is not None:
                    return found
            return self._read_packed(bytes.fromhex(identity), deadline)
        except Exception:  # damaged data makes the reader of packs fail in every way; git says what it is
            return None

    def _read_packed(self, identity: bytes, deadline: float) -> tuple[str, bytes] | None:
        for packs in self._packs:
            found = packs.read(identity, deadline)
            if found is not None:
                return found
        self._packs = self._packs or [Packs(each) for each in self._places]
        for packs in self._packs:  # git may have packed since
            packs.update()
            found = packs.read(identity, deadline)
            if found is not None:
                return found
        return None

    def close(self) -> None:
        """Let go of the thread and of the open packs."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._thread, self._packs = None, []


def _read_loose(place: Path, identity: str) -> tuple[str, bytes] | None:
    packed = read_regular(place / identity[:2] / identity[2:], LARGEST)
    if packed is None:
        return None
    data = zlib.decompressobj().decompress(packed, LARGEST + 64)
    head, _, content = data.partition(b"\0")
    found = HEAD.fullmatch(head)
    return (found[1].decode(), content) if found and int(found[2]) == len(content) else None


def parse_tree(data: bytes, width: int) -> list[Entry]:
    """Read a tree's content; `width` is the length of a hash in bytes. Raises `Refusal` for a damaged one."""
    entries: list[Entry] = []
    at = 0
    while at < len(data):
        found = ENTRY.match(data, at)
        if found is None or found.end() + width > len(data):
            raise Refusal("A directory of this revision is damaged. `git fsck` tells more.")
        at = found.end() + width
        entries.append(Entry(found[1].decode(), data[found.end() : at].hex(), found[2]))
    return entries
