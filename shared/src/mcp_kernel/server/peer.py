"""One client, as far as a transport can tell it from others, and what is in flight for it."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Protocol, cast

from mcp_kernel.protocol.calls import Calls
from mcp_kernel.protocol.capabilities import ROOTS
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    JsonObject,
    Message,
    Notification,
    RequestId,
    Response,
    decode,
    encode,
)
from mcp_kernel.protocol.legacy import Session
from mcp_kernel.server import dispatch
from mcp_kernel.server.exchange import Ending, Exchange
from mcp_kernel.server.roots import FollowedRoots

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_kernel.server.access import View
    from mcp_kernel.server.monitor import Arrival
    from mcp_kernel.server.principal import Headers, Principal
    from mcp_kernel.server.server import Server


class Outlet(Protocol):
    """The way out of a transport, for whole messages.

    `shared` tells that every stream uses this one channel, as on stdio; `congested` that the client does not read as
    fast as it is written to. When congestion ends, the transport calls `Peer.release`.
    """

    @property
    def shared(self) -> bool: ...
    @property
    def congested(self) -> bool: ...

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Send one message; `exchange` is the request that it belongs to, None for one that belongs to none."""
        ...

    def release(self, exchange: Exchange, retry: int) -> None:
        """End the stream of a request early where the client can resume it, `retry` milliseconds later."""
        ...

    async def drain(self) -> None:
        """Wait until the client has read what is pending, or most of it."""
        ...


class _Nowhere:
    """The way out of a peer that is gone."""

    shared = False
    congested = False

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Nobody is there."""

    def release(self, exchange: Exchange, retry: int) -> None:
        """Nobody is there."""

    async def drain(self) -> None:
        """Nothing is pending."""


class Peer:
    """A client: its session where it opened one, its requests in flight, the questions that it was asked.

    `arrival` is how it came, where the transport is HTTP; of a session that is how its last request did. `identifier`
    is what a client calls its session.
    """

    __slots__ = (
        "_closed",
        "_held",
        "arrival",
        "calls",
        "exchanges",
        "identifier",
        "is_heard",
        "listening",
        "loop",
        "on_end",
        "outlet",
        "principal",
        "roots",
        "server",
        "session",
        "steps",
    )

    def __init__(self, server: Server, outlet: Outlet, *, principal: Principal | None = None) -> None:
        self.server = server
        self.outlet = outlet
        self.principal = principal
        self.arrival: Arrival | None = None
        self.identifier: str | None = None
        self.loop, self.steps = server.attach()
        self.session = Session()
        self.calls: Calls[asyncio.Future[Response | Failure]] = Calls()
        self.exchanges: dict[RequestId, Exchange] = {}
        self.listening = 0  # how many of the exchanges are listen streams, which stay in flight
        self.is_heard = True  # whether the client hears what belongs to no request
        self.roots: FollowedRoots | None = None  # None: asked for in each call
        self.on_end: Callable[[], None] | None = None  # told, once, that the client is gone
        self._closed: asyncio.Future[None] | None = None
        self._held: dict[bytes, None] = {}

    @property
    def view(self) -> View | None:
        """What of the server the client may use; None where there is no policy."""
        policy = self.server.policy
        return None if policy is None else policy.view(self.principal)

    @property
    def address(self) -> str | None:
        """Where the client connects from, where that is known."""
        return None if self.arrival is None else self.arrival.address

    def receive(self, data: bytes) -> None:
        """Take one message, or a batch; what it is answered with goes to the outlet when it is ready."""
        dispatch.receive(self, data)

    def take(self, message: Message) -> None:
        """Take a message that needs no decoding."""
        dispatch.take(self, message, self.reply)

    def tell(self, notification: Notification, exchange: Exchange | None) -> None:
        """Send a notification; `exchange` is the request that it belongs to, None for one that belongs to none."""
        tracer = self.server.tracer
        if tracer is not None:
            notification = tracer.tell(self, notification, exchange)
        self.outlet.send(encode(notification), exchange)

    def ask(
        self, method: str, params: JsonObject, answer: asyncio.Future[Response | Failure], exchange: Exchange | None
    ) -> RequestId:
        """Send a question, which `answer` waits for, and return its id; `exchange` as in `tell`."""
        question = self.calls.open(method, params, answer)
        tracer = self.server.tracer
        if tracer is not None:
            question = tracer.ask(self, question, answer, exchange)
        self.outlet.send(encode(question), exchange)
        return question.id

    def reply(self, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Send an answer, if there is one: the sink of a transport that has one channel."""
        if data is not None:
            self.outlet.send(data, None)

    def follow_roots(self) -> None:
        """The client's roots may be others now: ask for them, if the server wants to know and the client can tell."""
        session = self.session
        if self.server.follow_roots and session.is_ready and session.caller.supports(ROOTS):
            self.roots = self.roots or FollowedRoots(self)
            self.roots.change()

    def hear(self, is_heard: bool) -> None:
        """The transport says whether the client hears what belongs to no request, where it may not."""
        self.is_heard = is_heard
        if self.roots is not None:
            self.roots.ask()

    @property
    def is_working(self) -> bool:
        """Whether a request is in flight that waits for nobody's answer."""
        return any(not exchange.is_paused for exchange in self.exchanges.values())

    async def wait_closed(self) -> None:
        """Wait until the server ends the connection."""
        if self._closed is None:
            self._closed = self.loop.create_future()
        await asyncio.shield(self._closed)

    async def drain(self) -> None:
        """Wait while the client does not read as fast as it is written to."""
        if self.outlet.congested:
            await self.outlet.drain()

    def announce(self, notification: Notification) -> None:
        """Send a notification of a change; while the client does not read, equal ones are held as one."""
        if self.outlet.congested:
            self._held[encode(notification)] = None  # bytes, the least that can be held
        else:
            self.tell(notification, None)

    def release(self) -> None:
        """The client reads again: send what was held, as far as there is room."""
        held, self._held = self._held, {}
        nobody = Context()  # whoever happens to be served now has changed nothing
        for data in held:
            nobody.run(self.announce, cast("Notification", decode(data)))

    async def close(self, grace: float = 0.0) -> None:
        """End every request: listen streams at once, the others after `grace` seconds; then nothing is left."""
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        running = [exchange.task for exchange in self.exchanges.values() if exchange.task is not None]
        if running:
            await asyncio.wait(running, timeout=max(grace, 0.05))  # listen streams end in a turn of the loop
        for exchange in list(self.exchanges.values()):
            exchange.stop(Ending.CLOSED)
        left = [task for task in running if not task.done()]
        if left:
            await asyncio.wait(left, timeout=0.2)
        self.let_go()

    def let_go(self) -> None:
        """Leave nothing behind; at once, for a peer that has nothing in flight."""
        for waiter in self.calls.drain():
            waiter.cancel()
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()
        self.server.subscriptions.leave(self)
        self.outlet = _Nowhere()  # undoes the circle with the transport, so that no collector has to find it
