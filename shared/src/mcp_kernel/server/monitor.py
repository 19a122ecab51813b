"""What a server is watched with from outside its requests: how they came, and who counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
    Send = Callable[[MutableMapping[str, object]], Awaitable[None]]


class Arrival(Protocol):
    """How a request came over HTTP.

    `address` and `port` are of the other end, None on a Unix socket; `version` is that of HTTP, as 1.1; `trace` is the
    W3C trace context of the headers, empty where the client names no trace.
    """

    @property
    def address(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def version(self) -> str: ...
    @property
    def trace(self) -> Mapping[str, str]: ...


class LastArrival(NamedTuple):
    """What a session keeps of it, which outlives the request and has no use for the rest of its head."""

    address: str | None
    port: int | None
    version: str
    trace: Mapping[str, str]


class Monitor(Protocol):
    """Counts what passes over HTTP, and shows it."""

    kind: bytes
    """The media type of the page."""

    async def open(self) -> None:
        """Serving begins, on the running loop."""
        ...

    async def page(self) -> bytes | None:
        """Return the figures as they are now; None where those of other processes belong to them and cannot be had."""
        ...

    def visit(self, receive: Receive, send: Send) -> AbstractContextManager[tuple[Receive, Send]]:
        """Count an HTTP request, and the bytes that pass through what is returned in place of the two."""
        ...

    def refuse(self, who: str, status: int) -> None:
        """Count a request that was refused before it was read: by whom, with which HTTP status."""
        ...

    def watch(self, name: str, function: Callable[[], Collection[str]]) -> None:
        """Have a figure be the number of what a function returns: names, which other processes use for the same."""
        ...
