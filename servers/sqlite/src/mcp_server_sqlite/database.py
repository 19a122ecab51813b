"""Database: one SQLite file, answered from read-only. The front door of the domain; it knows nothing of MCP."""

import asyncio
import os
import sqlite3
import stat
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from . import catalog, plan, writing
from .answers import QueryResult, collect
from .fences import OLDEST, Leash, connect
from .line import Line
from .policy import Policy, fold, quote
from .reader import Reader
from .refusals import Refusal, describe_file_error, is_busy
from .scope import unmatched
from .values import Params

T = TypeVar("T")
MOST_AT_ONCE = 32
KEPT_OPEN = 4
MOST_ASPECTS = 32  # sets of tables that are withheld from somebody, each with connections of its own


@dataclass(slots=True)
class Crowd:
    """How many calls are at a file now, whatever is withheld from them."""

    inside: int = 0


class Database:
    """A file and the policy it is served under. Making one touches nothing: the file opens at the first call."""

    def __init__(self, name: str, path: Path, policy: Policy) -> None:
        self.name = name
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links, and name another file in errors
        self.policy = policy
        self._idle: list[Line] = []
        self._crowd = Crowd()
        self._aspects: OrderedDict[frozenset[str], Database] = OrderedDict()
        self._retired = False  # an aspect that is not asked for any more keeps no connection

    @classmethod
    def open(cls, path: Path | str, policy: Policy | None = None, name: str = "main") -> "Database":
        """Make a database that opens when first asked, so that a missing file is an answer and not a crash."""
        return cls(name, Path(path), policy or Policy())

    def problem(self) -> str | None:
        """Say in one line why the file cannot be served, or None; for the command line, before the server starts.

        A file that is merely locked is none: it will be served once the writer is done.
        """
        try:
            self._identify()
            raw, guard = connect(self.path, self.policy.immutable, lambda: None)
            try:
                guard.trusted = True
                raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            finally:
                raw.close()
        except Refusal as refusal:
            return str(refusal)
        except sqlite3.Error as error:
            return None if is_busy(error) else describe_file_error(error, self.path) or f"{self.path}: {error}."
        return None

    async def check(self) -> None:
        """Open the file on a connection of its own, and read from it; raises `Refusal` with what `problem` says."""
        problem = await asyncio.to_thread(self.problem)
        if problem is not None:
            raise Refusal(problem)

    async def query(self, sql: str, params: Params | None = None, limit: int = 100) -> QueryResult:
        """Run one statement that reads; `limit` is capped by the policy's rows."""
        if limit < 1:
            raise Refusal("limit must be at least 1.")

        def job(reader: Reader) -> QueryResult:
            cursor = reader.execute(sql, params)
            if cursor.description is None:
                raise Refusal(
                    "The SQL holds no statement that gives rows. Send one SELECT, WITH, VALUES, EXPLAIN or PRAGMA."
                )
            result = collect(cursor, limit, self.policy, reader.began)
            return catalog.note_masks(result, reader)

        return await self._read(job)

    async def list_tables(self, schema: str | None = None, pattern: str | None = None) -> list[catalog.TableSummary]:
        """List tables, views and virtual tables; the pattern is a part of a name, or has * and ? (or %) in it."""
        catalog.check_schema(schema)
        return await self._read(lambda reader: catalog.list_tables(reader, pattern))

    async def describe_table(self, table: str, schema: str | None = None) -> catalog.TableDescription:
        """Tell all there is to know of a table or view; an unknown name is refused with the nearest ones."""
        catalog.check_schema(schema)
        return await self._read(lambda reader: catalog.describe_table(reader, table))

    async def explain_query(self, sql: str, params: Params | None = None, analyze: bool = False) -> plan.Plan:
        """Give the plan of a statement as a tree; with `analyze` also run it, to its end or the deadline."""
        return await self._read(lambda reader: plan.explain(reader, sql, params, analyze))

    async def table_names(self) -> list[str]:
        """Give the names that list_tables gives, for completion."""
        return await self._read(catalog.list_names)

    async def sample_rows(self, table: str, limit: int = 20) -> QueryResult:
        """Give the first rows of a table, in no order that means anything."""

        def job(reader: Reader) -> QueryResult:
            known = catalog.find_table(reader, table)
            cursor = reader.execute(f"SELECT * FROM {quote(known)}", None)  # noqa: S608  quoted
            result = collect(cursor, limit, self.policy, reader.began)
            return catalog.note_masks(result, reader)

        return await self._read(job)

    async def schema_ddl(self, table: str | None = None) -> str:
        """Give the DDL of one table with its indexes and triggers, or of the whole schema, as one SQL text."""
        return await self._read(lambda reader: catalog.write_ddl(reader, table))

    async def insert_record(
        self, table: str, data: Mapping[str, object], idempotency_key: str | None = None, owner: str = ""
    ) -> writing.InsertResult:
        """Insert one row; only where the policy allows writing. A key is its owner's, where somebody is known."""
        leash = Leash(self.policy.query_timeout)
        if not self.policy.allow_write:
            raise Refusal("This database is served read-only. Only the operator can change that, with --allow-write.")
        target = await self._use(lambda reader: writing.resolve(reader, table, data), leash)
        return await writing.insert(self.path, target, writing.spell_key(idempotency_key, owner), leash)

    async def policy_warnings(self) -> list[str]:
        """Name what is denied or masked but not in the file: a misspelling there is a silent hole."""

        def job(reader: Reader) -> list[str]:
            if reader.scope is None:
                return []
            return unmatched(reader.scope, catalog.list_columns(reader), self.policy)

        return [
            f"Nothing in {self.path} is named {name}: check --deny-table, --mask-column, deny_tables."
            for name in await self._read(job)
        ]

    async def without(self, tables: frozenset[str]) -> "Database":
        """The same database for somebody for whom these tables do not exist either.

        Each set of them has connections, and whatever is kept on these, of its own; those of a set that was not asked
        for lately are closed.
        """
        added = frozenset(map(fold, tables)) - frozenset(map(fold, self.policy.deny_tables))
        if not added:
            return self
        aspect = self._aspects.get(added)
        if aspect is None:
            policy = replace(self.policy, deny_tables=self.policy.deny_tables | added)
            aspect = self._aspects[added] = Database(self.name, self.path, policy)
            aspect._crowd = self._crowd
        self._aspects.move_to_end(added)
        while len(self._aspects) > MOST_ASPECTS:
            _, oldest = self._aspects.popitem(last=False)
            await oldest._retire()
        return aspect

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield once for every change that anybody commits to the file, or when it is replaced, from this call on."""
        from .changes import watch  # here: only a subscriber needs it

        return watch(self.path)

    async def close(self) -> None:
        """Close every connection that is idle; one that still runs closes when its call ends."""
        aspects, self._aspects = self._aspects, OrderedDict()
        for aspect in aspects.values():
            await aspect._retire()
        lines, self._idle = self._idle, []
        for line in lines:
            await line.hang_up()

    async def _retire(self) -> None:
        self._retired = True
        await self.close()

    async def _read(self, job: Callable[[Reader], T]) -> T:
        return await self._use(job, Leash(self.policy.query_timeout))

    async def _use(self, job: Callable[[Reader], T], leash: Leash) -> T:
        """Run a job in a transaction on a connection of its own."""
        if self._crowd.inside >= MOST_AT_ONCE:
            raise Refusal(
                f"{MOST_AT_ONCE} queries are running on this database, as many as may. Try again in a moment."
            )
        self._crowd.inside += 1
        line = None
        try:
            line = await self._borrow()
            return await line.run(lambda reader: _transact(reader, job, leash), leash)
        finally:
            await self._give_back(line)

    async def _borrow(self) -> Line:
        identity = self._identify()
        while self._idle:
            line = self._idle.pop()
            if line.identity == identity:
                return line
            await line.hang_up()  # the file was replaced
        line = Line(self.path, self.policy, identity)
        opening = asyncio.ensure_future(line)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if opening.exception() is None:
                await line.hang_up()
            raise
        return line

    async def _give_back(self, line: Line | None) -> None:
        if line is not None and line.ending is not None:
            line.ending.add_done_callback(self._free)  # until its thread is free its place stays taken
            return
        self._crowd.inside -= 1
        if line is None:
            return
        if len(self._idle) < KEPT_OPEN and not self._retired:
            self._idle.append(line)
        else:
            await line.hang_up()

    def _free(self, _ended: object) -> None:
        self._crowd.inside -= 1

    def _identify(self) -> tuple[int, int]:
        """Give what tells this file from another of the same name; refuse what is no readable file."""
        if sqlite3.sqlite_version_info < OLDEST:
            raise Refusal(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or later is needed. Use a newer Python.")
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise Refusal(
                f"There is no file {self.path}. Check --db-path, or start the server with --create (an empty database) "
                "or --sample (a small shop)."
            ) from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid path"
            raise Refusal(f"{self.path} cannot be looked at: {reason}. Check --db-path and its permissions.") from None
        if stat.S_ISDIR(status.st_mode):
            raise Refusal(f"{self.path} is a folder. --db-path must name an SQLite database file.")
        if not stat.S_ISREG(status.st_mode):
            raise Refusal(f"{self.path} is no regular file. --db-path must name an SQLite database file.")
        if not os.access(self.path, os.R_OK):
            raise Refusal(f"{self.path} may not be read by this user. Change its permissions, or --db-path.")
        return status.st_dev, status.st_ino


def _transact(reader: Reader, job: Callable[[Reader], T], leash: Leash) -> T:
    with reader.transaction(leash):
        return job(reader)
