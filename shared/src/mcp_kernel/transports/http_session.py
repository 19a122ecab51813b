"""One session over Streamable HTTP: its peer, its streams, and a request in its first step."""

from __future__ import annotations

from binascii import hexlify
from os import urandom

from mcp_kernel.protocol.jsonrpc import Request
from mcp_kernel.server import dispatch
from mcp_kernel.server.exchange import Exchange
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.principal import Headers, Principal
from mcp_kernel.server.server import Server
from mcp_kernel.transports.streams import Stream, StreamStore, tell


class Begun:
    """A request whose first step is run, and the sink of its answer.

    Most are answered in that step and need no stream; one is opened for what says something else first, or waits.
    """

    __slots__ = ("_session", "answer", "headers", "request", "status", "stream")

    def __init__(self, session: HttpSession, request: Request) -> None:
        self._session = session
        self.request = request
        self.stream: Stream | None = None
        self.answer: bytes | None = None
        self.status = 0  # none yet
        self.headers: Headers = ()

    def finish(self, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take the answer."""
        if self.stream is not None:
            self._session.finish(self.stream, data, status, headers)
        else:
            self.answer, self.status, self.headers = data, tell(status), headers

    @property
    def is_whole(self) -> bool:
        """Whether the answer is there and nothing else was said."""
        return self.answer is not None and self.stream is None

    def open(self) -> Stream:
        """Return the stream of the request, which takes its answer from now on."""
        if self.stream is None:
            self.stream = self._session.streams.open(self.request.id)
            if self.status:
                self.stream.finish(self.answer, self.status, self.headers)
        return self.stream


class HttpSession:
    """One session: its peer, and the streams on which its messages travel. It is the outlet of its peer."""

    __slots__ = ("_begun", "_streams", "identifier", "last_used", "peer")

    shared = False

    def __init__(self, server: Server, principal: Principal | None, identifier: str | None = None) -> None:
        self.identifier = identifier or hexlify(urandom(16)).decode()
        self.peer = Peer(server, self, principal=principal)
        self.peer.is_heard = False  # before the stream of GET is there
        self.peer.identifier = self.identifier
        self._streams: StreamStore | None = None
        self._begun: Begun | None = None  # the request whose first step is run now
        self.last_used = 0.0

    @property
    def streams(self) -> StreamStore:
        """The streams, made when the first is needed: most sessions only ever answer with JSON."""
        if self._streams is None:
            self._streams = self.make_streams()
        return self._streams

    def make_streams(self) -> StreamStore:
        """Make what keeps the streams."""
        return StreamStore()

    @property
    def is_busy(self) -> bool:
        """Whether a request is in flight or a stream is being read, which keeps a session from being idle."""
        return bool(self.peer.exchanges) or (self._streams is not None and self._streams.is_read)

    @property
    def is_resumable(self) -> bool:
        """Whether the client takes priming events, `retry` and streams that end early; older ones break on them."""
        return self.peer.session.revision.polling

    @property
    def congested(self) -> bool:
        """Whether more would push out of a stream what nobody has read."""
        return self._streams is not None and bool(self._streams.full)

    def begin(self, request: Request) -> Begun:
        """Run the first step of a request."""
        begun = self._begun = Begun(self, request)
        try:
            dispatch.take(self.peer, request, begun.finish)
        finally:
            self._begun = None
        if begun.answer is None:
            begun.open()  # and not when somebody comes to send the answer: what it asks before belongs there too
        return begun

    def _stream_of(self, exchange: Exchange) -> Stream:
        begun = self._begun
        if begun is not None and begun.request is exchange.request:
            return begun.open()
        return self.streams.of_request(exchange.request.id)

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Send a message on the stream of its request, or on the one that the client opened with GET."""
        stream = self.streams.standalone if exchange is None else self._stream_of(exchange)
        stream.write(data)

    def release(self, exchange: Exchange, retry: int) -> None:
        """End the stream of a request early, for a client that can come back for the rest."""
        if self.is_resumable:
            self._stream_of(exchange).release(retry)

    async def drain(self) -> None:
        """Wait for whoever reads a stream that is full; what nobody reads is bounded by each stream."""
        for stream in self.streams.full:
            await stream.drain()

    def finish(self, stream: Stream, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take the answer of a stream's request."""
        self.streams.finish(stream, data, status, headers)
        self.relieve()

    def relieve(self) -> None:
        """Send the notices that were held, now that there may be room."""
        if not self.congested:
            self.peer.release()

    def note_reader(self) -> None:
        """A client began or ceased to read one of the streams."""
        self.peer.hear(self.streams.standalone.is_read)

    async def close(self, grace: float = 0.0) -> None:
        """End the session."""
        await self.peer.close(grace)
        self.let_go()

    def let_go(self) -> None:
        """End a session that has nothing in flight."""
        self.peer.let_go()
        if self._streams is not None:
            self._streams.close()
