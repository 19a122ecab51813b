"""HTTP: an ASGI application for every revision, on one endpoint.

It needs no lifespan and no framework: it runs under any ASGI server, alone or mounted in another application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from mcp_kernel.errors import ProtocolError
from mcp_kernel.protocol.jsonrpc import Failure, InvalidMessage, decode, encode
from mcp_kernel.server.monitor import Monitor
from mcp_kernel.server.principal import Gate, Refusal
from mcp_kernel.server.server import Server
from mcp_kernel.transports import http_modern
from mcp_kernel.transports.admission import Admission
from mcp_kernel.transports.holding import serve_while_let_in
from mcp_kernel.transports.http_legacy import IDLE_SECONDS, MOST_SESSIONS, SessionEndpoint, names_session
from mcp_kernel.transports.incoming import (
    Answer,
    App,
    Arriving,
    Begin,
    Client,
    Gone,
    Incoming,
    Pairs,
    Receive,
    Rest,
    Scope,
    Send,
    TooLarge,
    TooSlow,
)
from mcp_kernel.transports.sse import SsePair

_LOG = logging.getLogger("mcp_kernel")

BODY_LIMIT: Final = 4 * 1024 * 1024  # bytes
BODY_SECONDS: Final = 10.0
_JSON: Final = "application/json"
DRAIN_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """What can be set of the endpoint; times in seconds, sizes in bytes.

    `hosts` and `origins` are allowed beside those of this machine. `sse` serves the pair of 2024-11-05, `/sse` and
    `/messages`, instead of `path`. `gate` authenticates whoever asks for anything but `/healthz` and `/readyz`.
    `monitor` counts, and is shown at `/metrics`: behind the gate, or on a port of its own, `metrics_port`, before it.
    """

    path: str = "/mcp"
    hosts: Iterable[str] = ()
    origins: Iterable[str] = ()
    body_limit: int = BODY_LIMIT
    body_timeout: float = BODY_SECONDS
    session_idle: float = IDLE_SECONDS
    most_sessions: int = MOST_SESSIONS
    sse: bool = False
    gate: Gate | None = None
    monitor: Monitor | None = None
    metrics_port: int | None = None


class HttpApp:
    """The ASGI application of one server."""

    def __init__(self, server: Server, options: HttpOptions | None = None) -> None:
        self._server = server
        self._options = options or HttpOptions()
        self._admission = Admission(self._options.hosts, self._options.origins)
        self._stateless = http_modern.StatelessEndpoint(server)
        self._sessions = _make_sessions(server, self._options)
        self._pair = SsePair(server)
        self._path = "/" + self._options.path.strip("/")
        self.target = self._path.encode()
        """The request target of what `meet` takes, as it is on the wire."""
        self._closing = False
        self._bodies: set[asyncio.Timeout] = set()  # that are being read
        if self._options.monitor is not None:
            self._options.monitor.watch("mcp_sessions", lambda: [*self._sessions.sessions, *self._pair])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and self._options.monitor is not None:
            with self._options.monitor.visit(receive, send) as (hear, say):
                await self._arrive(Incoming(scope, hear, say))
        elif scope["type"] == "http":
            await self._arrive(Incoming(scope, receive, send))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def meet(self, pairs: Pairs, client: Client) -> Begin | None:
        """Take the head of a POST to the endpoint; return what serves it as far as that goes without waiting.

        `pairs` are its headers, `client` is the other end of the connection. None for what only the application itself
        serves: whatever is refused, counted, or let through by somebody else.
        """
        options = self._options
        if options.sse or options.gate is not None or options.monitor is not None:
            return None
        arriving = Arriving(pairs, client)
        headers = arriving.headers
        if "origin" in headers or _find_unfit(headers) is not None or self._admission.refuse(headers) is not None:
            return None
        return partial(self._begin, arriving)

    def _begin(self, arriving: Arriving, body: bytes) -> Answer | App | None:
        """Serve a request by its body: the answer, or the application that sees to the rest.

        None, and nothing is done, for what only the application itself serves.
        """
        if self._closing or len(body) > self._options.body_limit:
            return None
        if self._server.stages is not None or self._server.refusals is not None:
            return None
        try:
            message = decode(body)
        except ProtocolError:
            return None
        begun = self._route(message, arriving).begin(message, arriving)
        return begun if begun is None or isinstance(begun, Answer) else _go_on(begun)

    async def _arrive(self, incoming: Incoming) -> None:
        """Serve a request; whoever keeps an account of them hears of it where it is refused."""
        incoming.refusals = self._server.refusals
        await self._serve(incoming)

    async def _serve(self, incoming: Incoming) -> None:
        refusal = self._admission.refuse(incoming.headers)
        if refusal is not None:
            _LOG.warning("%s", refusal.reason, extra={"knock": incoming.knock()})
            self._count_refusal("admission", refusal.status)
            incoming.refused_by = "admission"
            await incoming.refuse(refusal.status, refusal.reason)
            return
        self._share(incoming)
        path = incoming.path.rstrip("/") or "/"
        if path == "/healthz" and incoming.method in ("GET", "HEAD"):
            await incoming.respond(503 if self._closing else 200, b"closing" if self._closing else b"ok")
        elif path == "/readyz" and incoming.method in ("GET", "HEAD"):
            await self._tell_readiness(incoming)
        elif self._is_aside(incoming):
            await self._show_figures(path, incoming)
        elif self._closing:
            await incoming.refuse(503, "The server is closing", ((b"connection", b"close"),))
        elif incoming.method == "OPTIONS" and incoming.extra:
            await self._answer_preflight(incoming)
        elif await self._stands_at_gate(incoming):
            return
        elif path == "/metrics" and self._options.metrics_port is None:
            await self._show_figures_of_role(path, incoming)
        elif path == self._path and not self._options.sse:
            await serve_while_let_in(incoming, self._serve_endpoint(incoming))
        elif path in ("/sse", "/messages") and self._options.sse:
            await serve_while_let_in(incoming, self._serve_pair(path, incoming))
        else:
            endpoint = "/sse" if self._options.sse else self._path
            await incoming.refuse(404, f"There is nothing at {incoming.path}; the endpoint is {endpoint}")

    async def _tell_readiness(self, incoming: Incoming) -> None:
        """Say whether requests can be served now: whether what the server needs answers."""
        readiness = self._server.readiness
        problems = ["closing"] if self._closing else [] if readiness is None else await readiness.problems()
        await incoming.respond(503 if problems else 200, "\n".join(problems or ["ready"]).encode())

    def _is_aside(self, incoming: Incoming) -> bool:
        """Tell whether a request came to the port that has the figures and nothing else."""
        port = self._options.metrics_port
        return port is not None and cast("tuple[str, int]", incoming.scope.get("server") or ("", 0))[1] == port

    async def _show_figures_of_role(self, path: str, incoming: Incoming) -> None:
        """Show the figures to whoever may see them: they name tools that others have, and tell what those do."""
        policy = self._server.policy
        if self._options.monitor is None or policy is None or policy.view(incoming.principal).has_figures:
            await self._show_figures(path, incoming)
        else:
            self._count_refusal("policy", 403)
            incoming.refused_by = "policy"
            await incoming.refuse(403, "The figures are for whom a role shows them: metrics = true")

    async def _show_figures(self, path: str, incoming: Incoming) -> None:
        monitor = self._options.monitor
        if monitor is None or path != "/metrics" or incoming.method not in ("GET", "HEAD"):
            await incoming.refuse(404, f"There is nothing at {incoming.path}; the endpoint is {self._path}")
            return
        page = await monitor.page()
        if page is None:
            await incoming.refuse(503, "The figures of all workers cannot be had now", ((b"retry-after", b"5"),))
            return
        await incoming.respond(200, page, ((b"content-type", monitor.kind),))

    def _count_refusal(self, who: str, status: int) -> None:
        if self._options.monitor is not None:
            self._options.monitor.refuse(who, status)

    async def _stands_at_gate(self, incoming: Incoming) -> bool:
        """Have the gate say who asks; tells whether the request was answered here."""
        gate = self._options.gate
        if gate is None:
            return False
        knock = incoming.knock()
        document = gate.document(knock) if incoming.method in ("GET", "HEAD") else None
        if document is not None:
            await incoming.respond_json(200, document)
            return True
        admitted = await gate.admit(knock)
        if isinstance(admitted, Refusal):
            self._count_refusal("gate", admitted.status)
            incoming.refused_by = "gate"
            await incoming.refuse(admitted.status, admitted.reason, admitted.headers)
            return True
        incoming.principal = admitted
        return False

    def _share(self, incoming: Incoming) -> None:
        """Let pages of an origin that was named read the answers (CORS); no other page may."""
        origin = incoming.headers.get("origin", "")
        if origin and self._admission.shares_with(origin):
            incoming.extra += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-expose-headers", b"mcp-session-id, www-authenticate"),
                (b"vary", b"origin"),
            ]

    async def _serve_endpoint(self, incoming: Incoming) -> None:
        if incoming.method == "POST":
            await self._post(incoming)
        elif incoming.method not in ("GET", "DELETE") or http_modern.names_revision(incoming.headers):
            await incoming.refuse(405, f"{incoming.method} is not served here", ((b"allow", b"POST"),))
        elif not names_session(incoming.headers):
            await incoming.refuse(400, "Mcp-Session-Id is missing")
        elif incoming.method == "GET":
            await self._sessions.get(incoming)
        else:
            await self._sessions.delete(incoming)

    async def _answer_preflight(self, incoming: Incoming) -> None:
        wanted = incoming.headers.get("access-control-request-headers", "content-type")
        await incoming.respond(
            204,
            headers=(
                (b"access-control-allow-methods", b"GET, POST, DELETE"),
                (b"access-control-allow-headers", wanted.encode("latin-1")),
                (b"access-control-max-age", b"600"),
            ),
        )

    async def _post(self, incoming: Incoming) -> None:
        body = await self._read(incoming)
        if body is None:
            return
        try:
            message = decode(body)
        except ProtocolError as error:
            identifier = error.id if isinstance(error, InvalidMessage) else None
            incoming.report(400, error.message, error.code)
            self._stateless.refuse(error, incoming)
            await incoming.respond_json(400, encode(Failure(identifier, error.code, error.message)))
            return
        await self._route(message, incoming).post(message, incoming)

    def _route(self, message: object, arriving: Arriving) -> http_modern.StatelessEndpoint | SessionEndpoint:
        """The endpoint of a message's era."""
        return self._stateless if http_modern.claims(arriving.headers, message) else self._sessions

    async def _read(self, incoming: Incoming) -> bytes | None:
        """Return the body of a POST; answers itself where it cannot be taken."""
        unfit = _find_unfit(incoming.headers)
        if unfit is not None:
            await incoming.refuse(415, unfit)
            return None
        limit = self._options.body_limit
        if incoming.body is not None and len(incoming.body) <= limit:
            return incoming.body
        announced = incoming.headers.get("content-length", "")
        timeout = asyncio.timeout(self._options.body_timeout)
        self._bodies.add(timeout)
        try:
            if announced.isascii() and announced.isdigit() and int(announced) > limit:
                raise TooLarge
            return await incoming.read_body(limit, timeout)
        except TooLarge:
            # Not closed: a client that still writes would be reset, and lose the answer.
            await incoming.refuse(413, f"The body is larger than {limit} bytes")
        except TooSlow:
            # Not closed either: what comes of the body is passed over, and the next request is served.
            last = ((b"connection", b"close"),) if self._closing else ()
            await incoming.refuse(408, "The body did not arrive in time", last)
        except Gone:
            await incoming.leave()
        finally:
            self._bodies.discard(timeout)
        return None

    async def _serve_pair(self, path: str, incoming: Incoming) -> None:
        if path == "/sse" and incoming.method == "GET":
            await self._pair.open(incoming)
        elif path == "/messages" and incoming.method == "POST":
            body = await self._read(incoming)
            if body is not None:
                await self._pair.post(body, incoming)
        else:
            await incoming.refuse(405, f"{incoming.method} is not served here")

    async def close(self, grace: float = DRAIN_SECONDS) -> None:
        """Stop serving: tell every stream, give calls in flight `grace` seconds, close the server."""
        if self._closing:
            return
        self._closing = True
        for timeout in self._bodies:
            timeout.reschedule(asyncio.get_running_loop().time())
        await asyncio.gather(self._stateless.close(grace), self._sessions.close(grace), self._pair.close(grace))
        await self._server.close()
        if self._options.gate is not None:
            await self._options.gate.close()


def _go_on(rest: Rest) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await rest(Incoming(scope, receive, send))

    return app


def _find_unfit(headers: Mapping[str, str]) -> str | None:
    """Why a body is not read for what its headers say it is; None where it is plain JSON."""
    given = headers.get("content-type", "")
    kind = given if given == _JSON else given.partition(";")[0].strip().lower()
    if kind != _JSON:
        return f"The Content-Type must be application/json, not {kind or 'missing'}"
    coding = headers.get("content-encoding", "identity")
    if coding.strip().lower() not in ("", "identity"):
        return f"A body is read as it comes: send it without Content-Encoding, which is {coding[:40]!r} here"
    return None


def _make_sessions(server: Server, options: HttpOptions) -> SessionEndpoint:
    """Sessions of this process alone, or of all that share the server's store."""
    if server.store is None:
        return SessionEndpoint(server, idle=options.session_idle, most=options.most_sessions)
    from mcp_kernel.transports.http_shared import SharedEndpoint

    return SharedEndpoint(server, server.store, idle=options.session_idle, most=options.most_sessions)
