"""GitHub's REST API: one request, and what is wrong when it is refused (docs.github.com/rest, version 2022-11-28).

It knows nothing of MCP, and of issues no more than where they are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import urlsplit

import httpx

URL: Final = "https://api.github.com"
_LONGEST: Final = 16 * 1024 * 1024  # bytes of an answer: a hundred issues of the longest text, and room
_MINUTE: Final = 60.0  # the least to wait where GitHub names no time ("Rate limits for the REST API")
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LIMITED: Final = (403, 429)
_MOVES: Final = 3  # how often a request is sent on: a repository may have been renamed more than once
_VERSION: Final = "2022-11-28"
# GitHub ends a request after 10 seconds ("Troubleshooting the REST API", Timeouts), and is given two more to say so.
_PATIENCE: Final = httpx.Timeout(12.0, connect=5.0)


class Refused(Exception):
    """GitHub did not do it; the text says why and what to do."""


class Missing(Refused):
    """It is not there, or the token may not see it: GitHub does not say which."""


class Limited(Refused):
    """Too many requests; the text says when to try again."""


class Lost(Refused):
    """A request was sent and no answer came: it may have been carried out."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What GitHub answered: JSON as a value, and the address of the list's next page, where there is one."""

    value: object
    following: str | None = None


class Api:
    """One user's GitHub.

    The token leaves this object in one header alone, to the origin that it was made for.
    """

    def __init__(self, url: str = URL, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._has_token = token is not None
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _VERSION, "User-Agent": "mcp"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.AsyncClient(headers=headers, timeout=_PATIENCE, limits=httpx.Limits(max_connections=10))
        self._pauses: dict[str, float] = {}  # until when GitHub wants no requests of a kind, as `time.time` counts

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """Read at a path, or at the address of a next page; raises `Refused`."""
        return await self._send("GET", path, params=params)

    async def post(self, path: str, content: Mapping[str, object]) -> Reply:
        """Create at a path; raises `Refused`, and `Lost` where it may have been done all the same."""
        if not self._has_token:
            raise Refused("GitHub lets nobody write without a token. Set GITHUB_TOKEN and start the server again.")
        return await self._send("POST", path, content=content)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: Mapping[str, object] | None = None,
    ) -> Reply:
        kind = "search" if path.startswith("/search") else "core"
        self._heed_pauses(kind)
        request = self._client.build_request(method, self._locate(path), params=params, json=content)
        response, body = await self._exchange(request)
        moves = 0
        while moves < _MOVES and _is_to_follow(response, method):  # a repository that has another name now
            moves += 1
            address = self._locate(response.headers["location"])
            response, body = await self._exchange(self._client.build_request(method, address, json=content))
        value = _parse(body)
        if response.is_success and value is not None:
            return Reply(value, response.links.get("next", {}).get("url"))
        raise self._explain(response, kind, value)

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """Send a request, and read all of its answer; raises `Refused` where nothing was sent, else `Lost`."""
        try:
            response = await self._client.send(request, stream=True)
            try:
                return response, await _read(response)
            finally:
                await response.aclose()
        except _UNSENT as error:
            raise Refused(f"GitHub cannot be reached: {error or type(error).__name__}. Try again later.") from None
        except httpx.HTTPError as error:
            raise Lost(f"GitHub's answer did not come: {error or type(error).__name__}.") from None

    def _locate(self, path: str) -> str:
        """The address of a path; one that GitHub gave must be of the same origin, since the token goes there."""
        if path.startswith("/"):
            return self._url + path
        if urlsplit(path)[:2] != urlsplit(self._url)[:2]:
            raise Refused("GitHub's answer leads to another host, where nothing is asked.")
        return path

    def _heed_pauses(self, kind: str) -> None:
        """Send nothing before GitHub wants it: who goes on asking may be shut out."""
        until = max(self._pauses.get(kind, 0.0), self._pauses.get("all", 0.0))
        if until > time.time():
            raise Limited(_say_when(until))

    def _explain(self, response: httpx.Response, kind: str, value: object) -> Refused:
        status, said = response.status_code, _say(value)
        if status in _LIMITED and (until := _find_end(response, said)) is not None:
            primary = response.headers.get("x-ratelimit-remaining") == "0" and "retry-after" not in response.headers
            self._pauses[kind if primary else "all"] = until
            return Limited(_say_when(until))
        if status == HTTPStatus.UNAUTHORIZED:
            return Refused("GitHub does not know the token: it is wrong, or expired. Set GITHUB_TOKEN to a valid one.")
        if status == HTTPStatus.FORBIDDEN:
            wanted = response.headers.get("x-accepted-github-permissions", "")
            return Refused(f"GitHub refuses: {said}." + (f" The token needs {wanted}." if wanted else ""))
        if status == HTTPStatus.NOT_FOUND:
            return Missing("It is not on GitHub, or the token may not see it.")
        if status == HTTPStatus.GONE:
            return Missing(f"GitHub says: {said}.")
        if response.is_redirect:
            return Refused("The repository has moved too often to be found. Ask the user for the name that it has now.")
        if response.is_server_error or response.is_success:
            return Lost(f"GitHub failed with status {status}.")
        return Refused(f"GitHub refuses: {said}.")


def _is_to_follow(response: httpx.Response, method: str) -> bool:
    """Tell whether a request goes on to another address, with its method ("Best practices", Follow redirects)."""
    kept = (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
    return response.has_redirect_location and (method == "GET" or response.status_code in kept)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LONGEST:
            raise httpx.DecodingError("it is longer than any list of issues")
    return bytes(body)


def _parse(body: bytes) -> object:
    from pydantic_core import from_json

    try:
        return cast("object", from_json(body))
    except ValueError:
        return None


def _find_end(response: httpx.Response, said: str) -> float | None:
    """When a limit ends, as `time.time` counts; None where the refusal has another reason."""
    after, reset = response.headers.get("retry-after", ""), response.headers.get("x-ratelimit-reset", "")
    if after.isdecimal():
        return time.time() + int(after)
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return float(reset)
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in said.casefold():
        return time.time() + _MINUTE
    return None


def _say_when(until: float) -> str:
    seconds = max(1, round(until - time.time()))
    moment = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"GitHub has been asked too often. Try again in {seconds} s, at {moment}; until then nothing is sent."


def _say(value: object) -> str:
    """What an error of GitHub says: its message, and which field of what was sent is meant."""
    if not isinstance(value, dict):
        return "it gave no reason"
    answer = cast("dict[str, object]", value)
    parts = [str(answer.get("message", "it gave no reason"))]
    errors = answer.get("errors")
    for each in cast("list[object]", errors) if isinstance(errors, list) else []:
        if isinstance(each, dict):
            error = cast("dict[str, object]", each)
            parts.append(" ".join(str(error[name]) for name in ("field", "code", "message") if error.get(name)))
        else:
            parts.append(str(each))
    return "; ".join(parts)[:500].rstrip(".")
