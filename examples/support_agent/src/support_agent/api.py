"""A request to a model's API over HTTP, and what a person is told where it fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx

from support_agent.model import ModelFailed
from support_agent.shapes import JsonObject, members, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 1024 * 1024  # bytes of an answer, of which a few hundred are the text
LONGEST_REASON: Final = 200  # characters that are told of an API's own words


@dataclass(frozen=True, slots=True)
class Api:
    """Where a model is asked. `headers` hold the key, so that they are in no repr.

    Args:
        service: What the API is called in messages.
        url: Its address, without the path of a request.
        headers: What every request carries.
        key_variable: The variable that the key came from.
        timeout: Seconds for a whole answer.
    """

    service: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    key_variable: str = ""
    timeout: float = 60.0

    async def post(self, path: str, body: Mapping[str, object]) -> JsonObject:
        """The object that the API answers; raises `ModelFailed`."""
        return await self._request("POST", path, body)

    async def get(self, path: str) -> JsonObject:
        """The object at a path; raises `ModelFailed`."""
        return await self._request("GET", path, None)

    async def _request(self, method: str, path: str, body: Mapping[str, object] | None) -> JsonObject:
        url = f"{self.url.rstrip('/')}{path}"
        try:
            async with (
                asyncio.timeout(self.timeout),  # for all of it, where httpx counts each wait by itself
                httpx.AsyncClient(timeout=None) as client,  # noqa: S113  # see the line above
                client.stream(method, url, json=body, headers=self.headers) as response,
            ):
                answer = parse(await _read(response))
        except TimeoutError:
            advice = "Try again, or give it more with --timeout"
            raise self._failed(f"has not answered in {self.timeout:g} s", advice) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            what = f"cannot be reached at {self.url} ({str(error) or type(error).__name__})"
            raise self._failed(what, "See whether the address is right") from None
        fields = members(answer)
        if not response.is_success:
            raise self._refused(response, fields)
        if not fields:
            raise self._failed("answered with something that is no JSON object", "See whether the address is right")
        return fields

    def _refused(self, response: httpx.Response, answer: JsonObject) -> ModelFailed:
        status, pause = response.status_code, response.headers.get("Retry-After", "")
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                advice = f"Set {self.key_variable} to a valid key" if self.key_variable else "See whom it lets in"
            case HTTPStatus.NOT_FOUND:
                advice = "Name a model that it has with --model"
            case HTTPStatus.TOO_MANY_REQUESTS:
                advice = f"Try again in {pause} s" if pause.isdecimal() else "Try again later, or see to its credit"
            case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                advice = "Try again later"
            case _:
                advice = "See whether the address and the model are right"
        return self._failed(f"refused ({status}{_reason(answer)})", advice)

    def _failed(self, what: str, advice: str) -> ModelFailed:
        return ModelFailed(f"{self.service} {what}. {advice}, or use --api template.")


async def _read(response: httpx.Response) -> bytes:
    """The body, of which no more is taken than an answer can have."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            return b""
    return body


def _reason(answer: JsonObject) -> str:
    """What the API says of an error: `{"error": {"message": ...}}`, or `{"error": ...}` of Ollama's."""
    error = answer.get("error")
    text = members(error).get("message", error)
    return f": {text[:LONGEST_REASON]}" if isinstance(text, str) else ""
