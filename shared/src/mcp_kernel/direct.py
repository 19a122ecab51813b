"""What uvicorn does in vain for a request that is answered at once: a task, a scope, a head that was read before.

Importing this imports uvicorn, so only the function that serves does; it fails where httptools is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mcp_kernel.connections import Bounded
from mcp_kernel.protocol.heads import KnownHead, learn_head
from mcp_kernel.server.principal import BODY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

_HEADS: Final = 4  # of requests that are known at once
_HEADS_IN_VAIN: Final = 16  # that are learned on a connection on which none comes again
_LARGE: Final = 64 * 1024  # bytes of a body that are not copied behind their head


@runtime_checkable
class Prompt(Protocol):
    """An application that can serve a whole POST as far as that goes without waiting."""

    target: bytes
    """The request target whose POSTs it serves so."""

    def meet(self, headers: list[tuple[bytes, bytes]], client: tuple[str, int] | None) -> Begin | None:
        """Take the head of a POST; return what begins it, and every other that this client sends with this head.

        None where only the application itself serves it.
        """
        ...


Application: TypeAlias = "Callable[[Any, Any, Any], Awaitable[None]]"  # as ASGI has it
Begin: TypeAlias = "Callable[[bytes], tuple[int, bytes] | Application | None]"
"""Serves a request by its body: the status and the JSON of the answer, or what sees to the rest.

None where nothing was done.
"""


def _fail_with(error: Exception) -> Application:
    async def fail(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        raise error

    return fail


class Direct(Bounded):
    """Serves a POST that came whole in one read without a task, and writes its answer at once, where there is one.

    It does so for one request of each read, in its turn, on a connection that stays open and takes what is written to
    it; whatever else there is goes uvicorn's way, and so does what waits or writes a stream, from where it has got to.

    The heads of requests that it served so are known, and what comes with one of them is not parsed again. What the
    parser says of the last it has read is true of them all, so that they are forgotten when it reads another.
    """

    _pending: bytearray | None = None  # the body, as far as it came, of a request that may be served so
    _is_first = True  # no request of this read was
    _is_between = True  # the parser stands between two requests
    _met: tuple[Begin, list[tuple[bytes, bytes]], bytes] | None = None  # of this read, what was served so
    _known: tuple[tuple[KnownHead, Begin], ...] = ()
    _in_vain = 0  # heads that were learned since one was known again
    _date: object = None  # the headers of uvicorn's own
    _head = b""  # an answer up to the length of its body

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        is_plain = not (self.access_log or self.root_path or self.limit_concurrency)
        self._endpoint = self.app if is_plain and isinstance(self.app, Prompt) else None

    def data_received(self, data: bytes) -> None:
        if self._known and self._is_between and self._timer is None and self._is_next():
            for known, begin in self._known:
                body = known.find_body(data)
                if body is not None:
                    self._in_vain = 0
                    self._serve(begin, body, known)
                    return
        super().data_received(data)

    def _parse(self, data: bytes) -> None:
        was_between, self._is_first = self._is_between, True
        super()._parse(data)
        met, self._met = self._met, None
        if self._pending is not None and not self.transport.is_closing():
            body, self._pending = self._pending, None  # there is more to come
            self._begin()
            super().on_body(bytes(body))
        elif met is not None and was_between:
            self._learn(data, *met)

    def _learn(self, data: bytes, begin: Begin, pairs: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Know the head of the request that was read, unless none of those that were learned came again."""
        if self._in_vain < _HEADS_IN_VAIN and (known := learn_head(data, pairs, body)) is not None:
            self._in_vain += 1
            self._known = ((known, begin), *self._known[: _HEADS - 1])

    def on_message_begin(self) -> None:
        # As uvicorn does it, but for the scope, which is made when it is needed.
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._is_between = False

    def _begin_next(self) -> None:
        super()._begin_next()
        self._is_between = True

    def _take_up(self) -> None:
        if self._endpoint is not None and self._is_first and self._is_alone() and self.url == self._endpoint.target:
            self._is_first = False
            self._pending = bytearray()
        else:
            self._known = ()
            self._begin()

    def _begin_refused(self) -> None:
        self._known = ()
        super()._begin_refused()

    def _begin(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super()._begin()

    def _is_next(self) -> bool:
        """Tell whether a request that comes now is the next to be answered, and whatever is written is taken."""
        cycle = self.cycle
        return (
            (cycle is None or cycle.response_complete)  # pyright: ignore[reportUnnecessaryComparison]  # as above
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _is_alone(self) -> bool:
        """Tell whether a request is the next, is a POST, and the connection goes on as it is."""
        parser = self.parser
        return (
            self._is_next()
            and not self.expect_100_continue
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def on_body(self, body: bytes) -> None:
        if self._pending is None:
            super().on_body(body)
        else:
            self._pending += body

    def on_message_complete(self) -> None:
        body, self._pending = self._pending, None
        if body is None or self._endpoint is None:
            super().on_message_complete()
            return
        self._begin_next()
        try:
            begin = self._endpoint.meet(self.headers, self.client)
        except Exception as error:  # whatever it is, uvicorn answers for it and goes on
            self._go_on(_fail_with(error), bytes(body))
            return
        if begin is None:
            self._go_on(None, bytes(body))
        else:
            self._met = begin, self.headers, bytes(body)
            self._serve(begin, bytes(body))

    def _serve(self, begin: Begin, body: bytes, known: KnownHead | None = None) -> None:
        """Serve a request that is whole."""
        try:
            begun = begin(body)
        except Exception as error:  # as above
            begun = _fail_with(error)
        if begun is None or callable(begun):
            if known is not None:
                self.headers = known.pairs(len(body))
            self._go_on(begun, body)
        else:
            self._answer(*begun)

    def _answer(self, status: int, body: bytes) -> None:
        headers = self.server_state.default_headers
        if self._date is not headers:  # uvicorn makes them anew every second
            self._date = headers
            lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self._head = b"%bcontent-type: application/json\r\ncontent-length: " % lines
        if len(body) < _LARGE:
            self.transport.write(b"%b%b%d\r\n\r\n%b" % (STATUS_LINE[status], self._head, len(body), body))
        else:
            self.transport.writelines((b"%b%b%d\r\n\r\n" % (STATUS_LINE[status], self._head, len(body)), body))
        self.on_response_complete()

    def _go_on(self, app: Application | None, body: bytes) -> None:
        """Go on as uvicorn does, with the application, or with what sees to the rest of the request."""
        self._unset_keepalive_if_required()  # which an answer does by itself, where it begins anew
        own = self.app
        self.app = app or own
        try:
            self._begin()
        finally:
            self.app = own
        if app is None:
            self.scope[BODY] = body  # pyright: ignore[reportGeneralTypeIssues]  # a key of our own
            HttpToolsProtocol.on_body(self, body)
        HttpToolsProtocol.on_message_complete(self)
