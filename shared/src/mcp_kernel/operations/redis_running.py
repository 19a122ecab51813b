"""The running calls of `operations.running` in a Redis that several processes share.

A call stands there with the time until which it counts, which its process moves on as long as it lives: what a killed
process leaves behind counts for a lease and no longer, so that nobody is locked out.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.operations.running import Full, Leave, MemoryRunning
from mcp_kernel.server.store import StoreGone

if TYPE_CHECKING:
    from mcp_kernel.operations.redis_link import RedisLink

# KEYS: sorted sets of calls by their end, in milliseconds by the clock of Redis. ARGV: the call, the lease, and for
# each key the most that it may hold. Returns 0, or the number of the key that is full.
_ENTER: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i = 1, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[i + 2]) then return i end
end
for i = 1, #KEYS do
    redis.call('ZADD', KEYS[i], now + ARGV[2], ARGV[1])
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return 0
"""
# The call goes on: another lease for it, also where it was taken for dead. ARGV: the call, the lease.
_STAY: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
"""

_Script = Callable[..., Awaitable[int]]


class RedisRunning:
    """Running calls that are counted in the store; while that is gone each process counts its own alone."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._enter = cast("_Script", link.redis.register_script(_ENTER))
        self._stay = cast("_Script", link.redis.register_script(_STAY))
        self._alone = MemoryRunning()
        self._count = itertools.count()
        self._held: set[tuple[str, str]] = set()  # by key and call
        link.on_beat(self._renew)

    async def enter(self, caps: Mapping[str, int]) -> Leave:
        """See `Running.enter`."""
        leave = await self._alone.enter(caps)
        call = f"{self._link.replica} {next(self._count)}"
        places = {(self._link.key("c", key), call) for key in caps}
        try:
            full = await self._try(call, caps)
        except BaseException:
            self._leave(leave, places)
            raise
        if full:
            leave()
            raise Full(list(caps.values())[full - 1])
        self._held |= places
        return lambda: self._leave(leave, places)

    async def _try(self, call: str, caps: Mapping[str, int]) -> int:
        try:
            keys = [self._link.key("c", key) for key in caps]
            return await self._link.attempt(lambda: self._enter(keys=keys, args=[call, self._lease, *caps.values()]))
        except StoreGone:
            return 0

    def _leave(self, leave: Leave, places: set[tuple[str, str]]) -> None:
        leave()
        self._held -= places
        for key, call in places:
            self._link.later(lambda key=key, call=call: self._link.run(self._link.redis.zrem(key, call)))

    async def _renew(self) -> None:
        for key, call in list(self._held):
            if (key, call) in self._held:
                await self._link.run(self._stay(keys=[key], args=[call, self._lease]))

    @property
    def _lease(self) -> int:
        return round(self._link.lease * 1000)
