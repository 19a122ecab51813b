"""A number that rises."""

from __future__ import annotations

from threading import Lock


class Counter:
    """Counts from zero, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.value = 0

    def increase(self) -> None:
        """Count one more."""
        with self._lock:
            self.value += 1
