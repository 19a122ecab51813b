"""insert_record: the one write there is, on a connection of its own that lives for the one row."""

import asyncio
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote as quote_url

from .catalog import KEY_TABLE, find_table
from .fences import Leash, fence
from .policy import fold, nearest, quote
from .reader import Reader
from .refusals import (
    SQLITE_INTERRUPT,
    SQLITE_READONLY,
    Refusal,
    describe_file_error,
    describe_statement_error,
    is_busy,
    locked_text,
    primary_code,
)
from .values import Value, decode

LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class InsertResult:
    """The row that was inserted. `replayed`: the key was used before, and nothing was changed by this call.

    `rowid` is None for a WITHOUT ROWID table.
    """

    table: str
    rowid: int | None
    replayed: bool

    def __str__(self) -> str:
        row = "" if self.rowid is None else f" as row {self.rowid}"
        if self.replayed:
            return f"This key was used before: the row is in {self.table}{row}, and nothing was inserted now."
        return f"Inserted into {self.table}{row}."


@dataclass(frozen=True, slots=True)
class Target:
    """A row to insert, with every name in the file's own spelling, and what may not be named in an error."""

    table: str
    values: dict[str, Value]
    has_rowid: bool
    withheld: frozenset[str]

    @property
    def digest(self) -> str:
        """A digest of table and row, so that a key cannot be used again for another row."""
        told = {name: value.hex() if isinstance(value, bytes) else value for name, value in self.values.items()}
        kinds = {name: type(value).__name__ for name, value in self.values.items()}
        text = json.dumps([fold(self.table), told, kinds], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def resolve(reader: Reader, table: str, data: Mapping[str, object]) -> Target:
    """Find the table and columns that are meant; refuse what is not there, generated, masked, or a view."""
    name = find_table(reader, table)
    ((kind, without_rowid),) = reader.ask_schema(
        "SELECT type, wr FROM pragma_table_list WHERE schema='main' AND name=?", (name,)
    )
    if kind not in ("table", "virtual"):
        raise Refusal(f"{name} is a {kind}; a row can be inserted into a table only. list_tables shows them.")
    if not data:
        raise Refusal("data is empty: give at least one column with its value.")
    columns = {fold(str(row[1])): row for row in reader.ask_schema("SELECT * FROM pragma_table_xinfo(?)", (name,))}
    values: dict[str, Value] = {}
    for given, value in data.items():
        row = columns.get(fold(given))
        if row is None:
            close = nearest(given, [str(row[1]) for row in columns.values()])
            hint = f" Nearest: {', '.join(close)}." if close else ""
            raise Refusal(f"{name} has no column {given!r}.{hint} describe_table shows them.")
        if row[6] in (2, 3):
            raise Refusal(f"{name}.{row[1]} is a generated column: leave it out, the database computes it.")
        if reader.scope is not None and reader.scope.admit(name, str(row[1])) == "masked":
            raise Refusal(f"{name}.{row[1]} is masked here and cannot be written: leave it out.")
        if str(row[1]) in values:
            raise Refusal(f"data names the column {row[1]} twice.")
        values[str(row[1])] = decode(value, f"data[{given!r}]")
    withheld = frozenset(reader.scope.denied_names if reader.scope is not None else ())
    return Target(name, values, not without_rowid and kind == "table", withheld)


def spell_key(key: str | None, owner: str) -> str | None:
    """The form in which a key is kept: one that others have chosen too is not the same. Raises `Refusal`."""
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise Refusal(f"idempotency_key must have 1 to {LONGEST_KEY} characters.")
    return f"{owner}\n{key}" if key is not None and owner else key


async def insert(path: Path, target: Target, key: str | None, leash: Leash) -> InsertResult:
    """Insert the row in one transaction.

    The key is kept in the same file, in the table mcp_idempotency_keys, which is made at the first key: only there do
    row and key become durable in one commit, for every process that serves the file and after any crash. Memory
    forgets at a restart; a file beside the database can be one row ahead or behind. The price is one table more in a
    file that other programs may share; it is made only when a caller sends a key.
    """
    work = asyncio.ensure_future(asyncio.to_thread(_insert, path, target, key, leash))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        leash.stopped = True  # what was not committed is rolled back; what was stays, and the key tells
        await asyncio.wait([work])
        work.exception()
        raise


def _insert(path: Path, target: Target, key: str | None, leash: Leash) -> InsertResult:
    uri = f"file:{quote_url(os.fsencode(path))}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=0, timeout=0.05)) as raw:
            fence(raw, lambda: leash)
            raw.execute("PRAGMA foreign_keys=1")
            raw.execute("PRAGMA trusted_schema=1")  # its own triggers and defaults are what the table is made of
            raw.set_authorizer(_WriteGuard())
            _insist(raw, "BEGIN IMMEDIATE", leash)
            try:
                result = _replay(raw, target, key) if key is not None else None
                if result is None:
                    result = _write(raw, target)
                    if key is not None:
                        _remember(raw, target, key, result)
                _insist(raw, "COMMIT", leash)
            finally:
                with suppress(sqlite3.Error):
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
            return result
    except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, ValueError, MemoryError) as error:
        raise _explain(error, path, target, leash) from None


def _insist(raw: sqlite3.Connection, statement: str, leash: Leash) -> None:
    """Run a statement that others may hold off: a writer the beginning, readers of a file without a log the end."""
    while True:
        try:
            raw.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or leash.pulls():
                raise
        else:
            return


def _write(raw: sqlite3.Connection, target: Target) -> InsertResult:
    names = ", ".join(quote(name) for name in target.values)
    marks = ", ".join("?" for _ in target.values)
    cursor = raw.execute(
        f"INSERT INTO main.{quote(target.table)} ({names}) VALUES ({marks})",  # noqa: S608  names from the file, quoted
        list(target.values.values()),
    )
    if cursor.rowcount == 0:
        raise Refusal(
            "A trigger of the table ignored the row: nothing was inserted. describe_table shows the triggers."
        )
    return InsertResult(target.table, cursor.lastrowid if target.has_rowid else None, replayed=False)


def _replay(raw: sqlite3.Connection, target: Target, key: str) -> InsertResult | None:
    raw.execute(
        f"CREATE TABLE IF NOT EXISTS main.{KEY_TABLE} "
        "(key TEXT PRIMARY KEY, digest TEXT NOT NULL, row INTEGER, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    found = raw.execute(f"SELECT digest, row FROM main.{KEY_TABLE} WHERE key=?", (key,)).fetchone()  # noqa: S608  a constant
    if found is None:
        return None
    digest, rowid = found
    if digest != target.digest:
        raise Refusal("This idempotency_key was used before for another row. Use a new key for a new row.")
    return InsertResult(target.table, rowid, replayed=True)


def _remember(raw: sqlite3.Connection, target: Target, key: str, result: InsertResult) -> None:
    raw.execute(
        f"INSERT INTO main.{KEY_TABLE} (key, digest, row) VALUES (?, ?, ?)",  # noqa: S608  a constant
        (key, target.digest, result.rowid),
    )


class _WriteGuard:
    """Behind the fixed statements of this module: allows rows to change, and no schema but the key table's."""

    def __call__(self, action: int, one: str | None, two: str | None, _schema: str | None, _source: str | None) -> int:
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA):
            reading = action == sqlite3.SQLITE_PRAGMA and two is None and one in ("data_version", "page_size")
            return sqlite3.SQLITE_OK if reading else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION:
            bad = fold(two or "") in ("load_extension", "fts3_tokenizer", "writefile", "edit", "readfile")
            return sqlite3.SQLITE_DENY if bad else sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_CREATE_TABLE:
            return sqlite3.SQLITE_OK if one == KEY_TABLE else sqlite3.SQLITE_DENY
        allowed = (
            sqlite3.SQLITE_SELECT,
            sqlite3.SQLITE_READ,
            sqlite3.SQLITE_RECURSIVE,
            sqlite3.SQLITE_INSERT,
            sqlite3.SQLITE_UPDATE,
            sqlite3.SQLITE_DELETE,
            sqlite3.SQLITE_TRANSACTION,
            sqlite3.SQLITE_SAVEPOINT,
            sqlite3.SQLITE_CREATE_INDEX,
            sqlite3.SQLITE_REINDEX,
        )
        return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _explain(error: BaseException, path: Path, target: Target, leash: Leash) -> Refusal:
    from .scope import mentions

    if isinstance(error, sqlite3.Error):
        if primary_code(error) == SQLITE_INTERRUPT:
            return Refusal(
                f"The insert was stopped after {leash.seconds:g} s and undone. Try again, or ask the operator."
            )
        if is_busy(error):
            return Refusal(locked_text(path, leash.seconds))
        if primary_code(error) == SQLITE_READONLY:
            return Refusal(f"{path} may not be written by this user. Nothing was inserted. The operator must allow it.")
        if text := describe_file_error(error, path):
            return Refusal(text)
    text = describe_statement_error(error)
    if any(mentions(text, name) for name in target.withheld):
        return Refusal(
            "The database refused the row by a rule on a table that is not served here. Nothing was inserted."
        )
    return Refusal(f"{text} Nothing was inserted.")
