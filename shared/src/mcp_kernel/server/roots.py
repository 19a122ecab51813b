"""The roots of a session: asked for when they change, so that a call need not ask."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from mcp_kernel.protocol.jsonrpc import Failure, Notification, RequestId, Response
from mcp_kernel.server.questions import Root, ask_roots

if TYPE_CHECKING:
    from mcp_kernel.server.peer import Peer

_PATIENCE: Final = 10.0  # seconds that a call waits for the session's question; then it asks one of its own


class FollowedRoots:
    """What the client of a session said last of its roots.

    At most one question is open; however often the roots change meanwhile, one more follows it. An answer that is
    refused or unfit leaves nothing known, so that the next call which wants the roots asks by itself.
    """

    __slots__ = ("_is_stale", "_known", "_open", "_peer", "_question", "_version")

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._known: list[Root] | None = None
        self._is_stale = False  # changed since the last question was sent
        self._version = 0
        self._open: asyncio.Future[Response | Failure] | None = None
        self._question: RequestId | None = None

    @property
    def version(self) -> int:
        """How often the roots changed; what was asked for under an earlier one may be out of date."""
        return self._version

    def change(self) -> None:
        """The roots may be others now."""
        self._known = None
        self._is_stale = True
        self._version += 1
        self.ask()

    def ask(self) -> None:
        """Ask for roots that have changed, where no question is open and the client hears it."""
        peer = self._peer
        if not self._is_stale or self._open is not None or not peer.is_heard:
            return
        self._is_stale = False
        self._open = peer.loop.create_future()
        self._open.add_done_callback(self._take)
        self._question = peer.ask("roots/list", {}, self._open, None)

    def _take(self, answer: asyncio.Future[Response | Failure]) -> None:
        if answer is not self._open:
            return  # given up
        self._open = None
        if answer.cancelled():  # the connection is gone
            return
        said = answer.result()
        if isinstance(said, Response) and not self._is_stale:
            with contextlib.suppress(ValueError):
                self._known = ask_roots("").read(said.result)
        self.ask()

    def learn(self, roots: list[Root], version: int) -> None:
        """Remember what a call was told, unless the roots have changed since it asked."""
        if version == self._version:
            self._known = roots
            self._is_stale = False

    async def wait(self) -> list[Root] | None:
        """Return what is known when no question is open any more; None says to ask."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._open is not None:
                    await asyncio.wait([self._open])
        if self._open is not None:
            self._give_up(self._open)
        return self._known

    def _give_up(self, question: asyncio.Future[Response | Failure]) -> None:
        """Take back a question that may have been lost with the stream on which it went."""
        self._open = None
        question.cancel()  # the others that wait for it go on
        if self._peer.calls.settle(self._question) is not None:
            reason = "No answer came in time"
            withdrawn = Notification("notifications/cancelled", {"requestId": self._question, "reason": reason})
            self._peer.tell(withdrawn, None)
