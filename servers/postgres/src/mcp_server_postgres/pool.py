"""A few connections, handed out in the order in which they were asked for, each cleaned before it is handed on."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from .driver import Connection
from .messages import Step
from .policy import Policy
from .refusals import Refusal, Unavailable
from .standing import Standing, ask_standing
from .target import Target, hang_up

MOST_CONNECTIONS = 8
MOST_AT_ONCE = 32
CONNECT_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
CLEANING_SECONDS = 2.0

CLEAN = (
    "ROLLBACK; RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; "
    "SELECT pg_catalog.pg_advisory_unlock_all()"
)
"""What `DISCARD ALL` does, but in one message together with the end of the transaction."""


class Pool:
    """Connections to one target. Making one connects to nothing."""

    def __init__(self, target: Target, policy: Policy) -> None:
        self.target = target
        self.policy = policy
        self._standing: Standing | None = None
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)  # its waiters are served in their order
        self._inside = 0
        self._cleaning: set[asyncio.Task[None]] = set()
        self._closed = False
        self._failure: tuple[float, float, str] | None = None  # until when, the pause, what was wrong

    @property
    def has_opened(self) -> bool:
        """Whether a connection was ever opened."""
        return self._standing is not None

    @property
    def standing(self) -> Standing:
        """What the last connection that was opened found out about itself."""
        if self._standing is None:
            raise RuntimeError("no connection was opened yet")
        return self._standing

    @asynccontextmanager
    async def transaction(self, begin: Sequence[Step], until: float) -> AsyncGenerator[Connection]:
        """A connection in a transaction begun with `begin`, which is rolled back whatever happens."""
        if self._inside >= MOST_AT_ONCE:
            raise Refusal(f"{MOST_AT_ONCE} queries are running or waiting here, as many as may. Try again in a moment.")
        self._inside += 1
        try:
            connection = await self._borrow(begin, until)
        except BaseException:
            self._inside -= 1
            raise
        try:
            yield connection
        except BaseException:  # what ran may run still: it has ended when the caller hears of it
            await asyncio.shield(self._give_back(connection))
            raise
        self._give_back(connection)

    async def probe(self) -> None:
        """Connect, however busy the others are, and see whether the role is fit; raises as `transaction`."""
        connection = await self.target.connect(min(CONNECT_SECONDS, self.policy.query_timeout))
        try:
            (await ask_standing(connection)).check(self.policy)
        finally:
            await hang_up(connection)

    async def close(self) -> None:
        """Close every connection, those in use when they come back."""
        self._closed = True
        if self._cleaning:
            await asyncio.wait(list(self._cleaning), timeout=CLEANING_SECONDS)
        idle, self._idle = self._idle, []
        await asyncio.gather(*(hang_up(connection) for connection in idle))

    async def _borrow(self, begin: Sequence[Step], until: float) -> Connection:
        await self._take_place(until)
        try:
            while self._cleaning and not self._idle:  # it takes less than a connection of its own would
                await asyncio.wait(self._cleaning, return_when=asyncio.FIRST_COMPLETED)
            while self._idle:
                connection = self._idle.pop()
                try:
                    if not connection.is_quiet():
                        await connection.execute("SELECT 1")
                except asyncio.CancelledError:
                    connection.terminate()
                    raise
                except Exception:  # it was cut while idle: a fresh one will tell whether all is well
                    connection.terminate()
                    continue
                connection.ahead(*begin)
                return connection
            return await self._open(begin)
        except BaseException:
            self._places.release()
            raise

    async def _take_place(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._places.acquire()
        except TimeoutError:
            raise Refusal(
                f"All {MOST_CONNECTIONS} connections stayed busy with other queries for "
                f"{self.policy.query_timeout:g} s. Try again in a moment."
            ) from None

    async def _open(self, begin: Sequence[Step]) -> Connection:
        """Open a fresh connection, unless that failed a moment ago: then say at once what was wrong."""
        if self._failure is not None and time.monotonic() < self._failure[0]:
            raise Unavailable(self._failure[2])
        try:
            connection = await self.target.connect(min(CONNECT_SECONDS, self.policy.query_timeout))
        except Unavailable as problem:
            pause = FIRST_PAUSE if self._failure is None else min(self._failure[1] * 2, LONGEST_PAUSE)
            self._failure = (time.monotonic() + pause, pause, str(problem))
            raise
        self._failure = None
        try:
            self._standing = await ask_standing(connection)
            self._standing.check(self.policy)
            await connection.execute("ROLLBACK")
            connection.ahead(*begin)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _give_back(self, connection: Connection) -> asyncio.Task[None]:
        """Clean a connection, which goes on whatever happens to the caller."""
        task = asyncio.create_task(self._clean(connection))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        return task

    async def _clean(self, connection: Connection) -> None:
        try:
            connection.forget_ahead()
            if not connection.is_closed():
                async with asyncio.timeout(CLEANING_SECONDS):
                    await connection.execute(CLEAN)
        except Exception:  # a connection that cannot be cleaned is not handed on
            with suppress(Exception):
                connection.terminate()
        finally:
            self._inside -= 1
            self._places.release()
        if self._closed:
            await hang_up(connection)
        elif not connection.is_closed():
            self._idle.append(connection)
