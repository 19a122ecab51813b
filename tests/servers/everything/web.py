"""As much of an HTTP client as these tests need: a connection for each request, and answers that are streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose head has arrived."""

    status: int
    headers: Mapping[str, str]
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def body(self) -> bytes:
        """The whole body."""
        try:
            return await self._reader.readexactly(int(self.headers.get("content-length", "0")))
        finally:
            await self.close()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def lines(self) -> AsyncGenerator[str]:
        """The lines of a stream, as they come."""
        rest = ""
        try:
            while size := int(await self._reader.readline(), 16):
                chunk = await self._reader.readexactly(size)
                await self._reader.readexactly(2)
                *lines, rest = (rest + chunk.decode()).split("\n")
                for line in lines:
                    yield line
        finally:
            await self.close()


async def send(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
    """Send a request and wait for the head of its answer."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 22)
    head = {"host": parts.netloc, "connection": "close", "content-length": str(len(body)), **headers}
    lines = [f"{method} {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    fields: dict[str, str] = {}
    try:
        writer.write("\r\n".join(lines).encode() + body)
        status = int((await reader.readline()).split()[1])
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
    except BaseException:  # whoever waits for the head may be told to stop
        writer.close()
        raise
    return Response(status, fields, reader, writer)
