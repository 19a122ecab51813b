"""What a server is watched with from outside its requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
    Send = Callable[[MutableMapping[str, object]], Awaitable[None]]


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
