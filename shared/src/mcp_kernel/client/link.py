"""The way to one server, whatever carries it: what a conversation needs of a pipe, a stream or a server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol, TypeAlias

from mcp_kernel.client.failures import ConnectionLost
from mcp_kernel.protocol.jsonrpc import Failure, Message, Notification, Request, Response

Waiter: TypeAlias = "asyncio.Future[Response | Failure]"

MESSAGE_LIMIT = 64 * 1024 * 1024  # bytes of one message from a server; beyond it memory is at the server's mercy


class Carried(NamedTuple):
    """How a link carries messages, for whoever traces: `transport` is pipe or tcp, None where it is neither.

    `session` is the id that the server gave the session, where there is one.
    """

    transport: str | None = None
    url: str | None = None
    session: str | None = None


class Receiver(Protocol):
    """Who hears what comes from the server."""

    def note(self, data: bytes) -> None:
        """Hear the bytes of a message, or of a batch, before it is read."""
        ...

    def take(self, message: Message) -> None:
        """Take one message: an answer, a notification, a request."""
        ...

    def refuse(self, reason: str, answers: int | str | None = None) -> None:
        """Hear of something that is no message; `answers` is the request that it was meant to answer, if known."""
        ...

    def spoil(self, reason: str) -> None:
        """Hear that a message was lost, and nobody can tell whose answer it was."""
        ...

    def lose(self, error: ConnectionLost) -> None:
        """Hear that the connection is gone: no call in flight will be answered."""
        ...


class Link(Protocol):
    """One way to one server. It is opened once and closed once."""

    mirrors: bool
    """Whether requests repeat parts of themselves in headers."""

    cancels_by_hanging_up: bool
    """Whether to stop waiting is enough to cancel, so that no message says so."""

    @property
    def carried(self) -> Carried:
        """How it carries messages now."""
        ...

    def attach(self, receiver: Receiver) -> None:
        """Say who receives, from now on."""
        ...

    async def open(self) -> None:
        """Connect, once there is a receiver; raises `NotConnected`."""
        ...

    async def deliver(self, request: Request, waiter: Waiter, headers: Mapping[str, str]) -> None:
        """Send a request and stay until its waiter is done.

        Answers and all else go to the receiver. Raises `ConnectionLost` or `HttpRefused` where no answer will come.
        `headers` are those beyond the ones that follow from the request itself.
        """
        ...

    async def send(self, message: Notification | Response | Failure) -> None:
        """Send what is not answered; raises `ConnectionLost`."""
        ...

    def agree(self, revision: str) -> None:
        """Hear which revision a handshake agreed on."""
        ...

    async def listen(self, settled: asyncio.Event) -> None:
        """Receive what belongs to no request, for as long as there is any of it to come.

        `settled` is set when that has begun, or when it is clear that there is none.
        """
        ...

    async def close(self) -> None:
        """Disconnect; leaves no process and no task behind."""
        ...
