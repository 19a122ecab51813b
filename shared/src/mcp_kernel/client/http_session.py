"""A link with a session (Streamable HTTP of 2025-03-26 to 2025-11-25): streams that can be resumed, and one beside.

basic/transports of those revisions, "Session Management" and "Resumability and Redelivery".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mcp_kernel.client.duplex import receive
from mcp_kernel.client.failures import ClientError, ConnectionLost, HttpRefused, NotConnected, SessionOver
from mcp_kernel.client.http import ACCEPT, EVENT_STREAM, Answer, Web, read_refusal
from mcp_kernel.client.http_stateless import read_answer
from mcp_kernel.client.link import Carried
from mcp_kernel.protocol.jsonrpc import Failure, Notification, Request, Response, encode
from mcp_kernel.protocol.mirroring import VERSION_HEADER

if TYPE_CHECKING:
    from mcp_kernel.client.link import Receiver, Waiter

SESSION_HEADER: Final = "mcp-session-id"
_RETRY: Final = 1.0  # seconds before a stream is resumed, where the server named no time
_LONGEST_RETRY: Final = 30.0
_FRUITLESS: Final = 5  # times in a row that a resumed stream may end without an event
_BROKEN: Final = 500  # from this HTTP status on it is the server's trouble, which may pass
_FAREWELL: Final = 2.0  # seconds for the server to take note of the end


class _Stream:
    """Where a stream stood when it ended."""

    def __init__(self) -> None:
        self.last: str | None = None
        self.retry = _RETRY
        self.progressed = False

    async def read(self, answer: Answer, waiter: Waiter | None, receiver: Receiver) -> None:
        """Read to the end, or to the answer."""
        self.progressed = False
        async for event in answer.events():
            self.progressed = True
            self.last = event.identifier or self.last
            if event.retry is not None:
                self.retry = min(event.retry / 1000, _LONGEST_RETRY)
            if event.data and event.name == "message":
                receive(receiver, event.data)
            if waiter is not None and waiter.done():
                return


class SessionHttp:
    """The session is named by the server in its answer to `initialize`, and by the client ever after."""

    mirrors = False
    cancels_by_hanging_up = False
    _receiver: Receiver

    def __init__(self, web: Web) -> None:
        self._web = web
        self._session: str | None = None
        self._headers: dict[str, str] = {}

    @property
    def carried(self) -> Carried:
        return Carried("tcp", self._web.url, self._session)

    def attach(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def open(self) -> None:
        """The handshake opens it."""

    def agree(self, revision: str) -> None:
        self._headers[VERSION_HEADER] = revision

    async def deliver(self, request: Request, waiter: Waiter, headers: Mapping[str, str]) -> None:
        stream = _Stream()
        try:
            async with self._web.send("POST", {**ACCEPT, **self._headers, **headers}, encode(request)) as answer:
                self._note_session(request, answer)
                if answer.kind == EVENT_STREAM and answer.status < 300:
                    await stream.read(answer, waiter, self._receiver)
                else:
                    self._notice_end(answer)
                    await read_answer(answer, request, waiter, self._receiver, self._web.url)
        except NotConnected:
            raise
        except ConnectionLost:
            if stream.last is None:
                raise
        if not waiter.done():
            await self._resume(stream, request, waiter)

    def _note_session(self, request: Request, answer: Answer) -> None:
        if request.method == "initialize" and SESSION_HEADER in answer.headers:
            self._session = answer.headers[SESSION_HEADER]
            self._headers[SESSION_HEADER] = self._session

    def _notice_end(self, answer: Answer) -> None:
        if answer.status == 404 and SESSION_HEADER in self._headers:
            self._session = None
            raise SessionOver("The server does not know the session any more.")

    async def _resume(self, stream: _Stream, request: Request, waiter: Waiter) -> None:
        """Go on with a stream where it ended, until the answer has come."""
        fruitless = 0
        while stream.last is not None and fruitless < _FRUITLESS:
            await asyncio.sleep(stream.retry)
            try:
                await self._get(stream, waiter)
            except SessionOver as error:
                self._receiver.lose(error)
                break  # and not the error itself: it says that nothing was done, and this request was taken
            except HttpRefused as error:
                if error.status < _BROKEN:
                    break
            except ConnectionLost:
                stream.progressed = False
            if waiter.done():
                return
            fruitless = 0 if stream.progressed else fruitless + 1
        raise ConnectionLost(f"The server ended the stream before it answered {request.method}.")

    async def _get(self, stream: _Stream, waiter: Waiter | None, opened: asyncio.Event | None = None) -> None:
        """Open a stream by GET, from where it ended or from now; raises `HttpRefused` where there is none."""
        headers = {"accept": EVENT_STREAM, **self._headers}
        if stream.last is not None:
            headers["last-event-id"] = stream.last
        async with self._web.send("GET", headers) as answer:
            self._notice_end(answer)
            if answer.status >= 300 or answer.kind != EVENT_STREAM:
                refusal = await read_refusal(answer, self._web.url)
                raise refusal if isinstance(refusal, HttpRefused) else HttpRefused(answer.status, refusal.message)
            if opened is not None:
                opened.set()
            await stream.read(answer, waiter, self._receiver)

    async def listen(self, settled: asyncio.Event) -> None:
        stream = _Stream()
        pause = stream.retry
        while True:
            try:
                await self._get(stream, None, settled)
            except HttpRefused as error:
                if error.status < _BROKEN:  # the server has no such stream
                    return
                stream.progressed = False
            except SessionOver as error:
                self._receiver.lose(error)
                return
            except ClientError:
                stream.progressed = False
            finally:
                settled.set()
            pause = stream.retry if stream.progressed else min(pause * 2, _LONGEST_RETRY)
            await asyncio.sleep(pause)

    async def send(self, message: Notification | Response | Failure) -> None:
        async with self._web.send("POST", {**ACCEPT, **self._headers}, encode(message)) as answer:
            self._notice_end(answer)

    async def close(self) -> None:
        if self._session is not None:
            with contextlib.suppress(ClientError, TimeoutError):
                async with asyncio.timeout(_FAREWELL), self._web.send("DELETE", self._headers):
                    self._session = None
        await self._web.close()
