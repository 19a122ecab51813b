"""Requests to authorisation servers: their own connections, bounded in size and time, no redirects, no cookies."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast

import httpx
from pydantic_core import from_json

from mcp_kernel.auth.address import require_safe, show
from mcp_kernel.errors import AuthorizationError

_BODY: Final = 256 * 1024  # bytes; the largest metadata in use has some ten thousand
_TIME: Final = 20.0  # seconds for one request, whatever it trickles
_CONNECT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of an authorisation server; the document is empty where the body is no JSON object."""

    status: int
    document: Mapping[str, object]
    nonce: str  # for the next DPoP proof (RFC 9449, section 8)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


class Web:
    """A context that asks authorisation servers on behalf of one resource."""

    def __init__(self, server_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._server_url = server_url
        self._client = httpx.AsyncClient(
            transport=_Borrowed(transport) if transport else None,
            follow_redirects=False,
            timeout=httpx.Timeout(_TIME, connect=_CONNECT),
            # What is compressed may be small on the wire and of any size here.
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, url: str) -> Reply:
        """Fetch a document."""
        return await self._send(self._client.build_request("GET", url))

    async def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """Post a form, as token endpoints want it."""
        return await self._send(self._client.build_request("POST", url, data=dict(form), headers=dict(headers)))

    async def post_document(self, url: str, document: Mapping[str, object]) -> Reply:
        """Post JSON, as registration endpoints want it."""
        return await self._send(self._client.build_request("POST", url, json=dict(document)))

    async def _send(self, request: httpx.Request) -> Reply:
        url = require_safe(str(request.url), "The address to ask", self._server_url)
        try:
            async with asyncio.timeout(_TIME):
                response = await self._client.send(request, stream=True)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise AuthorizationError(f"{show(url)} did not answer within {_TIME:g} seconds. Try again later.") from None
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise AuthorizationError(f"{show(url)} cannot be reached ({kind}). Check it, and try again.") from None
        return Reply(response.status_code, _parse(body), response.headers.get("dpop-nonce", ""))


class _Borrowed(httpx.AsyncBaseTransport):
    """A transport that is used, and left open for the next."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)


async def _read(response: httpx.Response) -> bytes:
    where = show(str(response.url))
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise AuthorizationError(f"{where} compressed its answer, which it was asked not to.")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _BODY:
            raise AuthorizationError(f"{where} answered with more than {_BODY} bytes, which were not read.")
    return bytes(body)


def _parse(body: bytes) -> Mapping[str, object]:
    """The codec of the messages, which takes no half characters, no depth without end and no number that is none."""
    try:
        document: object = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        return {}
    return cast("dict[str, object]", document) if isinstance(document, dict) else {}
