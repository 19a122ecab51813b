"""Two pipes to a process that may be busy or stuck: nothing here waits for it longer than asked."""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO

_CHUNK = 1 << 16
_POLL = 0.1


class PolledChannel:
    """Where the system tells which pipe is ready."""

    def __init__(self, writing: IO[bytes], reading: IO[bytes]) -> None:
        self._writing = writing.fileno()
        self._reading = reading.fileno()
        os.set_blocking(self._writing, False)

    def send(self, data: bytes, check: Callable[[], None]) -> None:
        """Write all of it, as far as the other end reads; `check` is called meanwhile and may raise."""
        view = memoryview(data)
        while view:
            check()
            if select.select([], [self._writing], [], _POLL)[1]:
                try:
                    view = view[os.write(self._writing, view) :]
                except BrokenPipeError:  # it gave up, and its answers say so
                    return

    def receive(self, seconds: float) -> bytes | None:
        """Read what is there; empty at the end, None where nothing came in time."""
        return os.read(self._reading, _CHUNK) if select.select([self._reading], [], [], seconds)[0] else None

    def close(self) -> None:
        """Nothing is held here."""


class ThreadedChannel:
    """Where a pipe can only be waited for, as on Windows: a thread for each, which ends with the other end."""

    def __init__(self, writing: IO[bytes], reading: IO[bytes]) -> None:
        self._to_send: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        for work, pipe in ((self._write, writing), (self._read, reading)):
            threading.Thread(target=work, args=(pipe.fileno(),), daemon=True).start()

    def send(self, data: bytes, check: Callable[[], None]) -> None:
        """Have all of it written."""
        check()
        self._to_send.put(data)

    def receive(self, seconds: float) -> bytes | None:
        """Read what is there; empty at the end, None where nothing came in time."""
        try:
            return self._received.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Let the thread that writes go home."""
        self._to_send.put(b"")

    def _write(self, pipe: int) -> None:
        with suppress(OSError):
            while data := self._to_send.get():
                view = memoryview(data)
                while view:
                    view = view[os.write(pipe, view[:_CHUNK]) :]

    def _read(self, pipe: int) -> None:
        data = b"-"
        while data:
            try:
                data = os.read(pipe, _CHUNK)
            except OSError:
                data = b""
            self._received.put(data)


def open_channel(writing: IO[bytes], reading: IO[bytes]) -> PolledChannel | ThreadedChannel:
    """The kind that this system has."""
    return ThreadedChannel(writing, reading) if sys.platform == "win32" else PolledChannel(writing, reading)
