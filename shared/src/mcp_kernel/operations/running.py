"""How many calls of each caller run now, where that is limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

Leave: TypeAlias = Callable[[], None]


class Full(Exception):
    """As many calls run as may; `most` is how many that are."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class Running(Protocol):
    """Where running calls are counted: in this process, or in a store that several share."""

    async def enter(self, caps: Mapping[str, int]) -> Leave:
        """Begin one call under each of these keys, or under none; raises `Full`.

        Returns what is to be called, once, when the call has ended. It never waits.
        """
        ...


class MemoryRunning:
    """The running calls of one process."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}

    async def enter(self, caps: Mapping[str, int]) -> Leave:
        """See `Running.enter`."""
        for key, most in caps.items():
            if self._running.get(key, 0) >= most:
                raise Full(most)
        for key in caps:
            self._running[key] = self._running.get(key, 0) + 1
        return lambda: self._leave(caps)

    def _leave(self, caps: Mapping[str, int]) -> None:
        for key in caps:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]
