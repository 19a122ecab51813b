"""A link without a session (2026-07-28): every request is a POST of its own, and its answer ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcp_kernel.client.duplex import receive
from mcp_kernel.client.failures import ConnectionLost, HttpRefused, InvalidAnswer
from mcp_kernel.client.http import ACCEPT, EVENT_STREAM, JSON, Answer, Web, read_refusal
from mcp_kernel.client.link import Carried
from mcp_kernel.protocol import mirroring
from mcp_kernel.protocol.jsonrpc import Failure, Notification, Request, Response, encode
from mcp_kernel.protocol.revisions import LATEST

if TYPE_CHECKING:
    from mcp_kernel.client.link import Receiver, Waiter

_REST: Final = 0.25  # seconds for a stream to end after its answer, so that its connection can be used again


class StatelessHttp:
    """To hang up is to cancel: no message says so."""

    mirrors = True
    cancels_by_hanging_up = True
    _receiver: Receiver

    def __init__(self, web: Web) -> None:
        self._web = web

    @property
    def carried(self) -> Carried:
        return Carried("tcp", self._web.url)

    def attach(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def open(self) -> None:
        """There is nothing to open."""

    async def deliver(self, request: Request, waiter: Waiter, headers: Mapping[str, str]) -> None:
        standard = mirroring.write(request, LATEST.name)
        async with self._web.send("POST", {**ACCEPT, **standard, **headers}, encode(request)) as answer:
            await read_answer(answer, request, waiter, self._receiver, self._web.url)
        if not waiter.done():
            raise ConnectionLost(f"The server ended the stream before it answered {request.method}.")

    async def send(self, message: Notification | Response | Failure) -> None:
        """The revision has nothing that a client would send but requests."""

    def agree(self, revision: str) -> None:
        """There is no handshake."""

    async def listen(self, settled: asyncio.Event) -> None:
        settled.set()  # everything belongs to a request

    async def close(self) -> None:
        await self._web.close()


async def read_answer(answer: Answer, request: Request, waiter: Waiter, receiver: Receiver, url: str) -> None:
    """Read the response to a request, and hand on all that it holds.

    Raises `HttpRefused` for a status without a JSON-RPC error; a stream that ends without the answer is not an error
    yet.
    """
    if not 200 <= answer.status < 300:
        refusal = await read_refusal(answer, url)
        if isinstance(refusal, HttpRefused):
            raise refusal
        failure = replace(refusal, id=request.id)
        receiver.note(encode(failure))
        receiver.take(failure)
    elif answer.kind == JSON:
        receive(receiver, await answer.read())
        if not waiter.done():
            raise InvalidAnswer(f"The server's JSON is no answer to {request.method}.")
    elif answer.kind == EVENT_STREAM:
        await read_stream(answer, waiter, receiver)
    else:
        shown = answer.kind or "nothing"
        raise InvalidAnswer(f"The server answered {request.method} with {shown} where JSON or an event stream belongs.")


async def read_stream(answer: Answer, waiter: Waiter, receiver: Receiver) -> None:
    """Hand on what a stream holds up to the answer, and let the stream end after it."""
    events = answer.events()
    async for event in events:
        if event.data and event.name == "message":
            receive(receiver, event.data)
        if waiter.done():
            break
    with contextlib.suppress(TimeoutError, ConnectionLost):
        async with asyncio.timeout(_REST):
            async for event in events:
                if event.data and event.name == "message":
                    receive(receiver, event.data)
