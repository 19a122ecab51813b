"""The keyword index: BM25 over the same passages that Chroma has, in SQLite's FTS5, with the journal of writes.

What Chroma holds is what is true. Before a write touches Chroma it is noted here with all that it takes to do it
again; the note goes in the transaction that brings this index in step. A process that dies in between leaves the note,
and whoever writes next does the write again.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite

from .refusals import Refusal
from .words import spell, terms

_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, chunk TEXT NOT NULL, document TEXT NOT NULL,
    hash TEXT NOT NULL, UNIQUE (collection, chunk));
CREATE INDEX IF NOT EXISTS chunks_document ON chunks (collection, document);
CREATE TABLE IF NOT EXISTS pending (
    collection TEXT NOT NULL, document TEXT NOT NULL, text TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (collection, document));
CREATE TABLE IF NOT EXISTS files (
    collection TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
    PRIMARY KEY (collection, path));
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = 2;
COMMIT;
"""
_VERSION: Final = 2
_LEAST: Final = 0.1  # of the heaviest word's weight: lighter ones change no ranking, and match most of the passages
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_IN: Final = 500  # values in one IN (…)


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage as this index knows it."""

    chunk: str
    document: str
    hash: str
    text: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A write that was begun: what it is of, and all that it takes to do it again."""

    collection: str
    document: str
    body: str
    text: str = ""


def refuse(error: sqlite3.Error, path: Path) -> Refusal:
    """What to say of an index that failed in use: is it damaged, or has the disk no room, say?"""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
        return _refuse_damage(error, path)
    return Refusal(
        f"The keyword index {path} cannot be read or written: {error}. See to its disk, then call again; what was "
        "acknowledged is kept."
    )


def _refuse_damage(error: sqlite3.Error | OSError, path: Path) -> Refusal:
    return Refusal(
        f"The keyword index {path} cannot be opened ({error}): it can be deleted, with the files that begin like it, "
        "while no server runs, and is built again from Chroma."
    )


class Keywords:
    """One index of all collections, each with statistics of its own."""

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._numbers: dict[str, int] = {}

    @classmethod
    async def open(cls, path: Path) -> Keywords:
        """Open or make the file; raises `Refusal`."""
        try:
            return await cls._open(path)
        except (sqlite3.Error, OSError) as error:
            raise _refuse_damage(error, path) from error

    @classmethod
    async def _open(cls, path: Path) -> Keywords:
        writer = await aiosqlite.connect(path, isolation_level=None, timeout=10)
        try:
            await writer.execute("PRAGMA journal_mode=WAL")
            await writer.execute("PRAGMA synchronous=NORMAL")
            async with writer.execute("PRAGMA user_version") as cursor:
                row = await cursor.fetchone()
            version = 0 if row is None else int(row[0])
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"it was made by another version of this program, {version}")
            if version == 0:
                await writer.executescript(_SCHEMA)
            reader = await aiosqlite.connect(path, isolation_level=None, timeout=10)
        except BaseException:
            await writer.close()
            raise
        return cls(writer, reader)

    async def close(self) -> None:
        """Close the file."""
        await self._reader.close()
        await self._writer.close()

    # --- searching ---

    async def search(self, uuid: str, query: str, limit: int) -> dict[str, float]:
        """The chunks that match best, with scores between 0 and 1: the share of the highest score there can be."""
        number = await self._number(uuid)
        weights = {} if number is None else await self._weigh(number, terms(query))
        if not weights:
            return {}
        highest = sum(weights.values()) * 2.2  # k1 + 1: what BM25 would give a passage that is nothing but these words
        sql = (
            f"SELECT chunk, -bm25(words_{number}) FROM words_{number} JOIN chunks ON chunks.id = words_{number}.rowid "  # noqa: S608  # a number of ours
            f"WHERE words_{number} MATCH ? ORDER BY rank LIMIT ?"
        )
        rows = await self._reader.execute_fetchall(sql, (" OR ".join(weights), limit))
        return {str(chunk): min(float(score) / highest, 1.0) for chunk, score in rows}

    async def _weigh(self, number: int, words: Sequence[str]) -> dict[str, float]:
        """The words that tell passages apart, by FTS5's own measure: a word of half of all passages weighs nothing."""
        if not words:
            return {}
        ((passages,),) = await self._reader.execute_fetchall(f"SELECT count(*) FROM words_{number}_docsize")  # noqa: S608  # a number of ours
        most = passages // 2 + 1
        each = f"(SELECT count(*) FROM (SELECT 1 FROM words_{number} WHERE words_{number} MATCH ? LIMIT {most}))"  # noqa: S608  # numbers of ours
        (counts,) = await self._reader.execute_fetchall(f"SELECT {', '.join([each] * len(words))}", words)
        weights = {
            # More may be found than were counted: another process writes between the two.
            word: max(math.log((max(passages - found, 0) + 0.5) / (found + 0.5)), 1e-6)
            for word, found in zip(words, counts, strict=True)
            if found
        }
        least = max(weights.values(), default=0.0) * _LEAST
        return {word: weight for word, weight in weights.items() if weight >= least}

    async def count(self, uuid: str) -> tuple[int, int]:
        """How many chunks and documents of a collection are here."""
        sql = (
            "SELECT count(*), count(DISTINCT document) FROM chunks "
            "WHERE collection = (SELECT id FROM collections WHERE uuid = ?)"
        )
        async with self._reader.execute(sql, (uuid,)) as cursor:
            row = await cursor.fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    async def count_all(self) -> int:
        """How many chunks of all collections are here."""
        ((chunks,),) = await self._reader.execute_fetchall("SELECT count(*) FROM chunks")
        return int(chunks)

    async def documents(self, uuid: str, limit: int, prefix: str = "") -> list[str]:
        """The ids of documents, in their order; `limit` may be -1."""
        sql = (
            "SELECT DISTINCT document FROM chunks WHERE collection = (SELECT id FROM collections WHERE uuid = ?) "
            "AND document >= ? AND document < ? ORDER BY document LIMIT ?"
        )
        async with self._reader.execute(sql, (uuid, prefix, prefix + "\U0010ffff", limit)) as cursor:
            return [str(row[0]) async for row in cursor]

    async def hashes(self, uuid: str) -> dict[str, str]:
        """Every chunk of a collection with the hash it was indexed at."""
        sql = "SELECT chunk, hash FROM chunks WHERE collection = (SELECT id FROM collections WHERE uuid = ?)"
        async with self._reader.execute(sql, (uuid,)) as cursor:
            return {str(chunk): str(digest) async for chunk, digest in cursor}

    # --- writing, under the lock of the directory ---

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """One transaction."""
        await self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            await self._writer.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # on a full disk SQLite has rolled back by itself
                await self._writer.execute("ROLLBACK")
            raise

    async def add_collection(self, uuid: str) -> None:
        """Make room for a collection."""
        if await self._number(uuid) is not None:
            return
        async with self.writing():
            await self._writer.execute("INSERT OR IGNORE INTO collections (uuid) VALUES (?)", (uuid,))
            async with self._writer.execute("SELECT id FROM collections WHERE uuid = ?", (uuid,)) as cursor:
                row = await cursor.fetchone()
            number = int(row[0]) if row else 0
            await self._writer.execute(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS words_{number} USING fts5"
                "(text, tokenize = 'porter unicode61 remove_diacritics 2')"
            )

    async def rename_collection(self, old: str, new: str) -> None:
        """Keep what is here of a collection for the one that took its place."""
        await self._writer.execute("UPDATE OR IGNORE collections SET uuid = ? WHERE uuid = ?", (new, old))
        self._numbers.pop(old, None)

    async def remove(self, uuid: str, documents: Sequence[str]) -> None:
        """Take out documents; inside `writing`."""
        await self._remove(uuid, "document", documents)

    async def remove_chunks(self, uuid: str, chunks: Iterable[str]) -> None:
        """Take out chunks; inside `writing`."""
        await self._remove(uuid, "chunk", list(chunks))

    async def _remove(self, uuid: str, column: str, names: Sequence[str]) -> None:
        number = await self._require(uuid)
        for start in range(0, len(names), _IN):
            part = names[start : start + _IN]
            sql = f"SELECT id FROM chunks WHERE collection = ? AND {column} IN ({','.join('?' * len(part))})"  # noqa: S608  # question marks
            rows = [(int(row[0]),) for row in await self._writer.execute_fetchall(sql, (number, *part))]
            if rows:
                await self._writer.executemany(f"DELETE FROM words_{number} WHERE rowid = ?", rows)  # noqa: S608  # a number of ours
                await self._writer.executemany("DELETE FROM chunks WHERE id = ?", rows)

    async def put(self, uuid: str, entries: Sequence[Entry]) -> None:
        """Put in chunks that are not there; inside `writing`."""
        number = await self._require(uuid)
        ((last,),) = await self._writer.execute_fetchall("SELECT coalesce(max(id), 0) FROM chunks")
        rows = [(last + row, number, each.chunk, each.document, each.hash) for row, each in enumerate(entries, 1)]
        await self._writer.executemany(
            "INSERT INTO chunks (id, collection, chunk, document, hash) VALUES (?, ?, ?, ?, ?)", rows
        )
        await self._writer.executemany(
            f"INSERT INTO words_{number} (rowid, text) VALUES (?, ?)",  # noqa: S608  # a number of ours
            [(last + row, spell(each.text)) for row, each in enumerate(entries, 1)],
        )

    # --- the journal ---

    async def note(self, pending: Iterable[Pending]) -> None:
        """Write down what is about to be done."""
        values = [(each.collection, each.document, each.text, each.body) for each in pending]
        async with self.writing():
            await self._writer.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)", values)

    async def settle(self, collection: str, documents: Iterable[str]) -> None:
        """Strike out what was done, and the marks of the files that it was read from; inside `writing`."""
        values = [(collection, document) for document in documents]
        await self._writer.executemany("DELETE FROM pending WHERE collection = ? AND document = ?", values)
        await self._writer.executemany("DELETE FROM files WHERE collection = ? AND path = ?", values)

    async def unsettled(self) -> list[tuple[str, str]]:
        """What was begun and not finished."""
        async with self._writer.execute("SELECT collection, document FROM pending") as cursor:
            return [(str(row[0]), str(row[1])) async for row in cursor]

    async def pending(self, collection: str, document: str) -> Pending | None:
        """One thing that was begun."""
        sql = "SELECT body, text FROM pending WHERE collection = ? AND document = ?"
        async with self._writer.execute(sql, (collection, document)) as cursor:
            row = await cursor.fetchone()
        return None if row is None else Pending(collection, document, str(row[0]), str(row[1]))

    # --- what is remembered ---

    async def remember(self, name: str, value: str) -> None:
        """Keep a value."""
        await self._writer.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    async def recall(self, name: str) -> str | None:
        """A value that was kept."""
        async with self._reader.execute("SELECT value FROM state WHERE name = ?", (name,)) as cursor:
            row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def marks(self, collection: str) -> dict[str, tuple[int, int]]:
        """Sizes and times of the files that were indexed."""
        sql = "SELECT path, size, modified FROM files WHERE collection = ?"
        async with self._reader.execute(sql, (collection,)) as cursor:
            return {str(path): (int(size), int(modified)) async for path, size, modified in cursor}

    async def keep_marks(self, collection: str, marks: Mapping[str, tuple[int, int]]) -> None:
        """Remember the sizes and times of files that were indexed."""
        values = [(collection, path, *mark) for path, mark in marks.items()]
        if values:
            async with self.writing():
                await self._writer.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", values)

    async def _number(self, uuid: str) -> int | None:
        """The number of a collection, which never changes; the reader does not see one that may be taken back."""
        if uuid not in self._numbers:
            rows = await self._reader.execute_fetchall("SELECT id FROM collections WHERE uuid = ?", (uuid,))
            self._numbers.update((uuid, int(row[0])) for row in rows)
        return self._numbers.get(uuid)

    async def _require(self, uuid: str) -> int:
        number = await self._number(uuid)
        if number is None:
            raise LookupError(f"{uuid} was not added")
        return number
