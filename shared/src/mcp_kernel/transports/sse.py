"""HTTP+SSE, the transport of 2024-11-05: one stream out, `/sse`, and a place to post to, `/messages`."""

from __future__ import annotations

import asyncio
from binascii import hexlify
from os import urandom
from urllib.parse import parse_qs

from mcp_kernel.protocol.framing import KEEP_ALIVE, write_event
from mcp_kernel.server.exchange import Exchange
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.server import Server
from mcp_kernel.transports.http_modern import KEEP_ALIVE_SECONDS
from mcp_kernel.transports.incoming import Incoming
from mcp_kernel.transports.streams import Stream


class _Pair:
    """One client: the stream that it reads, and its peer, whose outlet this is."""

    shared = True

    def __init__(self, server: Server) -> None:
        self.identifier = hexlify(urandom(16)).decode()
        self.stream = Stream(0)
        self.peer = Peer(server, self)

    @property
    def congested(self) -> bool:
        """Whether the client does not read its stream."""
        return self.stream.is_full

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Send a message: there is one stream for all."""
        self.stream.write(data)

    def release(self, exchange: Exchange, retry: int) -> None:
        """There is one stream, and it stays."""

    async def drain(self) -> None:
        """Nothing to wait for: what is not read is bounded by the stream."""


class SsePair:
    """Serves the two addresses."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pairs: dict[str, _Pair] = {}

    async def open(self, incoming: Incoming) -> None:
        """Serve the stream: where to post to comes first. The session lives as long as the stream."""
        pair = _Pair(self._server)
        self._pairs[pair.identifier] = pair
        gone = asyncio.ensure_future(incoming.wait_gone())
        gone.add_done_callback(lambda _: pair.stream.wake())
        try:
            await incoming.open_stream()
            address = f"/messages?session_id={pair.identifier}"
            await incoming.write(write_event(address.encode(), event="endpoint"))
            after = 0
            while not gone.done():
                for position, data in pair.stream.after(after):
                    await incoming.write(write_event(data, event="message"))
                    after = position
                if any(pair.stream.after(after)):
                    continue  # more came while the last was written
                if pair.stream.is_finished:
                    await incoming.write(b"", last=True)
                    return
                if not await pair.stream.wait(KEEP_ALIVE_SECONDS):
                    await incoming.write(KEEP_ALIVE)
        finally:
            gone.cancel()
            self._pairs.pop(pair.identifier, None)
            await pair.peer.close()

    async def post(self, body: bytes, incoming: Incoming) -> None:
        """Take a message; its answer travels on the stream."""
        given = parse_qs(incoming.query.decode("latin-1")).get("session_id", [""])[0]
        pair = self._pairs.get(given)
        if pair is None:
            await incoming.refuse(404, "There is no such session (any more): open /sse again")
            return
        pair.peer.receive(body)
        await incoming.respond(202, b"Accepted")

    async def close(self, grace: float) -> None:
        """End every stream, calls in flight after `grace` seconds."""
        pairs = list(self._pairs.values())
        await asyncio.gather(*(pair.peer.close(grace) for pair in pairs))
        for pair in pairs:
            pair.stream.finish(None, 200)
