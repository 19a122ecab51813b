"""stdio: one client, which started this process, one message on each line (basic/transports/stdio)."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from mcp_kernel.errors import PARSE_ERROR, ProtocolError
from mcp_kernel.protocol.framing import DEFAULT_LINE_LIMIT, Lines, Oversized
from mcp_kernel.server import dispatch
from mcp_kernel.server.exchange import Exchange
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.server import Server
from mcp_kernel.transports.children import end_children
from mcp_kernel.transports.guard import Pair, take_stdio
from mcp_kernel.transports.reading import Reader, open_reader
from mcp_kernel.transports.writing import Writer

GRACE: Final = 0.5  # seconds that calls in flight have left when the client is gone
LAST: Final = 0.95  # seconds after which the process ends, whatever still hangs
MOST_IN_FLIGHT: Final = 1000  # requests at once; with more, reading pauses until some are answered
TICK: Final = 0.02  # seconds between two looks whether some have ended


class Connection:
    """One client on a pair of descriptors; it is the outlet of its peer."""

    shared = True

    def __init__(self, server: Server, pair: Pair, line_limit: int = DEFAULT_LINE_LIMIT) -> None:
        self.ended = asyncio.Event()
        self._line_limit = line_limit
        self._lines = Lines(line_limit)
        self._unserved: deque[bytes | Oversized] = deque()
        self._is_due = False
        self._later: asyncio.TimerHandle | None = None
        self._peer = Peer(server, self)
        self._writer = Writer(pair.outgoing, self._on_drained, self._end)
        self._reader: Reader = open_reader(pair.incoming, self._take)
        self._paused = False

    # --- in ---

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self._end()
            return
        self._unserved.extend(self._lines.feed(chunk))
        self._serve()

    def _serve(self) -> None:
        """Serve what was read, only as fast as the client takes its answers; then read on."""
        self._is_due = False
        if self.ended.is_set():
            return
        lines, writer, receive = self._unserved, self._writer, self._peer.receive
        writer.gather()
        try:
            while lines and not (writer.congested and self._is_stuck()) and not writer.broken:
                line = lines.popleft()
                if type(line) is bytes:
                    receive(line)
                else:
                    self._refuse_line()
        finally:
            writer.flush()
        self._balance()

    def _serve_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._peer.loop.call_soon(self._serve)

    def _is_stuck(self) -> bool:
        if self._writer.congested:
            self._writer.flush()
        return self._writer.congested

    def _balance(self) -> None:
        """Read only while all that was read is served, and not too many calls are in flight."""
        if self.ended.is_set():
            return
        # A call that waits for the client's answer must not keep us from reading that answer.
        peer = self._peer
        busy = len(peer.exchanges) - len(peer.calls) - peer.listening >= MOST_IN_FLIGHT
        full = busy or bool(self._unserved) or self._is_stuck()
        if full and not self._paused:
            self._reader.pause()
        elif self._paused and not full:
            self._reader.resume()
        self._paused = full
        if busy and self._later is None:  # a call that ends without an answer, as one that was cancelled, does not tell
            self._later = self._peer.loop.call_later(TICK, self._look_again)

    def _look_again(self) -> None:
        self._later = None
        self._serve()

    def _refuse_line(self) -> None:
        text = f"A line was longer than {self._line_limit} bytes and was discarded"
        dispatch.reject(self._peer, ProtocolError(PARSE_ERROR, text), self._peer.reply)

    def _end(self) -> None:
        self._reader.close()
        self.ended.set()

    # --- out ---

    @property
    def congested(self) -> bool:
        """Whether the client does not read what it is sent."""
        return self._writer.congested

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        """Send one message; on stdio all go the same way."""
        self._writer.put(data)
        if self._paused:
            self._serve_soon()

    def release(self, exchange: Exchange, retry: int) -> None:
        """There is one stream, and it stays."""

    async def drain(self) -> None:
        """Wait until everything is written."""
        await self._writer.drain()

    def _on_drained(self) -> None:
        self._peer.release()
        self._serve_soon()

    async def close(self, grace: float = GRACE) -> None:
        """Give calls in flight `grace` seconds, cancel the rest, and write what is left."""
        began = self._peer.loop.time()
        self._reader.close()
        await self._peer.close(grace)
        with contextlib.suppress(TimeoutError):
            left = began + LAST - self._peer.loop.time()
            await asyncio.wait_for(self._writer.drain(), max(left - 0.1, 0.1))
        self._writer.close()


async def serve(
    server: Server,
    pair: Pair,
    *,
    line_limit: int = DEFAULT_LINE_LIMIT,
    on_end: Callable[[], None] | None = None,
) -> None:
    """Serve one client on a pair of descriptors until its stream ends or SIGTERM comes.

    `on_end` is called first when the end begins.
    """
    server.attach()
    connection = Connection(server, pair, line_limit)
    _end_on_termination(connection, on_end)
    await connection.ended.wait()
    if on_end is not None:
        on_end()
    await connection.close()
    await server.close()


def _end_on_termination(connection: Connection, on_end: Callable[[], None] | None) -> None:
    """Let SIGTERM end a connection. Not the loop's own signal handler: that hears nothing while the loop is blocked."""
    loop = asyncio.get_running_loop()

    def end(number: int, frame: object) -> None:
        if on_end is not None:
            on_end()
        loop.call_soon_threadsafe(connection.ended.set)

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, end)


def run(server: Server, *, line_limit: int = DEFAULT_LINE_LIMIT) -> None:
    """Serve on this process's stdin and stdout, then exit: with 0 at the end of the stream, with 130 on Ctrl-C.

    The process ends here, even when a handler's thread is stuck: nothing that a host waits for may depend on it.
    """
    signal.signal(signal.SIGINT, lambda number, frame: exit_now(130))
    _keep_memory()
    pair = take_stdio()
    asyncio.run(_serve_and_exit(server, pair, line_limit))


def _keep_memory() -> None:
    """Let the memory of a large message stay for the next one, up to 8 MiB.

    glibc gives freed memory back to the system, and each of its pages costs a fault when it is needed again: of an
    argument of 1 MiB that is half of all work. When a block this large was freed it takes smaller ones for usual
    (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). The block itself is never touched, and so takes no memory.
    """
    bytes(4 << 20)


async def _serve_and_exit(server: Server, pair: Pair, line_limit: int) -> None:
    code = 0
    try:
        await serve(server, pair, line_limit=line_limit, on_end=_set_alarm)
    except Exception as error:  # reported as Python would, but the process must end all the same
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # a return would wait for threads before it gets there
    exit_now(code)


def _set_alarm() -> None:
    """End the process in time whatever hangs: what is to be closed, or a handler that blocks the event loop."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda number, frame: exit_now(0))
        signal.setitimer(signal.ITIMER_REAL, LAST)
        return
    alarm = threading.Timer(LAST, exit_now, (0,))  # Windows has no such signal
    alarm.daemon = True
    alarm.start()


def exit_now(code: int) -> None:
    """End the process without waiting for threads."""
    end_children()
    for stream in (sys.stdout, sys.stderr):
        # Where the log is full because nobody reads it, a thread may be stuck in writing it, and hold the stream.
        with contextlib.suppress(OSError, RuntimeError, TypeError, ValueError):  # closed, or written by this thread
            if select.select([], [stream], [], 0)[1]:
                stream.flush()
    os._exit(code)
