"""What 10,000 abandoned sessions leave behind, in one process without sockets.

    uv run benchmarks/sessions.py

First the resident set, then what Python has allocated, which is slower to count. The two differ by what the allocators
keep for the next time: arenas of Python's in which something small lives on, and the free end of the C library's heap.
That it is free, and no leak, shows in the last line of the first part, where the C library was told to give back what
it can (with PYTHONMALLOC=malloc in the environment, which leaves out Python's arenas, all of it), and in the waves
after the first, which take no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import tracemalloc
from pathlib import Path
from typing import Any

from speed.sockets import INITIALIZE

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


def resident() -> float:
    """MiB that the process holds in memory."""
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


async def print_resident(app: HttpApp) -> None:
    """Open and abandon three waves and print the resident set."""
    before = resident()
    print(f"resident {before:.1f} MiB at first")
    for wave in range(1, 4):
        await open_sessions(app, 10_000)
        peak = resident()
        await asyncio.sleep(2.5 * IDLE)
        print(f"wave {wave}: resident {peak:.1f} MiB with 10,000 sessions; past their timeout {resident():.1f} MiB")
    with contextlib.suppress(OSError, AttributeError):  # not the GNU C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        print(f"after malloc_trim: resident {resident():.1f} MiB")


async def main() -> None:
    """Print both."""
    app = Server("sessions", "1").asgi(HttpOptions(session_idle=IDLE))
    await open_sessions(app, 50)
    await asyncio.sleep(2.5 * IDLE)
    await print_resident(app)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for wave in range(1, 4):
        await open_sessions(app, 10_000)
        peak = tracemalloc.get_traced_memory()[0] - before
        await asyncio.sleep(2.5 * IDLE)
        after = tracemalloc.get_traced_memory()[0] - before
        print(f"wave {wave}: {peak / 2**20:.1f} MiB for 10,000 sessions; past their timeout {after / 2**20:.1f} MiB")


asyncio.run(main())
