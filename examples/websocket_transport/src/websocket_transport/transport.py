"""MCP over WebSocket: one connection for each client, one JSON-RPC message in each frame.

    await serve(server, "127.0.0.1", 8765)          # a `Server`, as over any other transport
    Client(dial("ws://127.0.0.1:8765"))             # a `Client`, which finds out the revision by itself

The kernel does the rest: eras, requests in flight, back-pressure, the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from websockets import Origin, Subprotocol
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from mcp_kernel import Server
from mcp_kernel.client import Channel, Dial

SUBPROTOCOL = Subprotocol("mcp")  # so that neither side takes the other for something else
LONGEST = 4 * 1024 * 1024  # bytes of a message, for both sides


@asynccontextmanager
async def listening(
    server: Server, host: str = "127.0.0.1", port: int = 0, *, origins: Sequence[str] = ()
) -> AsyncGenerator[Listener]:
    """Serve every client that connects; at the end each is told to go (code 1001).

    A web page may open a WebSocket to any host, and the browser asks nobody: so whoever has an `Origin` is a page, and
    is refused unless its origin is one of `origins`.
    """

    async def talk(connection: Connection) -> None:
        with suppress(ConnectionClosed):  # the client has gone in the middle of something
            await server.converse(_messages(connection), lambda data: connection.send(data, text=True))

    allowed = [None, *map(Origin, origins)]
    async with listen(talk, host, port, origins=allowed, subprotocols=[SUBPROTOCOL], max_size=LONGEST) as listener:
        yield listener


async def serve(server: Server, host: str, port: int) -> None:
    """Serve until this is cancelled."""
    async with listening(server, host, port):
        await asyncio.get_running_loop().create_future()


def dial(url: str) -> Dial:
    """What a `Client` needs to reach a server by its URL, `ws://` or `wss://`."""

    @asynccontextmanager
    async def open_channel() -> AsyncGenerator[Channel]:
        async with connect(url, subprotocols=[SUBPROTOCOL], max_size=LONGEST) as connection:
            yield _messages(connection), lambda data: connection.send(data, text=True)

    return open_channel


async def _messages(connection: Connection) -> AsyncIterator[bytes]:
    """What comes, until the other side closes the connection as it should."""
    try:
        while True:
            yield await connection.recv(decode=False)
    except ConnectionClosedOK:
        return
