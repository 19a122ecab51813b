"""SQLite: a file with one connection that writes and one that reads, each on a thread of aiosqlite's."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from .finishing import finish
from .following import Follower
from .opening import prepare
from .refusals import Refusal, Unavailable
from .schema_sqlite import SCHEMA
from .seeding import Seed
from .storage import Change, Listener, Row, Schema, Value

if TYPE_CHECKING:
    import aiosqlite

_PATIENCE: Final = 5.0  # seconds that another program's transaction is waited for
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class _Transaction:
    """The work of one transaction on a connection."""

    def __init__(self, connection: "aiosqlite.Connection") -> None:
        self.changes: list[Change] = []
        self._connection = connection

    async def fetch(self, sql: str, *values: Value) -> Sequence[Row]:
        return [tuple(row) for row in await self._connection.execute_fetchall(sql, _adapt(values))]

    async def run(self, sql: str, *values: Value) -> int:
        async with self._connection.execute(sql, _adapt(values)) as cursor:
            return cursor.rowcount

    async def insert(self, sql: str, *values: Value) -> int:
        row = await self._connection.execute_insert(sql, _adapt(values))
        assert row is not None  # noqa: S101  # SELECT last_insert_rowid() has a row
        return int(row[0])

    def tell(self, change: Change) -> None:
        self.changes.append(change)


def _adapt(values: Sequence[Value]) -> list[str | int | None]:
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


class SqliteStorage:
    """A database file, which is made where there is none. Making one of these opens nothing."""

    def __init__(self, path: Path, seed: Seed, schema: Schema = SCHEMA) -> None:
        self.path = path
        self.origin = os.urandom(8).hex()
        self.listener: Listener | None = None
        self._seed, self._schema = seed, schema
        self._follower = Follower(path, self.origin)
        self._file: tuple[int, int] | None = None
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        self._opening, self._writing, self._reading = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[_Transaction]:
        async with self._writing:
            writer, _ = await self._open()
            work = _Transaction(writer)
            try:
                await self._execute(writer, "BEGIN IMMEDIATE")
                yield work
                await finish(self._commit(writer, work))
            except sqlite3.Error as error:
                raise self._explain(error) from error
            finally:
                await finish(_roll_back(writer))

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[_Transaction]:
        async with self._reading:
            _, reader = await self._open()
            try:
                await self._execute(reader, "BEGIN")
                yield _Transaction(reader)
            except sqlite3.Error as error:
                raise self._explain(error) from error
            except asyncio.CancelledError:
                await reader.interrupt()
                raise
            finally:
                await finish(_roll_back(reader))

    async def watch(self) -> None:
        await self._open()
        await self._follower.follow(self._hear)

    async def close(self) -> None:
        async with self._opening:
            await self._disconnect()

    async def _disconnect(self) -> None:
        connections, self._writer, self._reader = (self._writer, self._reader), None, None
        for connection in connections:
            if connection is not None:
                with suppress(sqlite3.Error):
                    await connection.close()

    async def _commit(self, writer: "aiosqlite.Connection", work: _Transaction) -> None:
        await self._execute(writer, "COMMIT")
        for change in work.changes:
            self._hear(change)

    def _hear(self, change: Change | None) -> None:
        if self.listener is not None:
            self.listener(change)

    async def _open(self) -> "tuple[aiosqlite.Connection, aiosqlite.Connection]":
        """The two connections; at the first use the file is made, brought to this version, and filled."""
        async with self._opening:
            if self._writer is not None and self._file != _identify(self.path):
                await self._disconnect()  # what were written into a file that was removed would be lost
            if self._writer is None or self._reader is None:
                await finish(self._connect())
            assert self._writer is not None  # noqa: S101  # _connect() raises or makes both
            assert self._reader is not None  # noqa: S101  # as above
            return self._writer, self._reader

    async def _connect(self) -> None:
        try:
            self._writer = await self._connect_one("rwc")
            await self._keep_log(self._writer)
            await self._prepare(self._writer)
            rows = await self._writer.execute_fetchall("SELECT coalesce(max(id), 0) FROM history")
            ((self._follower.last,),) = rows
            self._reader = await self._connect_one("rw")
            self._file = _identify(self.path)
        except BaseException as error:
            await self._disconnect()
            if isinstance(error, sqlite3.Error):
                raise self._explain(error) from error
            raise

    async def _connect_one(self, mode: str) -> "aiosqlite.Connection":
        import aiosqlite

        uri = f"file:{quote(os.fsencode(self.path))}?mode={mode}"
        connection = aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=_PATIENCE)
        connection._thread.daemon = True  # pyright: ignore[reportPrivateUsage]  # must not keep the process from ending
        try:
            await connection
        except sqlite3.Error:
            await connection.close()  # its thread has started
            raise
        # For searching: lower() of SQLite knows ASCII alone.
        await connection.create_function("fold", 1, _fold, deterministic=True)  # pyright: ignore[reportUnknownMemberType]  # (...) -> Unknown
        await self._execute(connection, "PRAGMA foreign_keys = ON")
        await self._execute(connection, "PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut too
        await self._execute(connection, "PRAGMA trusted_schema = OFF")
        return connection

    async def _keep_log(self, writer: "aiosqlite.Connection") -> None:
        """Have a write-ahead log, so that readers do not wait for the writer.

        SQLite's own patience does not hold here: of two who begin with it at once one is told that the file is locked.
        """
        until = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                await self._execute(writer, "PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.02)

    async def _prepare(self, writer: "aiosqlite.Connection") -> None:
        work = _Transaction(writer)
        try:
            await self._execute(writer, "BEGIN IMMEDIATE")
            ((ours,),) = await work.fetch(self._schema.exists)
            ((tables,),) = await work.fetch("SELECT count(*) FROM sqlite_master")
            if tables and not ours:
                raise Unavailable(
                    f"{self.path} is another program's database: it has tables, and none of this server's. Nothing was "
                    "changed. Name another file with --db-path; one that does not exist is made."
                )
            await prepare(work, self._schema, self._seed, self.origin)
            await self._execute(writer, "COMMIT")
        finally:
            await finish(_roll_back(writer))

    async def _execute(self, connection: "aiosqlite.Connection", sql: str) -> None:
        async with connection.execute(sql):
            pass

    def _explain(self, error: sqlite3.Error) -> Refusal:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if _is_busy(error):
            return Unavailable(
                f"The database is locked by another program, and stayed so for {_PATIENCE:g} s. Nothing was changed; "
                "try again in a moment."
            )
        if code == sqlite3.SQLITE_CANTOPEN:
            return Unavailable(
                f"{self.path} cannot be opened or made. Check the folder of --db-path, and its permissions."
            )
        if code == sqlite3.SQLITE_NOTADB:
            return Unavailable(f"{self.path} is not an SQLite database. Name another file with --db-path.")
        if code == sqlite3.SQLITE_READONLY:
            return Unavailable(f"{self.path} may not be written to. Check its permissions, and those of its folder.")
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return Unavailable(f"The disk of {self.path} is full or broken. Nothing was changed.")
        if code == sqlite3.SQLITE_CORRUPT:
            return Unavailable(f"{self.path} is damaged. Restore a backup, or recover it with: sqlite3 FILE .recover")
        raise error


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _fold(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


async def _roll_back(connection: "aiosqlite.Connection") -> None:
    """End what is not committed; nothing happens where there is no transaction.

    Asking first whether there is one would be too early: a BEGIN whose caller was cancelled may be on its way.
    """
    with suppress(sqlite3.Error):
        await connection.rollback()
