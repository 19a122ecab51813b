"""A link over the HTTP+SSE pair of 2024-11-05: one stream brings everything, and every message is a POST beside it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from mcp_kernel.client.duplex import Duplex
from mcp_kernel.client.failures import ClientError, ConnectionLost, HttpRefused, NotConnected
from mcp_kernel.client.http import ACCEPT, EVENT_STREAM, Answer, Web, join_url, read_refusal
from mcp_kernel.client.link import Carried
from mcp_kernel.protocol.jsonrpc import Failure, Message, Request, encode

_PATIENCE: Final = 10.0  # seconds for the server to name its endpoint


class EventPair(Duplex):
    """The first event names the URL for messages; one of another origin is refused."""

    def __init__(self, web: Web) -> None:
        super().__init__()
        self._web = web
        self._endpoint: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def carried(self) -> Carried:
        return Carried("tcp", self._web.url)

    async def open(self) -> None:
        named: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._read(named))
        try:
            async with asyncio.timeout(_PATIENCE):
                self._endpoint = await named
        except TimeoutError:
            raise NotConnected("The server opened a stream but named no endpoint for messages.") from None

    async def _read(self, named: asyncio.Future[str]) -> None:
        try:
            async with self._web.send("GET", {"accept": EVENT_STREAM}) as answer:
                await self._read_events(answer, named)
            raise ConnectionLost("The server ended the stream.")
        except ClientError as error:
            if not named.done():
                named.set_exception(error)
            self._lose(error if isinstance(error, ConnectionLost) else ConnectionLost(str(error)))

    async def _read_events(self, answer: Answer, named: asyncio.Future[str]) -> None:
        if answer.status >= 300 or answer.kind != EVENT_STREAM:
            refusal = await read_refusal(answer, self._web.url)
            raise HttpRefused(answer.status, str(refusal) if isinstance(refusal, HttpRefused) else refusal.message)
        async for event in answer.events():
            if event.name == "endpoint" and not named.done():
                named.set_result(self._locate(event.data.decode("utf-8", "replace")))
            elif event.name == "message" and event.data:
                self._receive(event.data)

    def _locate(self, given: str) -> str:
        endpoint = join_url(self._web.url, given)
        if endpoint is None:
            raise NotConnected("The server names an endpoint for messages that is no URL.")
        if urlsplit(endpoint)[:2] != urlsplit(self._web.url)[:2]:
            raise NotConnected(f"The server wants its messages sent to another origin, {urlsplit(endpoint).netloc}.")
        return endpoint

    async def _write(self, message: Message) -> None:
        if self._endpoint is None:
            raise NotConnected("There is no stream to the server.")
        async with self._web.send("POST", ACCEPT, encode(message), self._endpoint) as answer:
            if answer.status < 300:
                return
            refusal = await read_refusal(answer, self._endpoint)
        if isinstance(refusal, Failure) and isinstance(message, Request):
            failure = replace(refusal, id=message.id)
            self._receiver.note(encode(failure))
            self._receiver.take(failure)
        else:
            raise refusal if isinstance(refusal, HttpRefused) else HttpRefused(answer.status, refusal.message)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._web.close()
