"""One process's end of a Redis that several share: commands, messages between the processes, signs of life.

Messages are JSON on two channels of pub/sub: one that all hear, and one for each process. Redis says how many heard,
so that who asks a process which is gone knows at once. A process that lives renews its lease; where the lease is over,
the process is dead or out of reach for as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from binascii import hexlify
from collections.abc import Awaitable, Callable
from contextvars import Context
from os import urandom
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic_core import from_json, to_json
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry as BlockingRetry

from mcp_kernel.operations.redis_sessions import RedisSessions
from mcp_kernel.server.store import StoreGone

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

    from mcp_kernel.protocol.jsonrpc import JsonObject
    from mcp_kernel.server.store import Heard

T = TypeVar("T")

LEASE_SECONDS: Final = 15.0
_PATIENCE: Final = 3.0  # seconds for a command, and for another process's answer
_BRIEF: Final = 1.0  # seconds for a command in whose place there is something else
_BACKOFF: Final = 0.25  # seconds before the first new try to reach a store that is gone; doubled up to the patience
_LOG = logging.getLogger("mcp_kernel")


class RedisLink:
    """The way to the others.

    It connects when it is first needed, so that it belongs to the event loop that serves.

    Args:
        url: As `redis://[user:password@]host[:port][/database]`, `rediss://…` or `unix:///path`. Raises `ValueError`.
        prefix: What the names of all keys and channels begin with.
        lease: Seconds after its last sign of life that a process counts as dead.
    """

    def __init__(self, url: str, prefix: str, *, lease: float = LEASE_SECONDS) -> None:
        self.replica = hexlify(urandom(6)).decode()
        self.prefix = prefix
        self.lease = lease
        # On a fresh connection, in place of one that a restart has broken; who does not answer is not asked twice.
        again = Retry(NoBackoff(), 1, (ConnectionBroken,))
        self.redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # its options have no types
            url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, retry=again, protocol=2
        )
        self.sessions = RedisSessions(self)
        self._heard: dict[str, Heard] = {}
        self._beats: list[Callable[[], Awaitable[None]]] = []
        self._returns: list[Callable[[], Awaitable[None]]] = []
        self._asked: dict[str, asyncio.Future[JsonObject | None]] = {}
        self._count = 0
        self._outbox: asyncio.Queue[tuple[Callable[[], Awaitable[object]], bool]] = asyncio.Queue(10_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[None] | None = None
        self.is_reached = True

    def key(self, *parts: str) -> str:
        """The name of a key."""
        return ":".join((self.prefix, *parts))

    # --- being there ---

    def on(self, kind: str, heard: Heard) -> None:
        """Say what is done with messages of a kind."""
        self._heard[kind] = heard

    def on_beat(self, function: Callable[[], Awaitable[None]]) -> None:
        """Say what is done with each sign of life, three times in a lease."""
        self._beats.append(function)

    def on_return(self, function: Callable[[], Awaitable[None]]) -> None:
        """Say what is done when a store that was gone is back, perhaps empty."""
        self._returns.append(function)

    async def ready(self) -> None:
        """Be there for the others: connect, if that has not been done; raises `StoreGone`."""
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        start = self._starting
        if start is None or (start.done() and start.exception() is not None):
            loop = asyncio.get_running_loop()  # what it logs is not of the request that happens to begin it
            start = self._starting = loop.create_task(self._start(), context=Context())
            start.add_done_callback(_forget)
        return start

    async def _start(self) -> None:
        pubsub = await self._subscribe()
        try:
            await self._renew()
        except BaseException:
            await pubsub.aclose()
            raise
        for run in (self._listen(pubsub), self._beat(), self._post()):
            self._own(run)

    def _own(self, run: Awaitable[None]) -> None:
        task = asyncio.ensure_future(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _subscribe(self) -> PubSub:
        pubsub = self.redis.pubsub()  # pyright: ignore[reportUnknownMemberType]  # its options have no types
        try:
            await self.run(pubsub.subscribe(self.key("all"), self.key("to", self.replica)))
            for _ in range(2):  # said once for each channel: from then on we hear
                await self.run(cast("Awaitable[object]", pubsub.get_message(timeout=_PATIENCE)))
        except BaseException:
            await pubsub.aclose()
            raise
        return pubsub

    async def run(self, command: Awaitable[T]) -> T:
        """Run a command; raises `StoreGone`."""
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error)
            raise StoreGone from error

    async def attempt(self, command: Callable[[], Awaitable[T]]) -> T:
        """Run a command in whose place there is something else; raises `StoreGone` after a second at the latest.

        While the store is gone it does so at once, and looks for it beside.
        """
        if not self.is_reached:
            self._begin()
            raise StoreGone
        try:
            async with asyncio.timeout(_BRIEF):
                await self.ready()  # from then on there are signs of life, and somebody who sees it come back
                return await self.run(command())
        except TimeoutError as error:
            self._lose(error)
            raise StoreGone from error

    def _lose(self, error: Exception) -> None:
        if self.is_reached:
            self.is_reached = False
            said = str(error).rpartition(" caused error: ")[2]  # without the command, which may hold what is secret
            what = "refuses a command" if isinstance(error, ResponseError) else "cannot be reached"
            _LOG.error("The store %s: %s", what, said or "it does not answer")

    async def _renew(self) -> None:
        await self.run(self.redis.set(self.key("r", self.replica), 1, px=round(self.lease * 1000)))
        if not self.is_reached:
            self.is_reached = True
            _LOG.warning("The store is back")
            for each in self._returns:
                await self._see_to(each, "the return of the store")

    async def _beat(self) -> None:
        """Give signs of life, and do what is to be done with each; what fails is done with the next."""
        while True:
            await asyncio.sleep(self.lease / 3)
            try:
                await self._renew()
                for each in self._beats:
                    await self._see_to(each, "a sign of life")
            except StoreGone:
                pass

    async def _see_to(self, function: Callable[[], Awaitable[None]], occasion: str) -> None:
        """Do what goes with an occasion; where it fails, the rest is done, and this process gives signs of life."""
        try:
            await function()
        except StoreGone:
            raise
        except Exception:
            _LOG.exception("What goes with %s could not be done", occasion)

    async def is_alive(self, replica: str) -> bool:
        """Tell whether a process has given a sign of life lately; raises `StoreGone`."""
        return bool(await self.run(self.redis.exists(self.key("r", replica))))

    # --- messages ---

    async def _listen(self, pubsub: PubSub) -> None:
        """Hear what the others say; where the connection breaks, come back as soon as it can be had."""
        delay = 0.0
        while True:
            try:
                if delay:
                    await asyncio.sleep(delay)
                    pubsub = await self._subscribe()
                    await self._renew()
                    delay = 0.0
                message = cast("dict[str, object] | None", await pubsub.get_message(timeout=_PATIENCE))
            except (RedisError, OSError, TimeoutError, StoreGone) as error:
                self._lose(error)
                delay = min(delay * 2 or _BACKOFF, _PATIENCE)
                await pubsub.aclose()
                continue
            if message is not None and message["type"] == "message":
                self._take(cast("bytes", message["data"]))

    def _take(self, data: bytes) -> None:
        """Do what a message says; one that is none of ours is passed over."""
        try:
            said = from_json(data)
            kind, sender, number, body = (said[name] for name in ("kind", "from", "number", "body"))
            hash((kind, sender, number))  # all three are looked up
        except (ValueError, TypeError, KeyError):
            _LOG.warning("A message came through the store that is none")
            return
        if sender == self.replica:
            return
        if kind == "answer":
            waiter = self._asked.get(number)
            if waiter is not None and not waiter.done():
                waiter.set_result(body)
        elif kind in self._heard:
            self._own(self._do(kind, body, sender if number else "", number))

    async def _do(self, kind: str, body: JsonObject, asker: str, number: str) -> None:
        try:
            answer = await self._heard[kind](body)
        except StoreGone:
            return
        except Exception:
            _LOG.exception("What another process said (%s) could not be done", kind)
            return
        if asker:
            with contextlib.suppress(StoreGone):
                await self._publish(self.key("to", asker), "answer", {} if answer is None else answer, number)

    async def _publish(self, channel: str, kind: str, body: JsonObject, number: str = "") -> int:
        data = to_json({"kind": kind, "from": self.replica, "number": number, "body": body})
        return await self.run(self.redis.publish(channel, data))  # pyright: ignore[reportUnknownMemberType]  # as above

    def tell(self, kind: str, body: JsonObject) -> None:
        """Tell all the others, in order; while the store is gone nobody hears."""
        self.later(lambda: self._publish(self.key("all"), kind, body))

    async def ask(self, replica: str, kind: str, body: JsonObject) -> JsonObject | None:
        """Ask another process; None where it does not hear, or does not answer in time. Raises `StoreGone`."""
        await self.ready()
        self._count += 1
        number = str(self._count)
        waiter = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            if not await self._publish(self.key("to", replica), kind, body, number):
                return None
            async with asyncio.timeout(_PATIENCE):
                return await waiter
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    # --- what need not be waited for ---

    def later(self, write: Callable[[], Awaitable[object]], *, in_any_case: bool = False) -> bool:
        """Do something with the store behind all that was asked for before; False: it has been gone for too long.

        What fails is not done again, nor what comes to its turn while the store is gone, unless it is `in_any_case`.
        """
        self._begin()
        try:
            self._outbox.put_nowait((write, in_any_case))
        except asyncio.QueueFull:
            return False
        return True

    async def _post(self) -> None:
        while True:
            write, in_any_case = await self._outbox.get()
            try:
                if self.is_reached or in_any_case:
                    await write()
            except StoreGone:
                pass
            except Exception:
                _LOG.exception("What was to be written to the store could not be")

    async def settle(self) -> None:
        """Wait until what was asked for so far is done, or has failed; not longer than the store has patience."""
        if not self.is_reached:
            return
        done = asyncio.Event()

        async def mark() -> None:
            done.set()

        self.later(mark, in_any_case=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await done.wait()

    async def close(self) -> None:
        """Be gone for the others."""
        if self._starting is not None:
            await self.settle()
            self._starting.cancel()
            with contextlib.suppress(StoreGone):
                await self.run(self.redis.delete(self.key("r", self.replica)))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.redis.aclose()


def find_trouble(url: str) -> str | None:
    """Say why a store cannot be used now; None where it can. It waits a second at most for each of two answers."""
    never = BlockingRetry(NoBackoff(), 0)
    with BlockingRedis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=never) as store:  # pyright: ignore[reportUnknownMemberType]  # its options have no types
        try:
            store.ping()  # pyright: ignore[reportUnknownMemberType]  # as above
        except (RedisError, OSError) as error:
            return str(error)
    return None


def _forget(start: asyncio.Task[None]) -> None:
    """Take note of a start that failed: the next one who needs it tries again."""
    if not start.cancelled():
        start.exception()
