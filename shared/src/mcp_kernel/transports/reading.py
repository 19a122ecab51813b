"""Bytes in: chunks from a descriptor, without a thread where the descriptor can be polled."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

CHUNK: Final = 256 * 1024  # bytes; one read can carry thousands of messages

# Takes a chunk; b"" is the end of the stream.
Consumer = Callable[[bytes], None]


class Reader(Protocol):
    """Hands chunks to its consumer until it is closed."""

    def pause(self) -> None:
        """Stop reading: what the client writes stays in the pipe, and then blocks the client."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...

    def close(self) -> None:
        """Stop for good."""
        ...


def open_reader(descriptor: int, consumer: Consumer) -> Reader:
    """Read a descriptor on the running event loop, in a thread where it cannot be polled (files, Windows)."""
    try:
        return _PolledReader(descriptor, consumer)
    except (OSError, NotImplementedError, ValueError):
        return _ThreadReader(descriptor, consumer)


class _PolledReader:
    """A pipe, a socket or a terminal. It stays in blocking mode: it is read only when there is something."""

    def __init__(self, descriptor: int, consumer: Consumer) -> None:
        self._descriptor = descriptor
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self.resume()

    def _on_readable(self) -> None:
        try:
            chunk = os.read(self._descriptor, CHUNK)
        except (BlockingIOError, InterruptedError):
            return  # a false alarm, on a description that somebody else made non-blocking
        except OSError:
            chunk = b""  # the other end is gone without a word
        if not chunk:
            self.pause()
        self._consumer(chunk)

    def pause(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._descriptor)
            self._reading = False

    def resume(self) -> None:
        if not self._reading:
            self._loop.add_reader(self._descriptor, self._on_readable)
            self._reading = True

    def close(self) -> None:
        self.pause()


class _ThreadReader:
    """A file, or any descriptor on Windows."""

    def __init__(self, descriptor: int, consumer: Consumer) -> None:
        self._descriptor = descriptor
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._may_read = threading.Event()
        self._may_read.set()
        self._closed = False
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def _read(self) -> None:
        # One chunk at a time: the next is read when the loop has taken this one, so nothing piles up.
        taken = threading.Event()
        while not self._closed:
            self._may_read.wait()
            try:
                chunk = os.read(self._descriptor, CHUNK)
            except OSError:
                chunk = b""
            taken.clear()
            try:
                self._loop.call_soon_threadsafe(self._hand_over, chunk, taken)
            except RuntimeError:
                return  # the loop is closed
            if not chunk:
                return
            taken.wait()

    def _hand_over(self, chunk: bytes, taken: threading.Event) -> None:
        if not self._closed:
            self._consumer(chunk)
        taken.set()

    def pause(self) -> None:
        self._may_read.clear()

    def resume(self) -> None:
        self._may_read.set()

    def close(self) -> None:
        self._closed = True
        self._may_read.set()
