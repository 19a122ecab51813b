"""The buckets of `operations.rates` in a Redis that several processes share: one caller, one allowance, everywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.operations.rates import Buckets, MemoryBuckets
from mcp_kernel.server.store import StoreGone

if TYPE_CHECKING:
    from mcp_kernel.operations.rates import Rate
    from mcp_kernel.operations.redis_link import RedisLink

# All of them or none. By the clock of Redis, in microseconds, which its numbers hold to the unit until the year 2255.
# KEYS: the buckets. ARGV: for each the microseconds of one call, and those of its period. Returns the wait.
_TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local wait, after = 0, {}
for i = 1, #KEYS do
    local full = tonumber(redis.call('GET', KEYS[i]) or now)
    after[i] = math.max(full, now) + tonumber(ARGV[2 * i - 1])
    wait = math.max(wait, after[i] - now - tonumber(ARGV[2 * i]) - 1)
end
if wait > 0 then return math.ceil(wait) end
for i = 1, #KEYS do
    redis.call('SET', KEYS[i], string.format('%.0f', after[i]), 'PX', math.ceil((after[i] - now) / 1000) + 1)
end
return 0
"""


class RedisBuckets:
    """Buckets that are counted in the store; while that is gone each process holds its callers to the rate alone."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._take = cast("Callable[..., Awaitable[int]]", link.redis.register_script(_TAKE))
        self._alone: Buckets = MemoryBuckets()

    async def take(self, demands: Mapping[str, Rate], now: float) -> float:
        """Take one call out of each bucket, or out of none; see `Buckets.take`."""
        keys = [self._link.key("b", key) for key in demands]
        spans = [span for rate in demands.values() for span in (rate.seconds / rate.count, rate.seconds)]
        values = [f"{span * 1e6:.3f}" for span in spans]
        try:
            return await self._link.attempt(lambda: self._take(keys=keys, args=values)) / 1e6
        except StoreGone:
            return await self._alone.take(demands, now)
