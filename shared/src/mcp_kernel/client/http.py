"""HTTP for the links: the one module here that names httpx.

A `Web` is the connections to one server; what its errors mean to a call is decided here, and every body is read as it
comes, up to a limit.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, TypeAlias
from urllib.parse import urljoin, urlsplit

import httpx

from mcp_kernel.client.failures import (
    CannotStart,
    ConnectionLost,
    HttpRefused,
    InvalidAnswer,
    NotAuthorized,
    NotConnected,
)
from mcp_kernel.client.link import MESSAGE_LIMIT
from mcp_kernel.errors import AuthorizationError
from mcp_kernel.protocol.framing import Event, Events, EventTooLong
from mcp_kernel.protocol.jsonrpc import Failure, decode

Auth: TypeAlias = httpx.Auth  # what authorises requests: `mcp_kernel.auth` has one
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
ACCEPT: Final = {"accept": f"{JSON}, {EVENT_STREAM}", "content-type": JSON}

_CONNECT: Final = 10.0  # seconds to connect; how long an answer may take is the call's to say
_SHOWN: Final = 200  # characters of a body in an error's text
_PROOF: Final = 64 * 1024  # bytes of the body of a refusal that are looked at
_UNKNOWN: Final = 401  # the status for whoever is not known
_HINTS: Final = {
    _UNKNOWN: "It wants authorisation that holds here: give the client `auth`, or a header with a key or a token.",
    403: "Whoever asks may not do this.",
    404: "There is no such endpoint: is the path right, often /mcp?",
    429: "It is asked too often.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of a response, and its body as it comes."""

    status: int
    kind: str
    headers: Mapping[str, str]
    _response: httpx.Response

    async def read(self, limit: int = MESSAGE_LIMIT) -> bytes:
        """The whole body; raises `InvalidAnswer` beyond the limit."""
        body = bytearray()
        async for chunk in self._response.aiter_bytes():
            body += chunk
            if len(body) > limit:
                raise InvalidAnswer(f"The server sent a body of over {limit} bytes, which was not read.")
        return bytes(body)

    async def events(self) -> AsyncIterator[Event]:
        """The server-sent events; raises `InvalidAnswer` for one beyond the limit."""
        events = Events(MESSAGE_LIMIT)
        try:
            async for chunk in self._response.aiter_bytes():
                for event in events.feed(chunk):
                    yield event
        except EventTooLong as error:
            raise InvalidAnswer(f"{error}, and was not read.") from None


class Web:
    """The way to one URL, with what goes along in every request."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        if not is_url(url):
            raise CannotStart(f"{url.partition('?')[0]!r} is no http or https URL.")
        self.url = url
        self._client = httpx.AsyncClient(
            headers=_encode(headers or {}),
            auth=auth,
            transport=transport,
            verify=True if tls is None else tls,
            timeout=httpx.Timeout(None, connect=_CONNECT, pool=_CONNECT),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    @asynccontextmanager
    async def send(
        self, method: str, headers: Mapping[str, str], data: bytes | None = None, url: str | None = None
    ) -> AsyncGenerator[Answer]:
        """Send one request; raises `NotConnected` where nothing was sent, `ConnectionLost` where it may have been.

        A redirect within the same origin is followed; one to another is refused, for it would take along what is
        meant for this server.
        """
        target = url or self.url
        if self._client.is_closed:
            raise ConnectionLost("The client was closed.")
        try:
            request = self._client.build_request(method, target, headers=_encode(headers), content=data)
            response = await self._client.send(request, stream=True)
            if response.status_code in (307, 308):
                await response.aclose()
                location = self._redirected(target, response)
                if url is None:
                    self.url = location
                request = self._client.build_request(method, location, headers=_encode(headers), content=data)
                response = await self._client.send(request, stream=True)
            try:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                yield Answer(response.status_code, kind, response.headers, response)
            finally:
                await response.aclose()
        except AuthorizationError as error:
            raise NotAuthorized(str(error), error.code) from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotConnected(f"{_show(target)} cannot be reached: {_tell(error)}.") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise CannotStart(f"The request to {_show(target)} cannot be sent: {_tell(error)}.") from None
        except httpx.LocalProtocolError:  # whose text quotes the header, with the token that may be in it
            raise CannotStart(
                f"The request to {_show(target)} cannot be sent: HTTP does not allow what one of its headers holds. "
                "Look for line ends and control characters in it."
            ) from None
        except httpx.DecodingError as error:
            raise InvalidAnswer(f"{_show(target)} sent what cannot be decoded: {_tell(error)}.") from None
        except httpx.TransportError as error:
            raise ConnectionLost(f"The connection to {_show(target)} broke: {_tell(error)}.") from None

    def _redirected(self, target: str, response: httpx.Response) -> str:
        location = join_url(target, response.headers.get("location", ""))
        if location is None:
            raise HttpRefused(response.status_code, f"{_show(target)} sends its clients to what is no URL.")
        if urlsplit(location)[:2] != urlsplit(target)[:2]:
            raise HttpRefused(
                response.status_code, f"{_show(target)} sends its clients to {_show(location)}. Give that URL instead."
            )
        return location

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


async def read_refusal(answer: Answer, url: str) -> Failure | HttpRefused:
    """What a status that is no success says: a JSON-RPC error, where the body is one.

    401 is never an answer to the request: it says that nobody looked at it.
    """
    try:
        body = await answer.read(_PROOF)
    except InvalidAnswer:
        body = b""
    if answer.kind == JSON:
        try:
            message = decode(body)
        except Exception:  # whatever it is, it is no JSON-RPC error
            message = None
        if isinstance(message, Failure):
            if answer.status != _UNKNOWN:
                return Failure(message.id, message.code, message.message, message.data, answer.status)
            body = message.message.encode()
    said = " ".join(body[:_SHOWN].decode("utf-8", "replace").split()).rstrip(".")
    hint = _HINTS.get(answer.status, "")
    text = f"{_show(url)} answered with status {answer.status}{': ' + said if said else ''}. {hint}"
    return HttpRefused(answer.status, text.strip(), answer.headers.get("retry-after"))


def is_url(url: str) -> bool:
    """Tell whether it is one that can be asked at all."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        return False


def join_url(url: str, reference: str) -> str | None:
    """What a server's reference leads to, seen from a URL; None where that is no URL."""
    try:
        joined = urljoin(url, reference.strip())
    except ValueError:
        return None
    return joined if is_url(joined) else None


def _encode(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Headers as they travel: an event id may hold any character (HTML Standard, "Last-Event-ID")."""
    return {name.encode(): value.encode() for name, value in headers.items()}


def _show(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _tell(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
