"""Watching the schema: PostgreSQL tells nobody when a table is made, so it is asked every other second."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from .refusals import Refusal

TICK = 2.0


class Marked(Protocol):
    """What has a mark that changes with its schema."""

    async def schema_mark(self) -> str:
        """The mark of now."""
        ...


async def watch(database: Marked, tick: float = TICK) -> AsyncGenerator[None, None]:
    """Yield once for every look that finds another mark; a database that cannot be reached has not changed."""
    seen = None
    while True:
        try:
            mark = await database.schema_mark()
        except Refusal:
            mark = seen
        if seen is not None and mark != seen:
            yield
        seen = mark
        await asyncio.sleep(tick)
