"""The floor over stdio on asyncio's pipes: the same answers as `floor_stdio.py`."""

import asyncio
import sys

from floor_stdio import answer


class Lines(asyncio.Protocol):
    """Answers what came together with one write."""

    def __init__(self, out: asyncio.WriteTransport, ended: asyncio.Event) -> None:
        self._out = out
        self._ended = ended
        self._parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        if b"\n" not in data:
            self._parts.append(data)
            return
        *lines, rest = b"".join([*self._parts, data]).split(b"\n")
        self._parts = [rest]
        self._out.write(b"".join([answer(line) for line in lines]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


async def main() -> None:
    """Serve until the input ends."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    out, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)
    await loop.connect_read_pipe(lambda: Lines(out, ended), sys.stdin)
    await ended.wait()


asyncio.run(main())
