"""A link on which everything travels both ways on one channel: pipes, the HTTP+SSE pair, a server in memory."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping

from mcp_kernel.client.failures import ConnectionLost, NotConnected
from mcp_kernel.client.link import Carried, Receiver, Waiter
from mcp_kernel.errors import ProtocolError
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    InvalidMessage,
    Message,
    Notification,
    Request,
    Response,
    decode,
)


class Duplex(ABC):
    """Sends whole messages, and takes the bytes of whole messages as they come."""

    mirrors = False
    cancels_by_hanging_up = False
    _receiver: Receiver

    def __init__(self) -> None:
        self._lost: ConnectionLost | None = None

    @property
    def carried(self) -> Carried:
        return Carried()

    def attach(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def _write(self, message: Message) -> None:
        """Send one message; raises `ConnectionLost`."""

    @abstractmethod
    async def close(self) -> None: ...

    async def deliver(self, request: Request, waiter: Waiter, headers: Mapping[str, str]) -> None:
        if self._lost is not None:
            raise NotConnected(str(self._lost))
        await self._write(request)
        await waiter

    async def send(self, message: Notification | Response | Failure) -> None:
        await self._write(message)

    def agree(self, revision: str) -> None:  # noqa: B027  # no subclass needs to know
        """Nothing here depends on it."""

    async def listen(self, settled: asyncio.Event) -> None:
        settled.set()  # the channel is open anyway

    def _receive(self, data: bytes) -> None:
        """Take the bytes of one message, or of a batch."""
        receive(self._receiver, data)

    def _lose(self, error: ConnectionLost) -> None:
        if self._lost is None:
            self._lost = error
            self._receiver.lose(error)


def receive(receiver: Receiver, data: bytes) -> None:
    """Hand the message, or the members of the batch, in `data` to a receiver; what is none is reported to it."""
    receiver.note(data)
    try:
        decoded = decode(data)
    except InvalidMessage as error:
        receiver.refuse(str(error), error.answers)
        return
    except ProtocolError as error:
        receiver.refuse(f"{error}: {data[:80]!r}")
        return
    for message in decoded if isinstance(decoded, list) else [decoded]:
        if isinstance(message, InvalidMessage):
            receiver.refuse(str(message), message.answers)
        else:
            receiver.take(message)
