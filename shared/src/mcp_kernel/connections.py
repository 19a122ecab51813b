"""What uvicorn leaves open on a connection: a head that grows or takes for ever, and the client that leaves.

Importing this imports uvicorn, so only the function that serves does; it fails where httptools is missing.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_kernel.server.principal import CERTIFICATE

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_LIMIT: Final = 64 * 1024  # bytes of the request line and the headers
HEAD_DISCARD: Final = 1024 * 1024  # bytes of a head that is refused, up to which its end is looked for
LARGE: Final = 64 * 1024  # bytes of a body that are not copied behind their head
BODY_DISCARD: Final = 64 * 1024 * 1024  # bytes of a body that nobody wants, up to which its end is waited for
HEAD_SECONDS: Final = 10.0  # from the connection, or from a request's first byte, to the end of its head
_PIECE: Final = 16 * 1024  # bytes of a refused line that are read at once: a parser copies the line with each piece
_WHOLE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")  # of a request target that is a whole URL
_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n"


async def _refuse_head(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    await send({"type": "http.response.start", "status": 431, "headers": [(b"content-length", b"0")]})  # pyright: ignore[reportArgumentType]  # `trailers` has a default
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _say_nothing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The application of a request that was answered before its head was whole."""


class Together:
    """Writes the head of an answer with what follows it at once, in one system call of two.

    What does not follow at once finds the head written: a stream begins when it is opened.
    """

    __slots__ = ("_head", "_loop", "_soon", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._soon: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        if self._soon is None:
            self._head = data
            self._soon = self._loop.call_soon(self.flush)
            return
        head, self._head = self._head, None
        if head is None:
            self._transport.write(data)
            return
        self._soon.cancel()
        if len(data) < LARGE:
            self._transport.write(head + data)
        else:
            self._transport.writelines((head, data))

    def flush(self) -> None:
        """Write the head, where nothing has followed it yet."""
        head, self._head = self._head, None
        if head is not None:
            self._transport.write(head)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()


class _Body:
    """In the place of a parser: reads the body of one request in its frame, and nothing behind it."""

    def __init__(self, connection: Bounded) -> None:
        self._connection: Bounded | None = connection
        self._parser = httptools.HttpRequestParser(self)

    def begin(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Read the frame, which may be that of no body; raises `HttpParserError` as reading on does."""
        frame = [b"%b: %b\r\n" % pair for pair in headers if pair[0] in (b"content-length", b"transfer-encoding")]
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(frame))

    def feed_data(self, data: bytes) -> None:
        """Read on; raises `HttpParserError` where it is no body of this frame."""
        if self._connection is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._connection is not None:  # pyright: ignore[reportUnnecessaryComparison]  # the parser may have ended it
                raise

    def should_upgrade(self) -> bool:
        """Whether another protocol is offered: that was refused."""
        return False

    def on_body(self, body: bytes) -> None:
        """What the parser reads of it."""
        if self._connection is not None:
            self._connection.on_body(body)

    def on_message_complete(self) -> None:
        """Its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.on_message_complete()


class Bounded(HttpToolsProtocol):
    """Counts the bytes of a head as they come; httptools itself takes any number.

    A head over the limit is answered at once, or in its turn, and read on within bounds for its framing alone, so
    that the next request can be told from its body; where that cannot be known the connection ends. So it does where
    the rest of any refused request takes too long or is too much.

    While requests wait behind one that is served, uvicorn does not read, and so does not hear the client leave; and
    when it does, it tells the last of them only. Here as much as a head may hold is read on, and the first is told.
    """

    _size = 0  # bytes that came while this head was read
    _fields = 0  # bytes of this head that were parsed
    _discarded = 0
    _behind = 0  # bytes of the requests that wait for their turn
    _held = b""
    _served: RequestResponseCycle | None = None
    _answering: Together | None = None
    _certificate: bytes | None = None  # of the client, in DER
    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _is_over = False  # this head is over the limit
    _is_answered = False  # and was answered

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        self._certificate = None if secured is None else secured.getpeercert(binary_form=True)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._size += len(data)
        elif self.cycle.response_complete:
            self._discarded += len(data)
        self._parse(self._hold(data) if self._is_over and self._in_head else data)
        if self._size > HEAD_LIMIT or self._fields > HEAD_LIMIT or self._discarded > BODY_DISCARD:
            self._check_sizes()
        if self._timer is None and not self.transport.is_closing():
            is_due = bool(self._size) if self._in_head else self.cycle.response_complete
            if is_due:  # the rest of a head, or that of a body that was refused
                self._await_head()
        if not self.pipeline:
            self._behind = 0
        if self._behind > HEAD_LIMIT:
            self.transport.close()
        elif self.pipeline:
            self.flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")

    def _stay(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 where the client offers another protocol, as a server may (RFC 9110, 7.8).

        Java's client offers HTTP/2 with each request. The parser takes what follows the head for that protocol's.
        """
        body = _Body(self)
        self.parser = cast("httptools.HttpRequestParser", body)  # it has what is asked of it
        body.begin(self.headers)
        body.feed_data(rest)

    def _hold(self, data: bytes) -> bytes:
        """Collect the pieces of a refused line, which nothing can follow before its line feed."""
        self._held += data
        if b"\n" not in data and len(self._held) < _PIECE:
            return b""
        data, self._held = self._held, b""
        return data

    def _check_sizes(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head and max(self._size, self._fields) > HEAD_LIMIT:
            self._is_over = True
            if not self._is_answered and not self._is_serving():
                self._is_answered = True
                self.transport.write(_TOO_LARGE)
            if self._size > HEAD_DISCARD:
                self.transport.close()
        elif self._discarded > BODY_DISCARD:
            self.transport.close()

    def _is_serving(self) -> bool:
        """Tell whether an answer is due before that to the head which is read now."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)  # pyright: ignore[reportUnnecessaryComparison]  # None before the first request

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._certificate is not None:  # uvicorn tells an application nothing of it
            self.scope[CERTIFICATE] = self._certificate  # pyright: ignore[reportGeneralTypeIssues]  # a key of our own

    def on_url(self, url: bytes) -> None:
        self._fields += len(url)
        if not self._is_over:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += len(name) + len(value) + 4
        if not self._in_head or self._is_over:
            return  # what follows a body in pieces is nobody's header (RFC 9110, 6.5.1)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))  # as uvicorn does it, which is not asked: a call for each header is felt

    def on_headers_complete(self) -> None:
        if self.transport.is_closing():
            raise ConnectionAbortedError("nothing is served behind what ended the connection")
        self._in_head = False
        self._stop_waiting()
        if not self._is_over and self._fields <= HEAD_LIMIT:
            self._take_up()
            self._behind += self._fields if self.pipeline else 0
        else:
            self._begin_refused()

    def _take_up(self) -> None:
        """Begin a request whose head is within the limit."""
        self._begin()

    def _begin(self) -> None:
        if (whole := _WHOLE.match(self.url)) is not None:  # then it is not Host that counts (RFC 9112, 3.2.2)
            others = [pair for pair in self.headers if pair[0] != b"host"]
            self.headers[:] = [(b"host", whole[1]), *others]
        super().on_headers_complete()
        if self._is_offered_another():
            self.cycle.keep_alive = False  # nothing is read behind it

    def _begin_refused(self) -> None:
        self.url = b"/"  # what is known of it serves nobody
        app = self.app
        self.app = _say_nothing if self._is_answered else _refuse_head  # pyright: ignore[reportAttributeAccessIssue]  # both are applications
        try:
            self._begin()
        finally:
            self.app = app
        if self._is_answered:
            self.cycle.response_started = self.cycle.response_complete = True

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._behind += len(body) if self.pipeline else 0

    def _is_offered_another(self) -> bool:
        """Tell whether the client offers another protocol in what the parser reads."""
        return self.parser.should_upgrade()

    def on_message_complete(self) -> None:
        if self._is_offered_another():
            return  # this is but the end of its head
        super().on_message_complete()
        self._stop_waiting()
        if self._is_answered:
            if not self.cycle.keep_alive:
                self.transport.close()
            else:
                self._await_head()  # uvicorn's own clock begins with an answer of its own
        self._begin_next()

    def _begin_next(self) -> None:
        """What comes from now on is another request's."""
        self._in_head, self._is_over, self._is_answered = True, False, False
        self._size = self._fields = self._discarded = 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, unless this request was answered already: then the connection ends."""
        if not self._is_answered and not self.transport.is_closing():
            super().send_400_response(msg)
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        self._answering = Together(self.transport, self.loop)
        cycle.transport = self._answering  # pyright: ignore[reportAttributeAccessIssue]  # it has what is asked of it
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        if self._answering is not None:
            self._answering.flush()  # of an answer without a body
        super().on_response_complete()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """A head, or the rest of a refused request, was not whole in time."""
        if not self.transport.is_closing():
            if self._in_head and not self._is_answered and not self._is_serving():
                self.transport.write(_TIMEOUT)
            self.transport.close()
