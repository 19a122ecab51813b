"""A link to a server in the same process: for tests, and for hosts that bring their servers along."""

from __future__ import annotations

from typing import Protocol

from mcp_kernel.client.duplex import Duplex
from mcp_kernel.client.failures import ConnectionLost
from mcp_kernel.protocol.jsonrpc import Message, encode


class Outlet(Protocol):
    """The server's way out, as `mcp_kernel.server.peer` asks for it."""

    @property
    def shared(self) -> bool: ...
    @property
    def congested(self) -> bool: ...
    def send(self, data: bytes, exchange: object) -> None: ...
    def release(self, exchange: object, retry: int) -> None: ...
    async def drain(self) -> None: ...


class Guest(Protocol):
    """What a server knows of one client."""

    def receive(self, data: bytes) -> None: ...
    def take(self, message: Message) -> None: ...
    async def close(self, grace: float = 0.0) -> None: ...


class Host(Protocol):
    """A server that takes clients in: `mcp_kernel.Server`."""

    def admit(self, outlet: Outlet) -> Guest:
        """Take in one more client, whose messages go to the outlet."""
        ...


class MemoryLink(Duplex):
    """Messages pass as objects towards the server; with `codec` they are bytes on the way, as on a pipe."""

    def __init__(self, server: Host, *, codec: bool) -> None:
        super().__init__()
        self._server = server
        self._codec = codec
        self._guest: Guest | None = None

    async def open(self) -> None:
        self._guest = self._server.admit(_Outlet(self))

    async def _write(self, message: Message) -> None:
        if self._guest is None:
            raise ConnectionLost("The client was closed.")
        if self._codec:
            self._guest.receive(encode(message))
        else:
            self._guest.take(message)

    def arrive(self, data: bytes) -> None:
        """Take a message of the server."""
        self._receive(data)

    async def close(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            await guest.close()


class _Outlet:
    """One channel, read at once."""

    shared = True
    congested = False

    def __init__(self, link: MemoryLink) -> None:
        self._link = link

    def send(self, data: bytes, exchange: object) -> None:
        self._link.arrive(data)

    def release(self, exchange: object, retry: int) -> None:
        """There is one stream, and it stays."""

    async def drain(self) -> None:
        """Nothing is ever pending."""
