"""A whole copy of each vector index beside the one that Chroma writes in place, to put back after a kill.

Chroma keeps texts, metadata and the log of writes in SQLite, where nothing is ever half done. The graph of vectors is
a directory of files (HNSW) that it overwrites in place, every few thousand writes; only then it notes in SQLite how
much of the log the files hold (`max_seq_id`), and only then it lets go of that part of the log. A process that is
killed while it overwrites leaves files that are neither the old state nor the new one, and no way to tell by looking
at them: some do not load, some crash whoever loads them, some answer wrongly.

So after each such saving the files are copied to a directory whose name says the number that SQLite had then. Where
SQLite still has that number, the files must be the copied ones, and if they are not, the copy takes their place: Chroma
applies the rest from its log. Where SQLite has gone on, the saving was whole.

Everything here blocks, and is called under the lock of the data directory; `read` and `tidy` look into Chroma's
database, and are called only while no call to Chroma is under way in this process (see `Chroma.stamp`).
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

Print: TypeAlias = tuple[tuple[str, int, int], ...]

_ROOM: Final = 1 << 20
_SEGMENT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_STATE: Final = (
    "SELECT segments.id, max_seq_id.seq_id FROM segments LEFT JOIN max_seq_id ON max_seq_id.segment_id = segments.id "
    "WHERE segments.collection = ? AND segments.scope = 'VECTOR'"
)
_LAST: Final = (
    "SELECT max_seq_id.seq_id FROM segments JOIN max_seq_id ON max_seq_id.segment_id = segments.id "
    "WHERE segments.collection = ? AND segments.scope = 'METADATA'"
)


class Saved(NamedTuple):
    """What SQLite says of the files of a collection: where they are, and how much of the log they hold."""

    segment: str
    state: str

    @property
    def name(self) -> str:
        """What the copy of this state is called."""
        return f"{self.segment}.{self.state}"


class Safekeeping:
    """The copies of a data directory, in `kept` beneath it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = folder / "kept"
        self._seen: dict[str, tuple[str, Print]] = {}

    def glance(self) -> int:
        """What changes when a copy was put back: who had loaded the files before must load them anew."""
        try:
            return (self._kept / "restored").stat().st_mtime_ns
        except OSError:
            return 0

    def is_news(self, collection: str) -> bool:
        """Tell whether the files of a collection are not those that were there at the last `keep`."""
        segment, seen = self._seen.get(collection, ("", ()))
        return not segment or _look(self._folder / segment) != seen

    def read(self, collection: str) -> Saved | None:
        """What SQLite says; None where there is no such collection, or a later Chroma keeps it elsewhere."""
        with suppress(sqlite3.Error), closing(self._connect()) as raw:
            row = raw.execute(_STATE, (collection,)).fetchone()
            if row is not None:
                return Saved(str(row[0]), "none" if row[1] is None else _spell(row[1]))
        return None

    def last_write(self, collection: str) -> str | None:
        """What changes with each write to a collection, whoever writes; None where this cannot be told."""
        with suppress(sqlite3.Error), closing(self._connect()) as raw:
            row = raw.execute(_LAST, (collection,)).fetchone()
            if row is not None and row[0] is not None:
                return _spell(row[0])
        return None

    def count_vectors(self, saved: Saved) -> int:
        """For how many vectors, deleted ones too, the files have room, in four bytes for each; 0 where unknown."""
        try:
            return (self._folder / saved.segment / "length.bin").stat().st_size // 4
        except OSError:
            return 0

    def keep(self, collection: str, saved: Saved) -> None:
        """Copy the files of a collection if they were saved anew; raises OSError, on a full disk say."""
        copy, files = self._kept / saved.name, self._folder / saved.segment
        if not copy.exists() or _look(copy) != _look(files):  # Chroma makes files before it saves anything in them
            self._copy(files, copy)
            for other in self._kept.glob(f"{saved.segment}.*"):
                if other != copy:
                    shutil.rmtree(other)
        self._seen[collection] = (saved.segment, _look(files))

    def is_torn(self, saved: Saved) -> bool:
        """Tell whether the files are not those of the state that SQLite names."""
        copy = self._kept / saved.name
        return copy.exists() and _look(copy) != _look(self._folder / saved.segment)

    def restore(self, collection: str, saved: Saved) -> None:
        """Put the copy in place of the files, while Chroma has none of them open. May be cut short and done again."""
        copy, files = self._kept / saved.name, self._folder / saved.segment
        self._seen.pop(collection, None)
        (self._kept / "restored").touch()
        with suppress(FileNotFoundError):
            shutil.rmtree(files)
        if _look(copy):
            self._copy(copy, files)

    def find_room(self) -> None:
        """Write as much as a small write of Chroma takes, and take it away again; raises OSError."""
        path = self._folder / "room.tmp"
        try:
            with path.open("wb") as file:
                file.write(bytes(_ROOM))
                file.flush()
                os.fsync(file.fileno())
        finally:
            path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the files of collections that are gone, which Chroma leaves, and their copies."""
        with suppress(sqlite3.Error), closing(self._connect()) as raw:
            known = {str(row[0]) for row in raw.execute("SELECT id FROM segments")}
            for path in self._kept.glob("*.*"):
                segment = path.name.partition(".")[0]
                if segment in known:
                    continue
                if _SEGMENT.fullmatch(segment):
                    shutil.rmtree(self._folder / segment, ignore_errors=True)
                shutil.rmtree(path, ignore_errors=True)

    def _copy(self, source: Path, target: Path) -> None:
        """Copy files with their times, so that they look the same; all of them are there or none."""
        unfinished = self._kept / "unfinished.copy"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, _, _ in _look(source):
            shutil.copy2(source / name, unfinished / name)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)

    def _connect(self) -> sqlite3.Connection:
        uri = f"file:{quote(str(self._folder / 'chroma.sqlite3'))}?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=5)


def _look(folder: Path) -> Print:
    """Names, sizes and times of files: what tells one saving from another. A folder that is not there has none."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except FileNotFoundError:
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))


def _spell(number: object) -> str:
    """The number as a name; databases of Chroma before 1.0 hold it as bytes."""
    return number.hex() if isinstance(number, bytes) else str(number)
