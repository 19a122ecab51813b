"""A small world of https hosts in this process: whoever is asked answers, and everything asked is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx

Json = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """A request, read."""

    method: str
    url: httpx.URL
    headers: httpx.Headers
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(self.url.params)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def where(self) -> str:
        return f"{self.method} {self.url.copy_with(query=None)}"


@dataclass(frozen=True)
class Answer:
    """What a host says."""

    status: int = 200
    document: object = field(default_factory=dict[str, object])
    headers: dict[str, str] = field(default_factory=dict[str, str])


Host = Callable[[Ask], Answer]
SlowHost = Callable[[Ask], Awaitable[Answer]]


class Realm(httpx.AsyncBaseTransport):
    """The hosts, by their origins, as a transport of httpx."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.slow_hosts: dict[str, SlowHost] = {}  # asked in place of those
        self.asked: list[Ask] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        ask = Ask(request.method, request.url, request.headers, await request.aread())
        self.asked.append(ask)
        await asyncio.sleep(0)  # others come in between, as on a wire
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        host, slow = self.hosts.get(origin), self.slow_hosts.get(origin)
        if host is None:
            raise httpx.ConnectError("no such host")
        answer = host(ask) if slow is None else await slow(ask)
        content = json.dumps(answer.document).encode()
        return httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(content))

    def count(self, where: str) -> int:
        """How many requests of a method went to a URL."""
        return sum(ask.where == where for ask in self.asked)

    def find(self, where: str) -> Ask:
        """The last request of a method to a URL."""
        return next(ask for ask in reversed(self.asked) if ask.where == where)
