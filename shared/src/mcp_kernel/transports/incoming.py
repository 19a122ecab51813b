"""One HTTP request as far as MCP needs it, over the three values that ASGI gives an application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Final, NamedTuple, TypeAlias, cast

from mcp_kernel.errors import INVALID_REQUEST
from mcp_kernel.protocol.jsonrpc import Failure, encode
from mcp_kernel.server.monitor import LastArrival
from mcp_kernel.server.principal import BODY, CERTIFICATE, Headers, Knock, Principal, Refused

Scope: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, object]]]
Send: TypeAlias = Callable[[MutableMapping[str, object]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Client: TypeAlias = tuple[str, int] | None
Pairs: TypeAlias = list[tuple[bytes, bytes]]

PRINCIPAL: Final = "mcp_kernel.principal"
JSON: Final = (b"content-type", b"application/json")
_STREAM: Final[Pairs] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


_TRACE: Final = ("traceparent", "tracestate", "baggage")
_NO_TRACE: Final[Mapping[str, str]] = {}

# Between the values of a doubled Mcp-* header, which means something else to whoever reads the first or the last: no
# value has a line feed in it, so that this one is equal to nothing.
_TWICE: Final = "\n"


class Gone(Exception):
    """The client hung up before its request was whole."""


class TooLarge(Exception):
    """The body is larger than the limit."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Answer(NamedTuple):
    """An answer that is whole, in JSON, and has no headers of its own."""

    status: int
    body: bytes


Rest: TypeAlias = "Callable[[Incoming], Awaitable[None]]"
"""What is left to do of a request that was begun: waits, writes a stream, or answers with more than a body."""


Begin: TypeAlias = "Callable[[bytes], Answer | App | None]"
"""Serves a request by its body, as far as that goes without waiting; see `http.HttpApp.meet`."""


class Arriving:
    """What is known of a request once its head is read.

    `headers` are by lower-case name; a header that came twice has both values, joined by a comma (RFC 9110, 5.3).
    `principal` is who is authenticated, as the layer in front of the application says with `PRINCIPAL` in the scope, or
    the gate; None where nobody is. `client` is the other end of the connection; None on a Unix socket.
    """

    __slots__ = ("client", "headers", "principal", "version")

    def __init__(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        client: Client,
        principal: Principal | None = None,
        version: str = "1.1",
    ) -> None:
        self.headers = _read_headers(headers)
        self.client = client
        self.principal = principal
        self.version = version

    @property
    def address(self) -> str | None:
        """The address at the other end of the connection; None on a Unix socket."""
        return self.client[0] if self.client else None

    @property
    def port(self) -> int | None:
        """The port at the other end of the connection; None on a Unix socket."""
        return self.client[1] if self.client else None

    @property
    def trace(self) -> Mapping[str, str]:
        """The W3C trace context of the headers; empty where the client names no trace."""
        headers = self.headers
        return {name: headers[name] for name in _TRACE if name in headers} if "traceparent" in headers else _NO_TRACE

    def keep(self) -> LastArrival:
        """Return how the request came, for what outlives it."""
        return LastArrival(self.address, self.port, self.version, self.trace)


class Incoming(Arriving):
    """A request and the way to answer it.

    `root` is where the application is mounted, `path` what follows. `body` is there where it came whole with the head.
    `refusals` hears of what is refused, and `refused_by` says who would refuse it now (`server.principal.Refused`).
    """

    __slots__ = (
        "_receive",
        "_send",
        "body",
        "extra",
        "is_streaming",
        "method",
        "path",
        "query",
        "refusals",
        "refused_by",
        "root",
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(
            cast("Iterable[tuple[bytes, bytes]]", scope["headers"]),
            cast("Client", scope.get("client")),
            cast("Principal | None", scope.get(PRINCIPAL)),
            cast("str", scope.get("http_version", "1.1")),
        )
        self.method = cast("str", scope["method"])
        path = cast("str", scope["path"])
        # Mounted in another application, the path is whole and `root_path` says which part is not ours.
        self.root = cast("str", scope.get("root_path", ""))
        self.path = path.removeprefix(self.root) if self.root else path
        self.query = cast("bytes", scope.get("query_string", b""))
        self.body = cast("bytes | None", scope.get(BODY))
        self.refusals: Callable[[Refused], None] | None = None
        self.refused_by = "http"
        self.is_streaming = False  # a stream is open, and not at its end
        self.extra: Pairs = []  # headers that every answer to this request carries
        self.scope = scope
        self._receive = receive
        self._send = send

    def knock(self) -> Knock:
        """Return what a gate needs of the request."""
        scope = self.scope
        pairs = cast("Iterable[tuple[bytes, bytes]]", scope["headers"])
        return Knock(
            method=self.method,
            path=self.root + self.path,
            query=self.query,
            headers=tuple((name.lower(), value) for name, value in pairs),
            scheme=cast("str", scope.get("scheme", "http")),
            client=self.address,
            certificate=cast("bytes | None", scope.get(CERTIFICATE)),
        )

    async def read_body(self, limit: int, patience: asyncio.Timeout) -> bytes:
        """Return the body; raises `TooLarge`, `TooSlow` or `Gone`."""
        try:
            async with patience:
                return await self._read_parts(limit)
        except TimeoutError:
            raise TooSlow from None

    async def _read_parts(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while (message := await self._receive())["type"] == "http.request":
            part = cast("bytes", message.get("body", b""))
            size += len(part)
            if size > limit:
                raise TooLarge
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
        raise Gone

    async def wait_gone(self) -> None:
        """Wait until the client has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def respond(self, status: int, body: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer with a whole body."""
        pairs = [*headers, *self.extra]
        if status != 204:  # which has no body by definition (RFC 9110, 8.6)
            pairs.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})
        await self._send({"type": "http.response.body", "body": body})

    async def respond_head(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer with a head alone: that nothing has changed (304)."""
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self.extra]})
        await self._send({"type": "http.response.body", "body": b""})

    async def respond_json(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Answer with JSON."""
        await self.respond(status, body, (JSON, *headers))

    async def refuse(self, status: int, reason: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer with a JSON-RPC error that has no id: the request was not read so far."""
        self.report(status, reason)
        body = encode(Failure(None, INVALID_REQUEST, reason))
        await self.respond(status, body, (JSON, *headers))

    async def conclude(self, begun: Answer | Rest | None) -> None:
        """Answer with what has become of a request, or see to the rest of it."""
        if isinstance(begun, Answer):
            await self.respond_json(*begun)
        elif begun is not None:
            await begun(self)

    def report(self, status: int, reason: str, code: int | None = None) -> None:
        """Tell whoever keeps an account of it that the request is refused."""
        if self.refusals is not None:
            who = self.principal
            by = self.refused_by if code is None else "protocol"
            http = f"{self.method} {self.root}{self.path}"
            self.refusals(
                Refused(by=by, reason=reason, principal=who, address=self.address, status=status, code=code, http=http)
            )

    async def leave(self) -> None:
        """Answer a client that is gone: nobody gets it, but a framework around takes no answer at all for a failure."""
        await self.respond(499)

    async def open_stream(self) -> None:
        """Begin an answer of server-sent events."""
        self.is_streaming = True
        await self._send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *self.extra]})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Write a part of the stream."""
        self.is_streaming = not last
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})


def _read_headers(given: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    pairs = list(given)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}
    if len(headers) == len(pairs):
        return headers
    headers.clear()  # one came twice
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key not in headers:
            headers[key] = text
        else:
            headers[key] += _TWICE + text if key.startswith("mcp-") else f", {text}"
    return headers
