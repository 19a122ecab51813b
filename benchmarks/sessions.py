"""What 10,000 abandoned sessions leave behind, counted by Python's own allocator, in one process without sockets.

    uv run benchmarks/sessions.py

The resident set, which `benchmarks/http.py sessions` prints, also holds what the allocator keeps for the next time.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

from load import INITIALIZE

from mcp_kernel import Server
from mcp_kernel.transports.http import HttpApp, HttpOptions

IDLE = 1.0  # seconds
HEADERS = [(b"host", b"localhost"), (b"content-type", b"application/json")]
SCOPE = {"type": "http", "method": "POST", "path": "/mcp", "headers": HEADERS}


async def open_sessions(app: HttpApp, number: int) -> None:
    """Do so many handshakes."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": INITIALIZE}

    async def send(message: object) -> None:
        del message

    for _ in range(number):
        await app(dict(SCOPE), receive, send)


async def main() -> None:
    """Open and abandon three waves and print what is allocated."""
    app = Server("sessions", "1").asgi(HttpOptions(session_idle=IDLE))
    await open_sessions(app, 50)
    await asyncio.sleep(2.5 * IDLE)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for wave in range(1, 4):
        await open_sessions(app, 10_000)
        peak = tracemalloc.get_traced_memory()[0] - before
        await asyncio.sleep(2.5 * IDLE)
        after = tracemalloc.get_traced_memory()[0] - before
        print(f"wave {wave}: {peak / 2**20:.1f} MiB for 10,000 sessions; past their timeout {after / 2**20:.1f} MiB")


asyncio.run(main())
