"""PostgreSQL: a pool of connections, and one that listens for what others change."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from itertools import count
from typing import Final, Protocol

from .driver import Connection, Pool, connect, is_known, open_pool, state_of, text_of
from .finishing import finish
from .opening import prepare
from .refusals import Refusal, Unavailable
from .schema_postgres import CHANNEL, NAMESPACE, SCHEMA
from .seeding import Seed
from .storage import Change, Listener, Row, Schema, Value

_LOCK: Final = 0x7469636B6574  # "ticket": who makes the tables is alone with them
_PATIENCE: Final = 10.0  # seconds for a connection of the pool, and for a lock
_PATH: Final = f"SET LOCAL search_path TO {NAMESPACE}, pg_temp"
_FOREIGN: Final = f"SELECT count(*) FROM {NAMESPACE}.history WHERE origin <> $1"  # noqa: S608  # the name is ours


class Address(Protocol):
    """A DSN; its `str` and `repr` say where it leads and never how to get in."""

    @property
    def text(self) -> str | None: ...

    def clean(self, text: str) -> str:
        """Take the password out of a text."""
        ...


class _Transaction:
    """The work of one transaction on a connection."""

    def __init__(self, connection: Connection) -> None:
        self.changes: list[Change] = []
        self._connection = connection

    async def fetch(self, sql: str, *values: Value) -> Sequence[Row]:
        return [tuple(row) for row in await self._connection.fetch(_number(sql), *values)]

    async def run(self, sql: str, *values: Value) -> int:
        *_, rows = (await self._connection.execute(_number(sql), *values)).split()
        return int(rows) if rows.isdigit() else 0

    async def insert(self, sql: str, *values: Value) -> int:
        return int(str(await self._connection.fetchval(f"{_number(sql)} RETURNING id", *values)))

    def tell(self, change: Change) -> None:
        self.changes.append(change)


@lru_cache(maxsize=128)
def _number(sql: str) -> str:
    """Write `?` as PostgreSQL does, `$1`, `$2`, …; no text of ours holds one."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


class PostgresStorage:
    """A database with a schema `ticketing`. Making one of these connects to nothing."""

    def __init__(self, target: Address, seed: Seed, schema: Schema = SCHEMA) -> None:
        self.target = target
        self.origin = os.urandom(8).hex()
        self.listener: Listener | None = None
        self._seed, self._schema = seed, schema
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self._foreign = 0  # deeds of others that are known

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[_Transaction]:
        begin = (
            f"BEGIN; {_PATH}; SET LOCAL lock_timeout TO '{_PATIENCE:g}s'; SET LOCAL ticketing.origin TO '{self.origin}'"
        )
        async with self._begin(begin) as connection:
            work = _Transaction(connection)
            yield work
            await finish(self._commit(connection, work))

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[_Transaction]:
        async with self._begin(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_PATH}") as connection:
            yield _Transaction(connection)

    async def watch(self) -> None:
        await self._open()
        try:
            connection = await connect(self.target.text)
        except Exception as error:
            raise self._explain(error) from None
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._take)
            known, self._foreign = self._foreign, await self._count_foreign(connection)
            if self._foreign != known:
                self._hear(None)
            await lost.wait()
        except Exception as error:
            raise self._explain(error) from None
        finally:
            connection.terminate()
        raise Unavailable("The connection that tells of changes was lost.")

    async def close(self) -> None:
        async with self._opening:
            pool, self._pool = self._pool, None
            if pool is not None:
                try:
                    async with asyncio.timeout(1):
                        await pool.close()
                except TimeoutError:
                    pool.terminate()

    def _take(self, _connection: object, _process: int, _channel: str, text: object) -> None:
        match str(text).split():
            case [origin, ticket, what]:
                if origin != self.origin:
                    self._foreign += 1
                    self._hear(Change(int(ticket), what in ("created", "closed")))
            case _:
                self._hear(None)

    def _hear(self, change: Change | None) -> None:
        if self.listener is not None:
            self.listener(change)

    async def _commit(self, connection: Connection, work: _Transaction) -> None:
        await connection.execute("COMMIT")
        for change in work.changes:
            self._hear(change)

    @asynccontextmanager
    async def _begin(self, begin: str) -> AsyncGenerator[Connection]:
        """A connection in a transaction, which is rolled back where it was not committed."""
        pool = await self._open()
        try:
            async with pool.acquire(timeout=_PATIENCE) as connection:
                try:
                    await connection.execute(begin)
                    yield connection
                except BaseException:
                    await finish(_roll_back(connection))
                    raise
                await finish(_end(connection))
        except Refusal:
            raise
        except Exception as error:
            raise self._explain(error) from error

    async def _open(self) -> Pool:
        """The pool; at the first use the tables are made, brought to this version, and filled."""
        async with self._opening:
            if self._pool is None:
                await finish(self._connect())
            assert self._pool is not None  # noqa: S101  # _connect() raises or makes it
            return self._pool

    async def _connect(self) -> None:
        try:
            pool = await open_pool(self.target.text)
        except ValueError as error:
            said = self.target.clean(str(error))
            raise Unavailable(f"{self.target} cannot be used: {said}. Check the URL.") from None
        except Exception as error:
            raise self._explain(error) from None
        try:
            async with pool.acquire(timeout=_PATIENCE) as connection:
                await self._prepare(connection)
        except Exception as error:
            pool.terminate()
            raise self._explain(error) from error
        self._pool = pool

    async def _prepare(self, connection: Connection) -> None:
        await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({_LOCK})")
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", NAMESPACE):
                await connection.execute(f"CREATE SCHEMA {NAMESPACE}")
            await connection.execute(f"{_PATH}; SET LOCAL ticketing.origin TO '{self.origin}'")
            await prepare(_Transaction(connection), self._schema, self._seed, self.origin)
            self._foreign = await self._count_foreign(connection)
            await connection.execute("COMMIT")
        except BaseException:
            await finish(_roll_back(connection))
            raise

    async def _count_foreign(self, connection: Connection) -> int:
        return int(str(await connection.fetchval(_FOREIGN, self.origin)))

    def _explain(self, error: Exception) -> Exception:
        """Put an error of the database into words; any other is given back as it is."""
        if isinstance(error, Refusal) or not is_known(error):
            return error
        state, said = state_of(error), self.target.clean(text_of(error))
        if state == "55P03":
            return Unavailable(f"The ticket was locked by others for {_PATIENCE:g} s. Nothing was changed; try again.")
        if isinstance(error, TimeoutError):
            return Unavailable(
                f"The database {self.target} did not answer in time. Whether something was changed is not known: "
                "look at the ticket before you repeat it."
            )
        if state == "42501":
            return Unavailable(
                f"The role of --database-url may not do that: {said}. It must own the schema {NAMESPACE}."
            )
        if state and state[:2] not in ("08", "28", "3D", "53", "57"):
            return error
        return Unavailable(
            f"The database {self.target} cannot be used: {said}. Check the URL, and that PostgreSQL runs there. If "
            "this was a change, look at the ticket before you repeat it."
        )


async def _end(connection: Connection) -> None:
    """End what only read; after a COMMIT there is nothing to end, and the engine would warn of that."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


async def _roll_back(connection: Connection) -> None:
    """End what is not committed.

    Not asked first is whether there is a transaction: the driver learns that from an answer, and a statement whose
    caller was cancelled may not have been answered.
    """
    with suppress(Exception):  # whatever it is, a connection that is not clean is not given back
        if not connection.is_closed():
            async with asyncio.timeout(2):
                await connection.execute("ROLLBACK")
        return
    connection.terminate()
