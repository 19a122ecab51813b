"""One client on a channel of whole messages: what a transport is that has one way in and one way out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from mcp_kernel.server.peer import Peer

if TYPE_CHECKING:
    from mcp_kernel.server.principal import Principal
    from mcp_kernel.server.server import Server

Send: TypeAlias = Callable[[bytes], Awaitable[object]]

_HIGH_WATER: Final = 1024 * 1024  # bytes waiting from which on the client counts as not reading
_LOW_WATER: Final = 256 * 1024


async def converse(
    server: Server,
    messages: AsyncIterable[bytes],
    send: Send,
    *,
    principal: Principal | None = None,
    grace: float = 0.5,
) -> None:
    """Serve one client until its messages end, or until `send` raises; then calls in flight have `grace` seconds.

    Messages are JSON-RPC, one or a batch each, without a line feed. While a client does not read, nothing more is read
    of what it sends. What `messages` or `send` raise is raised here, once nothing is left behind.
    """
    outlet = _Outlet(send)
    peer = Peer(server, outlet, principal=principal)
    outlet.on_drained = peer.release
    reading = asyncio.create_task(_read(peer, messages))
    writing = asyncio.create_task(outlet.write())
    try:
        await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
        await peer.close(0.0 if writing.done() else grace)
        await outlet.flush(writing)
    finally:
        for task in (reading, writing):
            task.cancel()
        await asyncio.wait({reading, writing})
        await peer.close()
    for task in (reading, writing):
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _read(peer: Peer, messages: AsyncIterable[bytes]) -> None:
    async for data in messages:
        peer.receive(data)
        await peer.drain()


class _Outlet:
    """Messages on their way out, written in their order by one task."""

    shared = True

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[bytes] = deque()
        self._size = 0  # bytes waiting, the message that is being sent among them
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._room.set()
        self._idle.set()
        self.on_drained: Callable[[], None] = _do_nothing

    @property
    def congested(self) -> bool:
        return not self._room.is_set()

    def send(self, data: bytes, exchange: object) -> None:
        self._waiting.append(data)
        self._size += len(data)
        self._wake.set()
        self._idle.clear()
        if self._size > _HIGH_WATER:
            self._room.clear()

    def release(self, exchange: object, retry: int) -> None:
        """There is one stream, and it stays."""

    async def drain(self) -> None:
        await self._room.wait()

    async def write(self) -> None:
        """Send what comes, for ever."""
        while True:
            await self._wake.wait()
            while self._waiting:
                data = self._waiting.popleft()
                await self._send(data)
                self._size -= len(data)
                if self.congested and self._size <= _LOW_WATER:
                    self._room.set()
                    self.on_drained()
            self._wake.clear()
            self._idle.set()

    async def flush(self, writing: asyncio.Task[None]) -> None:
        """Wait until all is sent, or can be no more."""
        idle = asyncio.create_task(self._idle.wait())
        try:
            await asyncio.wait({idle, writing}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()


def _do_nothing() -> None:
    """Nobody waits for room yet."""
