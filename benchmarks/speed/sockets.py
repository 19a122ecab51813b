"""The load generator for HTTP: prepared bytes over raw sockets, every answer checked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ECHO = b'{"name":"echo","arguments":{"text":"hello"}%b}'
META = (
    b',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
)
MODERN_HEADERS = b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n"
INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"load","version":"1"}}}'
)
INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
EXPECTED = b'"text":"hello"'


@contextmanager
def serving(
    command: Sequence[str], port: int, variables: Mapping[str, str] | None = None, log: Path | None = None
) -> Generator[int]:
    """Start a server, wait until it listens, and yield its process id. `log` is where its stderr goes."""
    env = {**os.environ, **(variables or {})}
    with (log or Path(os.devnull)).open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=env)
    try:
        asyncio.run(wait_ready(port))
        yield process.pid
    finally:
        process.kill()  # and not SIGTERM: some peers wait for open connections
        process.wait(10)


async def wait_ready(port: int) -> None:
    """Wait until a port accepts connections."""
    for _ in range(1200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.025)
            continue
        writer.close()
        return
    raise TimeoutError(f"nothing listens on {port}")


def post(port: int, body: bytes, headers: bytes = b"") -> bytes:
    """An HTTP request, whole."""
    return (
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n%b\r\n%b"
        % (port, len(body), headers, body)
    )


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[bytes, bytes]:
    """Send one request on a kept-alive connection and return the head and the body of the answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    marker = lower.find(b"content-length:")
    if marker >= 0:
        length = int(lower[marker + 15 : lower.index(b"\r\n", marker)])
        return head, await reader.readexactly(length)
    parts: list[bytes] = []
    while size := int((await reader.readline()).strip() or b"0", 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return head, b"".join(parts)


async def open_session(port: int) -> bytes:
    """Do the handshake on a connection of its own and return the header that names the session."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head, _ = await exchange(reader, writer, post(port, INITIALIZE))
    marker = head.lower().index(b"mcp-session-id:")
    header = head[marker : head.index(b"\r\n", marker) + 2]
    await exchange(reader, writer, post(port, INITIALIZED, header))
    writer.close()
    return header


async def load(port: int, request: bytes, calls: int, concurrency: int) -> list[float]:
    """Send one request `calls` times over `concurrency` connections; returns the seconds that each took."""
    latencies: list[float] = []
    left = calls

    async def work(number: int) -> None:
        nonlocal left
        # An id of its own for each connection: what shares a session must not share ids, and the peer loses them.
        own = request.replace(b'"id":100', b'"id":%d' % (100 + number))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            began = time.perf_counter()
            head, body = await exchange(reader, writer, own)
            latencies.append(time.perf_counter() - began)
            if EXPECTED not in body or b" 200 " not in head:
                raise RuntimeError(f"a wrong answer: {head!r} {body!r}")
        writer.close()

    await asyncio.gather(*(work(number) for number in range(concurrency)))
    return latencies


def modern_call(port: int) -> bytes:
    """A stateless tools/call."""
    body = b'{"jsonrpc":"2.0","id":100,"method":"tools/call","params":' + ECHO % META + b"}"
    return post(port, body, MODERN_HEADERS)


def legacy_call(port: int, session: bytes) -> bytes:
    """A tools/call of a session."""
    return post(port, b'{"jsonrpc":"2.0","id":100,"method":"tools/call","params":' + ECHO % b"" + b"}", session)
