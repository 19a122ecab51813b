"""What one process has of a session that several serve: its own peer, and streams that are written to the store too."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mcp_kernel.protocol.calls import Calls
from mcp_kernel.server.store import Place, SavedSession, Store
from mcp_kernel.transports.http_session import HttpSession
from mcp_kernel.transports.streams import Stream, StreamStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_kernel.protocol.jsonrpc import JsonObject, RequestId
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.principal import Headers, Principal
    from mcp_kernel.server.server import Server


class SharedStream(Stream):
    """A stream that is written to the store too, and shows its reader what has got there."""

    __slots__ = ("_kept", "_name", "_opened", "_session", "_store")

    def __init__(self, store: Store, session: str, number: int, *requests: RequestId) -> None:
        super().__init__(number, *requests)
        self._store = store
        self._session = session
        self._name = "0" if number == 0 else f"{store.replica}.{number}"
        self._opened = number == 0
        self._kept = 0

    def event_id(self, position: int) -> str:
        """The id of the event at a position, unique in the session wherever it was sent."""
        return f"{self._name}-{position}"

    def _open(self) -> None:
        """From now on the client may come back for the stream, anywhere."""
        if not self._opened:
            self._opened = True
            self._store.sessions.begin(self._at(0), self.requests)

    def _at(self, position: int) -> Place:
        return Place(self._session, self._name, position, self.start)

    def write(self, data: bytes) -> None:
        """Add a message."""
        self._open()
        super().write(data)
        position = self.last
        self._store.sessions.append(self._at(position), data, lambda: self._note(position))

    def _note(self, position: int) -> None:
        self._kept = max(position, self._kept)
        self.wake()

    def after(self, position: int) -> Iterator[tuple[int, bytes]]:
        """The messages behind a position that have got to the store."""
        return iter([event for event in super().after(position) if event[0] <= self._kept])

    def release(self, retry: int) -> None:
        """Let the client go."""
        self._open()
        super().release(retry)

    def finish(self, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take the answer."""
        super().finish(data, status, headers)
        if self._opened:
            self._store.sessions.end(self._at(self.last + 1))

    def deliver(self, position: int) -> None:
        """Note what was written to a client."""
        super().deliver(position)
        if self.number == 0:
            self._store.sessions.deliver(self._session, position)

    def restore(self, events: list[tuple[int, bytes]], delivered: int) -> None:
        """Take up messages that another process has kept."""
        super().restore(events, delivered)
        self._kept = self.last


class SharedStreams(StreamStore):
    """The streams of one session that are written here."""

    def __init__(self, store: Store, session: str) -> None:
        self._store = store
        self._session = session
        super().__init__()

    def make(self, number: int, *requests: RequestId) -> Stream:
        """Make the stream of that number."""
        return SharedStream(self._store, self._session, number, *requests)

    def locate(self, event_id: str) -> tuple[Stream, int] | None:
        """Find the stream and the position of an event id, if it is written here."""
        name, dash, position = event_id.partition("-")
        return super().locate(name.removeprefix(f"{self._store.replica}.") + dash + position)

    def begin_again(self) -> Stream:
        """Put a new stream of the session's own in the place of one that is written elsewhere now."""
        self.standalone.attach()  # whoever reads it still, reads it elsewhere
        self.standalone.is_read = False
        self.standalone = self._numbered[0] = self.make(0)
        return self.standalone


class SharedSession(HttpSession):
    """What one process has of a session."""

    __slots__ = ("followers", "held", "is_home", "known", "store", "subscriptions")

    def __init__(
        self, server: Server, store: Store, principal: Principal | None, identifier: str | None = None
    ) -> None:
        super().__init__(server, principal, identifier)
        self.store = store
        self.peer.calls = Calls(f"{store.replica}.")
        self.is_home = False
        self.held: list[bytes] | None = None  # while it moves in here: what is to be sent once it has
        self.followers = 0  # who read here what is written elsewhere
        self.known: JsonObject = self.peer.session.dump()  # as the store has it
        self.subscriptions: frozenset[str] = frozenset()  # as the store has them

    def make_streams(self) -> StreamStore:
        """Make what keeps the streams."""
        return SharedStreams(self.store, self.identifier)

    @property
    def is_busy(self) -> bool:
        """Whether a request is in flight or a stream is being read."""
        return bool(self.followers) or super().is_busy

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Send a message; what belongs to no request is sent at home, and would be sent twice from here."""
        if exchange is None and self.held is not None:
            self.held.append(data)
        elif exchange is not None or self.is_home:
            super().send(data, exchange)

    def take_up(self, saved: SavedSession) -> None:
        """Be as the store says."""
        peer, server = self.peer, self.peer.server
        self.known, self.subscriptions = saved.state, saved.subscriptions
        peer.session.restore(saved.state)
        peer.session.subscriptions = set(saved.subscriptions)
        if not self.is_home and self.held is None:
            server.subscriptions.leave(peer)
        elif peer.session.is_ready:
            server.subscriptions.join(peer)
            server.subscriptions.subscribe(peer)

    def move_in(self, events: list[tuple[int, bytes]], delivered: int) -> None:
        """Become the home: go on with the session's own stream as another process has left it."""
        stream = cast("SharedStreams", self.streams).begin_again()
        stream.restore(events, delivered)
        self.is_home = True

    def move_out(self) -> None:
        """Be the home no more."""
        self.is_home = False
        self.peer.server.subscriptions.leave(self.peer)
        self.peer.hear(is_heard=False)
        cast("SharedStreams", self.streams).begin_again()
