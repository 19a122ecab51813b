"""What a call costs over each transport: `weather-latency` makes 100 calls, one after the other, over each.

The server is this example's, in a process of its own; the weather comes from a server on this machine that answers at
once, so that what is measured is the protocol and not somebody's network.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp_kernel import Client

from .recorded import answering

TRANSPORTS = ("stdio", "http", "sse")
_READY = "serves"  # what a server over HTTP says when it listens


async def measure(transport: str, weather: str, calls: int) -> list[float]:
    """Seconds of each call over a transport."""
    command = [str(Path(sys.executable).with_name("weather-server"))]
    command += ["--forecast-url", weather, "--places-url", weather]
    if transport == "stdio":
        async with Client(command) as client:
            return await _time_calls(client, calls)
    async with _serving([*command, "--transport", transport, "--port", "0"]) as url, Client(url) as client:
        return await _time_calls(client, calls)


async def _time_calls(client: Client, calls: int) -> list[float]:
    taken: list[float] = []
    for _ in range(calls + 1):
        begun = time.perf_counter()
        result = await client.call_tool("current_weather", {"place": "Berlin"})
        taken.append(time.perf_counter() - begun)
        if result.is_error:
            raise RuntimeError(result.text)
    return taken[1:]  # without the first, which opens connections


@asynccontextmanager
async def _serving(command: list[str]) -> AsyncGenerator[str]:
    """Start a server over HTTP on a free port; gives its URL."""
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        if process.stderr is None:
            raise RuntimeError("there is no pipe")
        while line := (await process.stderr.readline()).decode():
            if _READY in line:
                yield next(word for word in line.split() if word.startswith("http://"))
                return
        raise RuntimeError("the server did not start")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def compare(calls: int) -> str:
    """A table of milliseconds."""
    lines = [f"{'transport':<10} {'median':>8} {'p95':>8} {'worst':>8}   ms, {calls} calls one after the other"]
    with answering() as weather:
        for transport in TRANSPORTS:
            taken = [seconds * 1000 for seconds in await measure(transport, weather, calls)]
            middle, late = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
            lines.append(f"{transport:<10} {middle:>8.2f} {late:>8.2f} {max(taken):>8.2f}")
    return "\n".join(lines)


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="weather-latency", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100, help="how many calls over each transport (default: 100)")
    print(asyncio.run(compare(max(parser.parse_args().calls, 2))))  # noqa: T201  # its job
