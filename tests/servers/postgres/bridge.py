"""A bridge between the server and the database: it counts what is asked, and does what it is told in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

TURNS = {b"S": "Sync", b"H": "Flush", b"Q": "Query"}
"""The messages that make the database answer: one trip each."""
_IDLE = b"Z\0\0\0\5I"  # ready, and outside of a transaction


@dataclass
class Bridge:
    """Passes bytes both ways; `before` is awaited before a message that makes the database answer is passed on."""

    host: str
    port: int
    before: Callable[[list[str]], Awaitable[None]] | None = None
    most: int = 1 << 60  # bytes of the database that are passed on, before the bridge falls
    turns: list[str] = field(default_factory=list[str])
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    here: int = 0
    """The port to connect to instead."""

    async def take(self, work: Awaitable[object]) -> list[str]:
        """The turns of one call, until its connection is clean."""
        self.turns.clear()
        await work
        await asyncio.wait_for(self.idle.wait(), 10)
        return list(self.turns)

    async def _pass_up(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        first = await source.readexactly(4)  # the first message has no letter
        sink.write(first + await source.readexactly(int.from_bytes(first, "big") - 4))
        if self.most < 1 << 60:
            while data := await source.read(65536):  # behind a handshake there are no messages to see
                sink.write(data)
            return
        while head := await source.read(1):
            length = await source.readexactly(4)
            message = head + length + await source.readexactly(int.from_bytes(length, "big") - 4)
            if head in TURNS:
                self.turns.append(TURNS[head])
                self.idle.clear()
                if self.before is not None:
                    await self.before(self.turns)
            sink.write(message)

    async def _pass_down(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await source.read(min(65536, self.most - passed)):
            sink.write(data)
            passed += len(data)
            if data.endswith(_IDLE):
                self.idle.set()

    async def pass_both(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One connection, until either side ends."""
        back, front = await asyncio.open_connection(self.host, self.port)
        ways = [asyncio.create_task(self._pass_up(source, front)), asyncio.create_task(self._pass_down(back, sink))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (front, sink):
            end.close()
            with suppress(OSError):
                await end.wait_closed()


@asynccontextmanager
async def build_bridge(bridge: Bridge) -> AsyncGenerator[Bridge]:
    """Open it on a free port of the loopback."""
    async with await asyncio.start_server(bridge.pass_both, "127.0.0.1", 0) as server:
        bridge.here = server.sockets[0].getsockname()[1]
        yield bridge
