"""What a server is watched with from outside its requests: how they came, and who counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
    Send = Callable[[MutableMapping[str, object]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a request came over HTTP: its headers by lower-case name, and the address at the other end."""

    headers: Mapping[str, str]
    client: str | None


ARRIVAL: Final[ContextVar[Arrival | None]] = ContextVar("mcp_kernel.arrival", default=None)
"""Of the request that is served, where it came over HTTP and the server has stages; None elsewhere."""


class Monitor(Protocol):
    """Counts what passes over HTTP, and shows it."""

    kind: bytes
    """The media type of the page."""

    def page(self) -> bytes:
        """Return the figures as they are now."""
        ...

    def visit(self, receive: Receive, send: Send) -> AbstractContextManager[tuple[Receive, Send]]:
        """Count an HTTP request, and the bytes that pass through what is returned in place of the two."""
        ...

    def refuse(self, who: str, status: int) -> None:
        """Count a request that was refused before it was read: by whom, with which HTTP status."""
        ...

    def read(self, name: str, function: Callable[[], int]) -> None:
        """Ask a function for a figure whenever the page is shown."""
        ...
