"""HTTP+SSE, the transport of 2024-11-05: one stream out, `/sse`, and a place to post to, `/messages`."""

from __future__ import annotations

import asyncio
from binascii import hexlify
from collections.abc import Iterator
from os import urandom
from urllib.parse import parse_qs

from mcp_kernel.protocol.framing import KEEP_ALIVE, write_event
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.principal import Principal
from mcp_kernel.server.server import Server
from mcp_kernel.transports.http_modern import KEEP_ALIVE_SECONDS, Reply
from mcp_kernel.transports.incoming import Incoming


class _Pair(Reply):
    """One client: what it is to read, and its peer, whose outlet this is."""

    __slots__ = ("identifier", "peer")

    shared = True

    def __init__(self, server: Server, principal: Principal | None) -> None:
        super().__init__()
        self.identifier = hexlify(urandom(16)).decode()
        self.peer = Peer(server, self, principal=principal)
        self.peer.identifier = self.identifier


class SsePair:
    """Serves the two addresses."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pairs: dict[str, _Pair] = {}

    def __iter__(self) -> Iterator[str]:
        """The ids of those that are open."""
        return iter(self._pairs)

    async def open(self, incoming: Incoming) -> None:
        """Serve the stream: where to post to comes first. The session lives as long as the stream."""
        pair = _Pair(self._server, incoming.principal)
        self._pairs[pair.identifier] = pair
        gone = asyncio.ensure_future(incoming.wait_gone())
        gone.add_done_callback(lambda _: pair.hang_up())
        try:
            await incoming.open_stream()
            address = f"{incoming.root}/messages?session_id={pair.identifier}"
            await incoming.write(write_event(address.encode(), event="endpoint"))
            while not pair.gone:
                while pair.events:
                    await incoming.write(write_event(pair.take(), event="message"))
                    if not pair.events:
                        pair.peer.release()  # notices that were held while there was no room
                if pair.done:
                    await incoming.write(b"", last=True)
                    return
                if not await pair.wait(KEEP_ALIVE_SECONDS):
                    await incoming.write(KEEP_ALIVE)
        finally:
            gone.cancel()
            self._pairs.pop(pair.identifier, None)
            pair.hang_up()
            await pair.peer.close()

    async def post(self, body: bytes, incoming: Incoming) -> None:
        """Take a message; its answer travels on the stream. A client that does not read may not ask on."""
        given = parse_qs(incoming.query.decode("latin-1")).get("session_id", [""])[0]
        pair = self._pairs.get(given)
        if pair is not None and pair.peer.principal != incoming.principal:
            pair = None  # another's session does not exist
        if pair is not None and pair.congested:
            await pair.drain()
        if pair is None or pair.gone:
            await incoming.refuse(404, "There is no such session (any more): open /sse again")
            return
        pair.peer.principal = incoming.principal
        pair.peer.arrival = incoming.keep()
        pair.peer.receive(body)
        await incoming.respond(202, b"Accepted")

    async def close(self, grace: float) -> None:
        """End every stream, calls in flight after `grace` seconds."""
        pairs = list(self._pairs.values())
        await asyncio.gather(*(pair.peer.close(grace) for pair in pairs))
        for pair in pairs:
            pair.finish(None, 200)
