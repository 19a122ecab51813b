"""Objects read through GitPython's database: blobs and trees, without a process, read-only."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from .layout import Layout


class _Stream(Protocol):
    """What the database gives of an object."""

    size: int
    type: bytes

    def read(self) -> bytes: ...


class _Database(Protocol):
    """What is used of `git.db.GitDB`, which has no types."""

    def stream(self, sha: bytes) -> _Stream: ...
    def update_cache(self, force: bool) -> bool: ...


LARGEST: Final = 32 * 1024 * 1024  # bytes of one object; a larger one is left to git, which can be stopped
SECONDS: Final = 5.0


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
    """The objects of one repository. Its database is not safe for threads, so it has one thread of its own."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._thread: ThreadPoolExecutor | None = None
        self._database: _Database | None = None

    async def read(self, identity: str) -> tuple[str, bytes] | None:
        """Give an object's type and content; None where this database cannot tell, and git must be asked."""
        if len(identity) != 40:
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="objects")
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._read, bytes.fromhex(identity))
        try:
            async with asyncio.timeout(SECONDS):
                return await work
        except TimeoutError:
            self.close()
            return None

    def _read(self, identity: bytes) -> tuple[str, bytes] | None:
        from git.db import GitDB
        from git.exc import BadName, BadObject, ODBError

        database = self._database or cast("_Database", GitDB(str(self._layout.objects)))
        self._database = database
        for attempt in range(2):
            try:
                found = database.stream(identity)
                return None if found.size > LARGEST else (found.type.decode(), found.read())
            except (BadObject, BadName):
                if attempt:
                    return None
                database.update_cache(force=True)  # git may have packed since
            except (ODBError, OSError, ValueError, AssertionError, IndexError, MemoryError):
                return None  # damaged, or of a form that it does not know
        return None

    def close(self) -> None:
        """Let go of the thread and of the open packs."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._thread = self._database = None


def parse_tree(data: bytes, width: int) -> list[Entry]:
    """Read a tree's content; `width` is the length of a hash in bytes. Raises `ValueError` for a damaged one."""
    entries: list[Entry] = []
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        zero = data.index(b"\0", space)
        end = zero + 1 + width
        if end > len(data):
            raise ValueError("the tree ends in the middle of an entry")
        entries.append(Entry(data[at:space].decode("ascii"), data[zero + 1 : end].hex(), data[space + 1 : zero]))
        at = end
    return entries
