"""The one port: each request goes to the server whose name its path begins with, over the way there.

A path stays as it is: the server behind serves `/NAME/mcp` itself. What a client sends is passed on as it comes, its
`Host` and `Origin` too, so that the server decides on them once more; a client that hangs up is hung up on behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import httpx

from mcp_kernel.transports.admission import Admission
from mcp_kernel.transports.http import BODY_LIMIT, BODY_SECONDS
from mcp_kernel.transports.incoming import Gone, Incoming, Pairs, Receive, Scope, Send, TooLarge, TooSlow

_CONNECT_SECONDS: Final = 5.0
_READY_SECONDS: Final = 2.5  # a server takes two at the most
_IDLE: Final = 32  # connections to a server that are kept: for five seconds, and a server keeps them for thirty
# Of one connection, and not of the message (RFC 9110, 7.6.1); each of the two connections has its own.
_OWN: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"date")
)


class Door:
    """The way to one server: a Unix socket, or an origin such as `http://sqlite:8000`.

    `closed` says why it cannot be used, once that is known.
    """

    def __init__(self, place: Path | httpx.URL) -> None:
        self.closed: str | None = None
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=_IDLE)
        socket = str(place) if isinstance(place, Path) else None
        # The name beside a socket is not looked up.
        self._origin = httpx.URL("http://localhost") if isinstance(place, Path) else place
        self._transport = httpx.AsyncHTTPTransport(uds=socket, limits=limits)

    def locate(self, target: bytes) -> httpx.URL:
        """The address of a path at the server, its query included."""
        return self._origin.copy_with(raw_path=target)

    async def ask(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is still to be read. Raises `httpx.HTTPError`."""
        return await self._transport.handle_async_request(request)

    async def close(self) -> None:
        """Give up the idle connections."""
        await self._transport.aclose()


class Turns:
    """The ways to one server: one, or those to its replicas, which take turns. What has ended is passed over."""

    def __init__(self, *doors: Door) -> None:
        self.doors = list(doors)
        self._taken = 0

    @property
    def closed(self) -> str | None:
        """Why none of them can be used, once that is known."""
        return self.doors[0].closed if all(door.closed for door in self.doors) else None

    def take(self) -> list[Door]:
        """The open ones, in the order in which they are to be tried."""
        self._taken += 1
        start = self._taken % len(self.doors)
        return [door for door in (*self.doors[start:], *self.doors[:start]) if not door.closed]

    async def close(self) -> None:
        """Give up the idle connections."""
        for door in self.doors:
            await door.close()


class Front:
    """The ASGI application. `doors` are by the servers' names; `absent` has the reasons of those that do not run."""

    def __init__(
        self,
        doors: Mapping[str, Turns],
        absent: Mapping[str, str],
        *,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> None:
        self._doors = doors
        self._absent = absent
        self._admission = Admission(hosts, origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        incoming = Incoming(scope, receive, send)
        refusal = self._admission.refuse(incoming.headers)
        name, _, rest = incoming.path.removeprefix("/").partition("/")
        if refusal is not None:
            await incoming.refuse(refusal.status, refusal.reason)
        elif incoming.path == "/healthz":
            await self._tell_health(incoming)
        elif incoming.path == "/readyz":
            await self._tell_readiness(incoming)
        elif name in self._absent:
            await incoming.refuse(503, f"The server {name} does not run: {self._absent[name]}")
        elif name not in self._doors:
            known = ", ".join(f"/{each}/mcp" for each in self._doors)
            await incoming.refuse(404, f"There is nothing at {incoming.path}; the servers are {known}")
        elif self._doors[name].closed:
            await incoming.refuse(503, f"The server {name} does not run: {self._doors[name].closed}")
        else:
            target = f"/{rest}".encode() if rest in ("healthz", "readyz") else _target(scope)
            await _pass_on(self._doors[name].take(), target, incoming, scope, send)

    async def _tell_readiness(self, incoming: Incoming) -> None:
        """Say whether every server that was started can serve now."""
        found = await asyncio.gather(*(_find_none_ready(name, turns) for name, turns in self._doors.items()))
        problems = [each for each in found if each]
        await incoming.respond(503 if problems else 200, "\n".join(problems or ["ready"]).encode())

    async def _tell_health(self, incoming: Incoming) -> None:
        """Say whether all that was started still runs."""
        ended = [f"{name}: {door.closed}" for name, turns in self._doors.items() for door in turns.doors if door.closed]
        await incoming.respond(503 if ended else 200, "\n".join(ended or ["ok"]).encode())


async def _find_none_ready(name: str, turns: Turns) -> str | None:
    """Ask all replicas of a server; returns what is wrong where none can serve."""
    found = await asyncio.gather(*(_find_unready(name, door) for door in turns.doors))
    return found[0] if all(found) else None


async def _find_unready(name: str, door: Door) -> str | None:
    """Ask a server whether it can serve; returns what is wrong, as far as anybody may know."""
    request = httpx.Request("GET", door.locate(b"/readyz"))
    try:
        async with asyncio.timeout(_READY_SECONDS):
            response = await door.ask(request)
            try:
                said = (await response.aread()).decode("utf-8", "replace")
            finally:
                await response.aclose()
    except (httpx.HTTPError, TimeoutError) as error:
        return f"{name}: {door.closed or f'does not answer ({type(error).__name__})'}"
    return None if response.status_code == 200 else f"{name}: {said}"


async def _pass_on(doors: Sequence[Door], target: bytes, incoming: Incoming, scope: Scope, send: Send) -> None:
    """Have a server answer a request, for as long as the client is there.

    The body is read first, within the servers' own bounds: behind a body that does not end, a server's answer would
    not be heard.
    """
    try:
        body = await incoming.read_body(BODY_LIMIT, asyncio.timeout(BODY_SECONDS))
    except TooLarge:
        return await incoming.refuse(413, f"The body is larger than {BODY_LIMIT} bytes")
    except TooSlow:
        return await incoming.refuse(408, "The body did not arrive in time")
    except Gone:
        return await incoming.leave()
    pairs = _strip(cast("Pairs", scope["headers"]))
    requests: list[tuple[Door, httpx.Request]] = []
    for door in doors:
        request = httpx.Request(incoming.method, door.locate(target), headers=pairs, content=body)
        request.extensions["timeout"] = {"connect": _CONNECT_SECONDS}
        requests.append((door, request))
    answering = asyncio.create_task(_answer(requests, incoming, send))
    leaving = asyncio.create_task(incoming.wait_gone())
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.wait((answering, leaving))
        with suppress(asyncio.CancelledError):
            answering.result()


async def _ask(requests: Sequence[tuple[Door, httpx.Request]]) -> httpx.Response:
    """Send a request to the first that can be reached; raises `httpx.HTTPError`."""
    *others, (last, request) = requests
    for door, each in others:
        with suppress(httpx.ConnectError):  # nothing was sent
            return await door.ask(each)
    return await last.ask(request)


async def _answer(requests: Sequence[tuple[Door, httpx.Request]], incoming: Incoming, send: Send) -> None:
    try:
        response = await _ask(requests)
    except httpx.HTTPError as error:
        await incoming.refuse(502, f"The server does not answer: {type(error).__name__}")
        return
    try:
        headers: object = _strip(response.headers.raw)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        async for part in cast("AsyncIterable[bytes]", response.stream):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except httpx.HTTPError:
        pass  # left without an end, the answer is cut off for the client as it was for us
    finally:
        await response.aclose()


def _target(scope: Scope) -> bytes:
    query = cast("bytes", scope.get("query_string", b""))
    return cast("bytes", scope["raw_path"]) + (b"?" + query if query else b"")


def _strip(pairs: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The headers without those of a connection, the ones that `Connection` names included; never without `Host`."""
    kept = list(pairs)
    named = {word.strip().lower() for key, value in kept if key.lower() == b"connection" for word in value.split(b",")}
    return [(key, value) for key, value in kept if key.lower() not in _OWN | (named - {b"host"})]
