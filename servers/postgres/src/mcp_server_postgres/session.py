"""The driver's connection, with what is ours around it; imported with asyncpg, by the first call that connects."""

import asyncio
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none

from .driver import OWN_PATH
from .wire import Sieve


class Session(asyncpg.Connection):
    """A connection whose messages are sifted, and whose driver looks for its own names in its own schema."""

    def __init__(self, protocol: object, transport: object, *rest: object) -> None:
        super().__init__(protocol, transport, *rest)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]  # as they were given
        cast("asyncio.Transport", transport).set_protocol(Sieve(cast("asyncio.Protocol", protocol)))

    async def _introspect_types(self, typeoids: object, timeout: object) -> "tuple[Any, Any]":
        """The driver asks for types that it does not know in SQL that any schema of the path could give a meaning."""
        await self.execute(f"SAVEPOINT asking; {OWN_PATH}")  # pyright: ignore[reportUnknownMemberType]  # as above
        try:
            return await super()._introspect_types(typeoids, timeout)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above
        finally:
            await self.execute("ROLLBACK TO SAVEPOINT asking; RELEASE SAVEPOINT asking")  # pyright: ignore[reportUnknownMemberType]  # as above
