"""What processes that serve the same clients share, where they share anything, and how they reach each other.

Without a store every process keeps what it has to itself, and nothing here is imported. With one, whoever holds
something (a running handler, an open question, a task) goes on holding it; the others know where it is, and pass on
what arrives for it. `operations/` has the implementation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from mcp_kernel.errors import INTERNAL_ERROR, ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject, RequestId

if TYPE_CHECKING:
    from mcp_kernel.server.principal import Principal

Heard: TypeAlias = Callable[[JsonObject], Awaitable[JsonObject | None]]

GONE: Final = "The store that this server shares with others cannot be reached. Try again in a few seconds"


class StoreGone(ProtocolError):
    """The store cannot be reached: what needs it fails, with HTTP status 503, until it is back."""

    def __init__(self) -> None:
        super().__init__(INTERNAL_ERROR, GONE, status=503)


class Store(Protocol):
    """The way to the processes that share a store, and what they share.

    `replica` is the name of this process, of hexadecimal digits, made at its start.
    """

    @property
    def replica(self) -> str: ...
    @property
    def sessions(self) -> Sessions: ...

    def on_beat(self, function: Callable[[], Awaitable[None]]) -> None:
        """Say what is done three times in the time after which a process that is silent counts as dead."""
        ...

    def on_return(self, function: Callable[[], Awaitable[None]]) -> None:
        """Say what is done when a store that was gone is back, perhaps empty."""
        ...

    async def settle(self) -> None:
        """Wait, not for long, until what is to be done some time soon is done."""
        ...

    def on(self, kind: str, heard: Heard) -> None:
        """Say what is done with messages of a kind; what it returns answers `ask`."""
        ...

    def tell(self, kind: str, body: JsonObject) -> None:
        """Tell all the others, in order; while the store is gone nobody hears."""
        ...

    async def ask(self, replica: str, kind: str, body: JsonObject) -> JsonObject | None:
        """Ask another one and wait for its answer; None where it does not hear. Raises `StoreGone`."""
        ...

    async def is_alive(self, replica: str) -> bool:
        """Tell whether a process has given a sign of life lately. Raises `StoreGone`."""
        ...


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session as the store has it.

    `owner` says whose it is (`owner_of`), `state` is what `protocol.legacy.Session.dump` returns. `home` is the process
    that sends what belongs to no request, "" for none yet; `delivered` is how far its stream was read.
    """

    owner: str
    state: JsonObject
    subscriptions: frozenset[str] = frozenset()
    home: str = ""
    delivered: int = 0


class Sessions(Protocol):
    """Sessions and their streams, by the session's id. Every method raises `StoreGone`, but for those that say so.

    A stream has a name that is unique in its session, and positions that are those of `transports.streams.Stream`.
    """

    async def save(self, identifier: str, saved: SavedSession, idle: float) -> None:
        """Write down a new session, to be forgotten when it is unused for so many seconds."""
        ...

    async def load(self, identifier: str, idle: float) -> SavedSession | None:
        """Return a session and count that as a use of it; None where there is none (any more)."""
        ...

    async def change(self, identifier: str, saved: SavedSession, gone: frozenset[str]) -> bool:
        """Write down a session's state and its subscriptions, but for those that are gone; False: it has ended."""
        ...

    async def move(self, identifier: str, home: str, *, from_nowhere: bool = False) -> SavedSession | None:
        """Make a process the home of a session, if need be only of one without; returns how it was before."""
        ...

    async def delete(self, identifier: str) -> None:
        """Forget a session, and its streams."""
        ...

    async def touch(self, identifiers: Iterable[str], idle: float) -> None:
        """Count as used what is in use."""
        ...

    def deliver(self, identifier: str, position: int) -> None:
        """Note, some time soon, how far a session's own stream was read."""
        ...

    def begin(self, place: Place, requests: Sequence[RequestId]) -> None:
        """Say, some time soon and in order, of which requests a stream is, at position 0."""
        ...

    async def requests(self, place: Place) -> list[RequestId]:
        """Return of which requests a stream is."""
        ...

    def append(self, place: Place, data: bytes, done: Callable[[], None]) -> None:
        """Write an event, some time soon and in order, and say when that is done or has failed."""
        ...

    def end(self, place: Place) -> None:
        """Say, in order, that a stream has come to its end at a position."""
        ...

    async def span(self, place: Place) -> tuple[int, int] | None:
        """Return the positions behind which a stream can be resumed, the first and the last of them."""
        ...

    async def read(self, place: Place, seconds: float) -> tuple[list[tuple[int, bytes]], bool]:
        """Return the events behind a place, waiting so long for the first, and whether the stream ends there."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A position on a stream of a session. `start` is the position from which on it is kept, 0 for all."""

    session: str
    stream: str
    position: int
    start: int = 0


def owner_of(principal: Principal | None) -> str:
    """Whose something in the store is: nobody's is not the empty name's."""
    return "" if principal is None else f"={principal.name}"
