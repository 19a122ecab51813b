"""Which proofs of keys were used (RFC 9449), in a Redis that several processes share: each is good once, everywhere."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from mcp_kernel.server.store import StoreGone

if TYPE_CHECKING:
    from mcp_kernel.operations.redis_link import RedisLink


class RedisProofs:
    """Proofs that were used; while the store is gone each process knows its own alone, which it remembers anyway."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def take(self, mark: bytes, seconds: float) -> bool:
        """Take a proof; see `auth.resource.binding.Proofs`."""
        key = self._link.key("p", sha256(mark).hexdigest())
        try:
            taking = self._link.redis.set
            return bool(await self._link.attempt(lambda: taking(key, 1, px=round(seconds * 1000), nx=True)))
        except StoreGone:
            return True
