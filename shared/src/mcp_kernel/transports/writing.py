"""Bytes out: messages to a descriptor, all that are ready in one system call, never blocking the event loop.

A descriptor must not be put into non-blocking mode in place: the mode belongs to the open description, which a
host may share with stderr (`2>&1`), and stderr would lose output. So a pipe is opened anew through /proc, a socket
is told with each call, and what can do neither is written by a thread.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Callable
from typing import Final

HIGH_WATER: Final = 1024 * 1024  # bytes waiting from which on the client counts as not reading
LOW_WATER: Final = 256 * 1024

Write = Callable[[bytes | memoryview], int]


class Writer:
    """The messages on their way out.

    `on_drained` is called when congestion has ended, `on_broken` once when nobody reads the other end any more.
    """

    def __init__(self, descriptor: int, on_drained: Callable[[], None], on_broken: Callable[[], None]) -> None:
        self._descriptor, self._write, self._blocks = _open(descriptor)
        self._on_drained = on_drained
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._ready: list[bytes] = []  # whole messages that no system call has seen yet
        self._pending = memoryview(b"")  # what a full pipe left over
        self._size = 0  # bytes in both
        self._busy = False  # waiting for the pipe to have room, or for the thread
        self._scheduled = False
        self._drained: asyncio.Future[None] | None = None
        self.congested = False
        self.broken = False

    def put(self, data: bytes) -> None:
        """Add one message; it leaves with all others that are ready in this turn of the loop."""
        if self.broken:
            return
        self._ready.append(data)
        self._size += len(data) + 1
        if self._size > HIGH_WATER:
            self.congested = True
        if not self._scheduled and not self._busy:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is ready."""
        self._scheduled = False
        if self._busy or self.broken or not self._ready:
            return
        self._ready.append(b"")  # so that the last message ends in a line feed too
        data = b"\n".join(self._ready)
        self._ready.clear()
        self._pending = memoryview(data)
        if self._blocks:
            self._busy = True
            threading.Thread(target=self._write_in_thread, args=(data,), daemon=True).start()
        else:
            self._write_pending()

    def _write_pending(self) -> None:
        try:
            written = self._write(self._pending)
        except (BlockingIOError, InterruptedError):
            written = 0
        except OSError:
            self._break()
            return
        self._size -= written
        self._pending = self._pending[written:]
        if self._pending:
            if not self._busy:
                self._busy = True
                self._loop.add_writer(self._descriptor, self._write_pending)
            return
        if self._busy:
            self._busy = False
            self._loop.remove_writer(self._descriptor)
        self._after_write()

    def _write_in_thread(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._write(view) :]
        except OSError:
            self._call(self._break)
            return
        self._call(self._written_in_thread)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return  # the loop is closed: nobody waits for this any more

    def _written_in_thread(self) -> None:
        self._size -= len(self._pending)
        self._pending = memoryview(b"")
        self._busy = False
        self._after_write()

    def _after_write(self) -> None:
        if self.congested and self._size <= LOW_WATER:
            self.congested = False
            self._on_drained()
        if self._ready:
            self.flush()
        elif self._size == 0 and self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _break(self) -> None:
        if self._busy and not self._blocks:
            self._loop.remove_writer(self._descriptor)
        self.broken = True
        self._ready.clear()
        self._size = 0
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
        self._on_broken()

    async def drain(self) -> None:
        """Wait until everything is written, or nobody reads any more."""
        self.flush()
        if self._size and not self.broken:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def close(self) -> None:
        """Stop writing."""
        if self._busy and not self._blocks and not self.broken:
            self._loop.remove_writer(self._descriptor)
        self.broken = True


def _open(descriptor: int) -> tuple[int, Write, bool]:
    """Return a descriptor to poll, a function that writes to it, and whether that function may block for long."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        connection = socket.socket(fileno=descriptor)
        flag = getattr(socket, "MSG_DONTWAIT", 0)
        return descriptor, lambda data: connection.send(data, flag), not flag
    if stat.S_ISFIFO(mode):
        if not hasattr(os, "O_NONBLOCK"):  # Windows
            return descriptor, lambda data: os.write(descriptor, data), True
        try:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return descriptor, lambda data: os.write(descriptor, data), True
        return own, lambda data: os.write(own, data), False
    # A file and the null device take everything at once; a terminal waits only for a person who stopped it.
    return descriptor, lambda data: os.write(descriptor, data), False
