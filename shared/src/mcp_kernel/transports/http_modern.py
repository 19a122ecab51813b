"""Stateless requests over HTTP (2026-07-28): one POST, one answer, nothing remembered between requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Final

from mcp_kernel.errors import ProtocolError
from mcp_kernel.protocol.framing import KEEP_ALIVE, write_event
from mcp_kernel.protocol.jsonrpc import InvalidMessage, Message, Notification, Request
from mcp_kernel.protocol.mirroring import VERSION_HEADER
from mcp_kernel.protocol.modern import is_modern
from mcp_kernel.protocol.revisions import LEGACY
from mcp_kernel.server import dispatch
from mcp_kernel.server.exchange import Ending, Exchange
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.principal import Headers
from mcp_kernel.server.server import Server
from mcp_kernel.transports.incoming import Answer, Arriving, Incoming, Rest

KEEP_ALIVE_SECONDS: Final = 15.0
_MOST_WAITING: Final = 64  # events that a client has not read, from which on handlers wait


def claims(headers: Mapping[str, str], message: object) -> bool:
    """Tell whether a message is of this era: its body or its version header names no handshake's revision."""
    if names_revision(headers):
        return True
    return isinstance(message, Request) and is_modern(message.params)


def names_revision(headers: Mapping[str, str]) -> bool:
    """Tell whether the version header is there and names no legacy revision."""
    version = headers.get(VERSION_HEADER)
    return version is not None and version.strip() not in LEGACY


class Reply:
    """The answer to one request on its way: notifications first, if there are any, then the response.

    It is the outlet of the request's peer and the sink of its exchange.
    """

    __slots__ = ("_room", "_wake", "body", "done", "events", "gone", "headers", "status", "used")

    shared = False

    def __init__(self) -> None:
        self.events: deque[bytes] = deque()
        self.used = False  # a notification came: the answer is a stream
        self.body: bytes | None = None
        self.status = 200
        self.headers: Headers = ()
        self.done = False
        self.gone = False
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the answer is there, and is no stream."""
        return self.done and (not self.used or self.status != 200)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream: a notification came, and no refusal since, which needs its HTTP status."""
        return self.used and not self.is_whole

    @property
    def congested(self) -> bool:
        """Whether the client does not read its stream, or not any more."""
        return self.gone or len(self.events) > _MOST_WAITING

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Add a notification."""
        if not self.done and not self.gone:
            self.used = True
            self.events.append(data)
            self.wake()

    def finish(self, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take the answer; None where the request was taken back."""
        self.body, self.status, self.headers, self.done = data, status, headers, True
        self.wake()

    def hang_up(self) -> None:
        """The client is gone."""
        self.gone = True
        self.wake()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
            self._room = None

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until something has come, or so many seconds; tells whether something has."""
        self._wake = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait([self._wake], timeout=seconds)
        return bool(done)

    def release(self, exchange: Exchange, retry: int) -> None:
        """A stateless request's stream cannot be resumed, so it stays."""

    async def drain(self) -> None:
        """Wait until the client has read what is pending; when it is gone, let the handler hear that it is stopped."""
        if self.gone:
            await asyncio.sleep(0)
        while self.congested and not self.gone:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def take(self) -> bytes:
        """Take the next event, to be written."""
        event = self.events.popleft()
        if self._room is not None and not self.congested:
            self._room.set_result(None)
            self._room = None
        return event


class StatelessEndpoint:
    """Serves single requests."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._peers: set[Peer] = set()  # of requests that are not answered yet
        self.closing = False

    def begin(self, message: Message | list[Message | InvalidMessage], arriving: Arriving) -> Answer | Rest | None:
        """Run the first step of a request; None, and nothing is done, for what only `post` serves."""
        if type(message) is not Request:
            return None
        reply = Reply()
        peer = Peer(self._server, reply, principal=arriving.principal)
        peer.arrival = arriving
        dispatch.take(peer, message, reply.finish, arriving.headers)
        if reply.is_whole and not reply.headers and reply.body is not None:
            return Answer(reply.status, reply.body)
        self._peers.add(peer)
        return partial(self._conclude, peer, reply)

    def refuse(self, error: ProtocolError, arriving: Arriving) -> None:
        """Tell whoever follows the messages of one that could not be read, and is answered elsewhere."""
        if self._server.tracer is not None:
            peer = Peer(self._server, Reply(), principal=arriving.principal)
            peer.arrival = arriving
            self._server.tracer.refuse(peer, error, None)

    async def post(self, message: Message | list[Message | InvalidMessage], incoming: Incoming) -> None:
        """Serve one message."""
        if isinstance(message, list):
            await incoming.refuse(400, "Batches exist in revision 2025-03-26 alone")
            return
        if isinstance(message, Notification):
            await incoming.respond(202)
            return
        if not isinstance(message, Request):
            await incoming.refuse(400, "A client sends requests and notifications; answers travel in inputResponses")
            return
        await incoming.conclude(self.begin(message, incoming))

    async def _conclude(self, peer: Peer, reply: Reply, incoming: Incoming) -> None:
        """Answer a request whose first step is run."""
        try:
            if reply.is_whole and reply.body is not None:
                await incoming.respond_json(reply.status, reply.body, reply.headers)
                return
            await self._deliver(peer, reply, incoming)
        finally:
            self._peers.discard(peer)
            for exchange in list(peer.exchanges.values()):
                exchange.stop(Ending.CANCELLED)

    async def _deliver(self, peer: Peer, reply: Reply, incoming: Incoming) -> None:
        """Wait for the answer with an ear on the client, whose hanging up cancels the request."""
        watch = asyncio.ensure_future(incoming.wait_gone())
        watch.add_done_callback(lambda _: reply.hang_up())
        try:
            while not (reply.done or reply.used or reply.gone):
                await reply.wait()
            if reply.gone:
                await incoming.leave()
            elif reply.is_stream:
                await self._stream(peer, reply, incoming)
            elif reply.body is not None:
                await incoming.respond_json(reply.status, reply.body, reply.headers)
            else:
                await incoming.refuse(503, "The server is closing, and has stopped the request")
        finally:
            watch.cancel()

    async def _stream(self, peer: Peer, reply: Reply, incoming: Incoming) -> None:
        await incoming.open_stream()
        while not reply.gone:
            while reply.events:
                await incoming.write(write_event(reply.take()))
                if not reply.events:
                    peer.release()  # notices that were held while there was no room
            if reply.done:
                await incoming.write(write_event(reply.body) if reply.body is not None else b"", last=True)
                return
            if not await reply.wait(KEEP_ALIVE_SECONDS):
                await incoming.write(KEEP_ALIVE)

    async def close(self, grace: float) -> None:
        """End listen streams at once, give other requests `grace` seconds."""
        self.closing = True
        await asyncio.gather(*(peer.close(grace) for peer in list(self._peers)))
