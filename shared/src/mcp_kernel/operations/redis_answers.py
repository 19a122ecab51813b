"""The answers of `server.repeats` in a Redis that several processes share: a call with a key is made at one of them.

A call in progress is held for as long as its process gives signs of life; where that dies, the next one makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.server.repeats import LIFETIME, KeyReused
from mcp_kernel.server.store import StoreGone

if TYPE_CHECKING:
    from mcp_kernel.operations.redis_link import RedisLink

_PAUSE: Final = 0.05  # seconds until who waits looks again

# KEYS: the entry. ARGV: the digest, the milliseconds for which the call is held, who makes it. Says what is to be done.
_BEGIN: Final = """
local digest = redis.call('HGET', KEYS[1], 'digest')
if not digest then
    redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'by', ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {'make'}
end
if digest ~= ARGV[1] then return {'reused'} end
local answer = redis.call('HGET', KEYS[1], 'answer')
if answer then return {'answer', answer} end
return {'wait'}
"""
# Let the next one make the call, if it is still this one's. KEYS: the entry. ARGV: who was to make it.
_LET_GO: Final = "if redis.call('HGET', KEYS[1], 'by') == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0"


class RedisAnswers:
    """Answers for all processes; without the store a call with a key is refused, for it might be made twice."""

    def __init__(self, link: RedisLink, lifetime: float = LIFETIME) -> None:
        self._link = link
        self._lifetime = lifetime
        self._begin = cast("Callable[..., Awaitable[list[bytes]]]", link.redis.register_script(_BEGIN))
        self._let_go = cast("Callable[..., Awaitable[int]]", link.redis.register_script(_LET_GO))
        self._count = itertools.count()
        self._held: dict[str, str] = {}  # by place: who makes the call
        link.on_beat(self._hold)

    @property
    def _grace(self) -> int:
        return round(self._link.lease * 2000)

    async def begin(self, key: str, digest: str) -> bytes | None:
        """Return the answer that is kept, or None for whoever makes the call; raises `StoreGone` too."""
        await self._link.ready()
        place, maker = self._link.key("i", key), f"{self._link.replica} {next(self._count)}"
        while True:
            try:
                said = await self._link.run(self._begin(keys=[place], args=[digest, self._grace, maker]))
            except BaseException:  # the store may have done it, of which nobody has heard
                self._link.later(lambda: self._link.run(self._let_go(keys=[place], args=[maker])))
                raise
            if said[0] == b"make":
                self._held[place] = maker
                return None
            if said[0] == b"reused":
                raise KeyReused
            if said[0] == b"answer":
                return said[1]
            await asyncio.sleep(_PAUSE)

    async def finish(self, key: str, answer: bytes) -> None:
        """Keep the answer; where the store is gone it is given all the same, and not kept."""
        place = self._link.key("i", key)
        self._held.pop(place, None)
        with contextlib.suppress(StoreGone):
            async with self._link.redis.pipeline() as commands:
                commands.hset(place, "answer", answer)  # pyright: ignore[reportArgumentType]  # bytes are as good as text
                commands.pexpire(place, round(self._lifetime * 1000))
                await self._link.run(commands.execute())

    async def abandon(self, key: str) -> None:
        """Let the next one make the call."""
        place = self._link.key("i", key)
        maker = self._held.pop(place, "")
        with contextlib.suppress(StoreGone):
            await self._link.run(self._let_go(keys=[place], args=[maker]))

    async def _hold(self) -> None:
        for place in list(self._held):
            await self._link.run(self._link.redis.pexpire(place, self._grace))
