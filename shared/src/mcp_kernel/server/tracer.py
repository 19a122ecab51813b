"""Who follows the messages that no stage sees: notifications, questions, and what is refused before it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractContextManager

    from mcp_kernel.errors import ProtocolError
    from mcp_kernel.protocol.jsonrpc import Failure, Notification, Request, Response
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.peer import Peer


class Tracer(Protocol):
    """Follows messages; what it returns in place of one says where it belongs (SEP-414)."""

    def hear(self, peer: Peer, notification: Notification) -> AbstractContextManager[object]:
        """Return what to take a notification of the client in."""
        ...

    def tell(self, peer: Peer, notification: Notification, exchange: Exchange | None) -> Notification:
        """Return a notification as it is to be sent, now; `exchange` is the request that it belongs to."""
        ...

    def ask(
        self, peer: Peer, question: Request, answer: asyncio.Future[Response | Failure], exchange: Exchange | None
    ) -> Request:
        """Return a question as it is to be sent, now; it ends when `answer` is done, or cancelled."""
        ...

    def refuse(self, peer: Peer, error: ProtocolError, request: Request | None) -> None:
        """Hear of a request that is answered with an error before it is one in flight; None: it could not be read."""
        ...
