"""Bytes out: messages to a descriptor, all that are ready in one system call, never blocking the event loop.

A descriptor must not be put into non-blocking mode in place: the mode belongs to the open description, which a
host may share with stderr (`2>&1`), and stderr would lose output. So a pipe is opened anew through /proc, a socket
is told with each call, and what can do neither is written by a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from typing import Final

HIGH_WATER: Final = 1024 * 1024  # bytes waiting from which on the client counts as not reading
LOW_WATER: Final = 256 * 1024
LARGE: Final = 32 * 1024  # bytes of a message from which on it is not copied to stand beside others
PIPE: Final = 64 * 1024  # bytes that a pipe holds where nobody asked for another size
WIDE: Final = 1024 * 1024  # bytes; the most that Linux gives without privileges (/proc/sys/fs/pipe-max-size)
_MOST_BUFFERS: Final = 512  # in one system call, which takes 1,024 (IOV_MAX)

Write = Callable[[Sequence[memoryview]], int]


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
        self._pending: list[memoryview] = []  # what a full pipe left over
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

    def gather(self) -> None:
        """Let messages wait for the next `flush`, which the caller promises: no turn of the loop is asked for."""
        self._scheduled = True

    def flush(self) -> None:
        """Write what is ready."""
        self._scheduled = False
        if self._busy or self.broken or not self._ready:
            return
        ready, self._ready = self._ready, []
        self._pending = _join(ready, self._size >= LARGE)
        if self._blocks:
            self._busy = True
            threading.Thread(target=self._write_in_thread, args=(self._pending,), daemon=True).start()
        else:
            self._write_pending()

    def _write_pending(self) -> None:
        try:
            written = self._write(self._pending[:_MOST_BUFFERS])
        except (BlockingIOError, InterruptedError):
            written = 0
        except OSError:
            self._break()
            return
        self._size -= written
        self._pending = _skip(self._pending, written)
        if self._pending:
            if not self._busy:
                self._busy = True
                if self._size > PIPE:
                    _widen(self._descriptor)
                self._loop.add_writer(self._descriptor, self._write_pending)
            return
        if self._busy:
            self._busy = False
            self._loop.remove_writer(self._descriptor)
        self._after_write()

    def _write_in_thread(self, pending: list[memoryview]) -> None:
        try:
            while pending:
                pending = _skip(pending, self._write(pending[:_MOST_BUFFERS]))
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
        self._size -= sum(map(len, self._pending))
        self._pending = []
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


def _join(ready: list[bytes], has_large: bool) -> list[memoryview]:
    """The bytes of messages, each with its line feed: small ones together, large ones where they are."""
    ready.append(b"")  # so that the last message ends in a line feed too
    if not has_large:
        return [memoryview(b"\n".join(ready))]
    buffers: list[memoryview] = []
    small: list[bytes] = []
    for data in ready:
        if len(data) < LARGE:
            small.append(data)
            continue
        if small:
            small.append(b"")
            buffers.append(memoryview(b"\n".join(small)))
        buffers.append(memoryview(data))
        small = [b""]
    buffers.append(memoryview(b"\n".join(small)))
    return buffers


def _skip(buffers: list[memoryview], count: int) -> list[memoryview]:
    """What is left of buffers behind their first bytes."""
    for number, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[number + 1 :]]
        count -= len(buffer)
    return []


def _open(descriptor: int) -> tuple[int, Write, bool]:
    """Return a descriptor to poll, a function that writes to it, and whether that function may block for long."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        connection = socket.socket(fileno=descriptor)
        flag = getattr(socket, "MSG_DONTWAIT", 0)
        if not flag:  # Windows
            return descriptor, lambda buffers: connection.send(buffers[0]), True
        return descriptor, lambda buffers: connection.sendmsg(buffers, (), flag), False
    if stat.S_ISFIFO(mode):
        if not hasattr(os, "O_NONBLOCK"):  # Windows
            return descriptor, _write_to(descriptor), True
        try:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return descriptor, _write_to(descriptor), True
        return own, _write_to(own), False
    # A file and the null device take everything at once; a terminal waits only for a person who stopped it.
    return descriptor, _write_to(descriptor), False


def _write_to(descriptor: int) -> Write:
    if hasattr(os, "writev"):
        return lambda buffers: os.writev(descriptor, buffers)
    return lambda buffers: os.write(descriptor, b"".join(buffers))  # Windows


def _widen(descriptor: int) -> None:
    """Let a pipe hold more, where the system can do that (Linux): a large message then needs few turns of the loop.

    Asked for when a pipe turns out to be too small, and not before: what all pipes of a user may hold together is
    limited (pipe(7), "pipe-user-pages-soft"). Where it is refused, and for what is no pipe, nothing happens.
    """
    import fcntl  # a server whose messages are small never needs it

    command = getattr(fcntl, "F_SETPIPE_SZ", None)
    if command is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, command, WIDE)
