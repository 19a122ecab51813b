"""What only a wire shows: servers that send too much, too slowly, elsewhere, or nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.stage import scene

from mcp_kernel.auth import AuthorizationCode, MemoryStore, OAuth, web
from mcp_kernel.auth.oauth import dismiss
from mcp_kernel.errors import AuthorizationError

Reply = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def wire(reply: Reply, paths: list[str]) -> AsyncGenerator[tuple[httpx.AsyncClient, str]]:
    """A server that refuses /mcp and lets a test write its answer to all else; a client that authorises there."""

    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            paths.append(head.split()[1])
            if paths[-1] == "/mcp":
                writer.write(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            else:
                await reply(paths[-1], writer)
            await writer.drain()
        except ConnectionError:
            pass  # the client has seen enough
        finally:
            writer.close()

    async def authorize(url: str) -> str:
        raise AssertionError("nothing here is worth a user's attention")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    auth = OAuth(url, AuthorizationCode(authorize, "http://127.0.0.1:3000/callback"), store=MemoryStore())
    try:
        async with httpx.AsyncClient(auth=auth, follow_redirects=True, cookies={"session": "mine"}) as client:
            yield client, url
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*filter(None, served))


@scene
async def test_metadata_without_end_is_not_read_to_its_end() -> None:
    async def flood(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * 65536)
            await writer.drain()

    async with wire(flood, []) as (client, url):
        with pytest.raises(AuthorizationError, match="more than 262144 bytes"):
            await client.get(url)


@scene
async def test_metadata_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_TIME", 0.3)

    async def trickle(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        gone = asyncio.ensure_future(writer.wait_closed())
        while not gone.done():
            writer.write(b" ")
            await writer.drain()
            await asyncio.wait([gone], timeout=0.02)  # never silent, until the client hangs up

    async with wire(trickle, []) as (client, url):
        with pytest.raises(AuthorizationError, match="did not answer within"):
            await client.get(url)


@scene
async def test_compressed_metadata_is_not_unpacked() -> None:
    async def compress(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc")

    async with wire(compress, []) as (client, url):
        with pytest.raises(AuthorizationError, match="compressed"):
            await client.get(url)


@scene
async def test_metadata_elsewhere_is_not_followed_though_the_client_follows_redirects() -> None:
    paths: list[str] = []

    async def redirect(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nlocation: /secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    async with wire(redirect, paths) as (client, url):
        with pytest.raises(AuthorizationError, match="has no metadata"):
            await client.get(url)
    assert "/secret" not in paths


@scene
async def test_a_server_that_hangs_up_is_told_of_in_words() -> None:
    async def hang_up(path: str, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with wire(hang_up, []) as (client, url):
        with pytest.raises(AuthorizationError, match="cannot be reached"):
            await client.get(url)


@scene
async def test_a_server_in_trouble_is_not_taken_for_one_without_metadata() -> None:
    async def fail(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    paths: list[str] = []
    async with wire(fail, paths) as (client, url):
        with pytest.raises(AuthorizationError, match=r"status 503\. Try again later"):
            await client.get(url)
    assert paths == ["/mcp", "/.well-known/oauth-protected-resource/mcp"]


class Endless(httpx.AsyncByteStream):
    """A body that has no end, of what is not gzip."""

    def __init__(self) -> None:
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.given += 65536
            yield b"x" * 65536


@scene
async def test_the_body_of_a_refusal_is_thrown_away_and_not_read_to_its_end() -> None:
    body = Endless()
    refusal = httpx.Response(401, headers={"content-encoding": "gzip"}, stream=body)
    dismiss(refusal)
    assert await refusal.aread() == b""
    assert body.given <= 3 * 65536
