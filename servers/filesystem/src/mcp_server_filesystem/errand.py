"""Work in a thread, as the event loop sees it: how far it is, and how to stop it."""

from __future__ import annotations

import time


class Stopped(Exception):
    """Nobody waits for the work any more."""


class Errand:
    """One piece of work; the thread counts and asks, the event loop reads and stops.

    `seconds` is how long a walk or a search may take before it answers with what it has.
    """

    __slots__ = ("_deadline", "_stopped", "seen")

    def __init__(self, seconds: float = 30.0) -> None:
        self.seen = 0
        self._stopped = False
        self._deadline = time.monotonic() + seconds

    def stop(self) -> None:
        """Have the thread end at its next look."""
        self._stopped = True

    def check(self) -> None:
        """Raise `Stopped` when the work is not wanted any more."""
        if self._stopped:
            raise Stopped

    @property
    def is_late(self) -> bool:
        """Whether it is time to answer with what there is."""
        self.check()
        return time.monotonic() > self._deadline

    @property
    def seconds_left(self) -> float:
        """Until it is late."""
        return max(self._deadline - time.monotonic(), 0.0)
