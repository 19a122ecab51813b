"""The guard of stdio: the protocol gets descriptors of its own, and nobody else can write into its stream.

After `take_stdio`, file descriptor 0 is the null device and file descriptor 1 is stderr, for Python, for C libraries
and for child processes alike; a `print` lands in the host's log and not between two messages.
"""

from __future__ import annotations

import io
import os
import sys
from typing import NamedTuple, cast


class Pair(NamedTuple):
    """The descriptors of the protocol: where messages come from and where they go."""

    incoming: int
    outgoing: int


def take_stdio() -> Pair:
    """Move the protocol's stream out of reach; neither descriptor is inherited by child processes."""
    for descriptor in (0, 1, 2):
        _make_up_for(descriptor)
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if isinstance(stdout := cast("object", sys.stdout), io.TextIOWrapper):  # None where it was closed
        # Flushes, and only now: what was printed before the server started is no message either.
        stdout.reconfigure(line_buffering=True)
    return Pair(incoming, outgoing)


def _make_up_for(descriptor: int) -> None:
    """Open the null device where whoever started us closed a descriptor, before something else gets its number."""
    try:
        os.fstat(descriptor)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
