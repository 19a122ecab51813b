"""stdio: one client, which started this process, one message on each line (basic/transports/stdio)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Final

from mcp_kernel.errors import PARSE_ERROR
from mcp_kernel.protocol.framing import DEFAULT_LINE_LIMIT, Lines, Oversized
from mcp_kernel.protocol.jsonrpc import Failure, encode
from mcp_kernel.server.exchange import Exchange
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.server import Server
from mcp_kernel.transports.guard import Pair, take_stdio
from mcp_kernel.transports.reading import Reader, open_reader
from mcp_kernel.transports.writing import Writer

GRACE: Final = 0.5  # seconds that calls in flight have left when the client is gone
MOST_IN_FLIGHT: Final = 1000  # requests at once; with more, reading pauses until some are answered


class Connection:
    """One client on a pair of descriptors; it is the outlet of its peer."""

    shared = True

    def __init__(self, server: Server, pair: Pair, line_limit: int = DEFAULT_LINE_LIMIT) -> None:
        self.ended = asyncio.Event()
        self._line_limit = line_limit
        self._lines = Lines(line_limit)
        self._peer = Peer(server, self)
        self._writer = Writer(pair.outgoing, self._on_drained, self._end)
        self._reader: Reader = open_reader(pair.incoming, self._take)
        self._paused = False

    # --- in ---

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self._end()
            return
        receive = self._peer.receive
        for line in self._lines.feed(chunk):
            if isinstance(line, Oversized):
                self._refuse_line()
            else:
                receive(line)
        self._writer.flush()
        self._balance()

    def _refuse_line(self) -> None:
        text = f"A line was longer than {self._line_limit} bytes and was discarded"
        self.send(encode(Failure(None, PARSE_ERROR, text)), None)

    def _balance(self) -> None:
        """Read only as fast as the client takes its answers, and as calls end."""
        # A call that waits for the client's answer must not keep us from reading that answer.
        running = len(self._peer.exchanges) - len(self._peer.calls)
        full = self._writer.congested or running >= MOST_IN_FLIGHT
        if full and not self._paused:
            self._reader.pause()
        elif self._paused and not full:
            self._reader.resume()
        self._paused = full

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
            self._peer.loop.call_soon(self._balance)

    async def drain(self) -> None:
        """Wait until everything is written."""
        await self._writer.drain()

    def _on_drained(self) -> None:
        self._peer.release()
        self._balance()

    async def close(self, grace: float = GRACE) -> None:
        """Give calls in flight `grace` seconds, cancel the rest, and write what is left."""
        self._reader.close()
        await self._peer.close(grace)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._writer.drain(), 0.2)
        self._writer.close()


async def serve(server: Server, pair: Pair, *, line_limit: int = DEFAULT_LINE_LIMIT) -> None:
    """Serve one client on a pair of descriptors until its stream ends or SIGTERM comes."""
    server.attach()
    connection = Connection(server, pair, line_limit)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; not in the main thread
        loop.add_signal_handler(signal.SIGTERM, connection.ended.set)
    await connection.ended.wait()
    await connection.close()
    await server.close()


def run(server: Server, *, line_limit: int = DEFAULT_LINE_LIMIT) -> None:
    """Serve on this process's stdin and stdout, then exit: with 0 at the end of the stream, with 130 on Ctrl-C.

    The process ends here, even when a handler's thread is stuck: nothing that a host waits for may depend on it.
    """
    signal.signal(signal.SIGINT, _exit_on_interrupt)
    pair = take_stdio()
    asyncio.run(_serve_and_exit(server, pair, line_limit))


async def _serve_and_exit(server: Server, pair: Pair, line_limit: int) -> None:
    code = 0
    try:
        await serve(server, pair, line_limit=line_limit)
    except Exception as error:  # reported as Python would, but the process must end all the same
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    exit_now(code)


def exit_now(code: int) -> None:
    """End the process without waiting for threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _exit_on_interrupt(number: int, frame: object) -> None:
    exit_now(130)
