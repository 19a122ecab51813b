"""The end of child processes: what handlers started and left running does not outlive the server."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def end_children() -> None:
    """Kill the descendants of this process. Only Linux tells who they are; elsewhere handlers must see to it."""
    for pid in _descendants():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _descendants() -> list[int]:
    found: list[int] = []
    unseen = [os.getpid()]
    while unseen:
        for tasks in Path(f"/proc/{unseen.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids = [int(word) for word in tasks.read_bytes().split()]
                found += pids
                unseen += pids
    return found
