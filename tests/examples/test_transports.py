"""The transports of one's own: whole dialogues, every kind of call in both eras, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.dialogues.shop import make_shop
from tests.stage import Judge, in_every_revision, scene
from websockets import Origin, Subprotocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import grpc_transport
import websocket_transport
from mcp_kernel import Client, Context, Server
from mcp_kernel.client import Channel, ConnectionLost, Dial, NotConnected
from mcp_kernel.testing.dialogue import parse, replay
from mcp_server_everything.server import build

FOLDER = Path(__file__).parents[1] / "dialogues"
DIALOGUES = sorted(path.stem for path in FOLDER.glob("*.txt"))

Serving: TypeAlias = Callable[[Server], AbstractAsyncContextManager[Dial]]


@asynccontextmanager
async def over_websocket(server: Server) -> AsyncGenerator[Dial]:
    async with websocket_transport.listening(server) as listener:
        yield websocket_transport.dial(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}")


@asynccontextmanager
async def over_grpc(server: Server) -> AsyncGenerator[Dial]:
    async with grpc_transport.listening(server, drain=0.2) as port:
        yield grpc_transport.dial(f"127.0.0.1:{port}")


on_every_transport = pytest.mark.parametrize("serving", [over_websocket, over_grpc])


class Line:
    """One channel to a server, for a dialogue; every message is judged."""

    def __init__(self, messages: AsyncGenerator[bytes], send: Callable[[bytes], Awaitable[object]]) -> None:
        self.judge = Judge()
        self._messages = aiter(messages)
        self._send = send
        self._sending: asyncio.Future[object] | None = None
        self._ready: list[bytes] = []

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        self.judge.observe("client", data, malformed)
        self._ready.append(data)

    async def receive(self) -> bytes:
        for data in self._ready:
            await self._send(data)
        self._ready.clear()
        data = await asyncio.wait_for(anext(self._messages), 5)
        self.judge.observe("server", data, False)
        return data


@on_every_transport
@pytest.mark.parametrize("name", DIALOGUES)
@scene
async def test_a_dialogue_goes_so_on_every_transport(serving: Serving, name: str) -> None:
    async with serving(make_shop()) as dial, dial() as (messages, send):
        line = Line(messages, send)  # pyright: ignore[reportArgumentType]  # both transports give iterators
        await replay(parse((FOLDER / f"{name}.txt").read_text("utf-8")), line)
        line.judge.rule()


@on_every_transport
@in_every_revision
@scene
async def test_everything_is_used_in_every_revision(serving: Serving, revision: str) -> None:
    steps: list[float] = []
    updated = asyncio.Event()

    def count(done: float, total: float | None, message: str | None) -> None:
        steps.append(done)

    async with (
        serving(build()) as dial,
        Client(
            dial,
            revision=revision,
            elicit=lambda form: {"username": "ada", "email": "ada@example.com"},
            on_updated=lambda uri: updated.set(),
        ) as client,
    ):
        assert client.server.revision == revision
        assert "test_simple_text" in [tool.name for tool in await client.list_tools()]
        await client.call_tool("test_tool_with_progress", on_progress=count)
        assert steps == [0, 50, 100]
        assert [part.uri for part in await client.read_resource("test://static-text")] == ["test://static-text"]
        assert (await client.get_prompt("test_simple_prompt")).messages
        if revision >= "2025-06-18":
            assert not (await client.call_tool("test_elicitation", {"message": "Who?"})).is_error


def hall() -> tuple[Server, asyncio.Event, asyncio.Event]:
    """A server with a call that is held, and large answers; the events say that it began, and that it was cancelled."""
    server = Server("hall", "1.0.0")
    entered, cancelled = asyncio.Event(), asyncio.Event()

    @server.tool(read_only=True)
    async def hold(ctx: Context) -> str:
        """Wait for ever."""
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    @server.tool(read_only=True)
    async def blob(size: int) -> str:
        """Give so many letters."""
        return "x" * size

    return server, entered, cancelled


@on_every_transport
@scene
async def test_a_client_that_goes_takes_its_calls_along(serving: Serving) -> None:
    server, entered, cancelled = hall()
    async with serving(server) as dial:
        client = Client(dial)
        calling = asyncio.ensure_future(client.call_tool("hold"))
        await entered.wait()
        await client.close()
        await cancelled.wait()
        with pytest.raises(ConnectionLost):
            await calling


@on_every_transport
@scene
async def test_a_server_that_goes_ends_the_calls_and_is_found_again(serving: Serving) -> None:
    server, entered, _ = hall()
    opened: list[AbstractAsyncContextManager[Dial]] = [serving(server)]
    dials = [await opened[0].__aenter__()]

    def dial_the_last() -> AbstractAsyncContextManager[Channel]:
        return dials[-1]()

    async with Client(dial_the_last) as client:
        calling = asyncio.ensure_future(client.call_tool("hold"))
        await entered.wait()
        await opened[0].__aexit__(None, None, None)
        with pytest.raises(ConnectionLost):
            await calling
        async with serving(hall()[0]) as again:
            dials.append(again)
            assert (await client.call_tool("blob", {"size": 3})).text == "xxx"


@on_every_transport
@scene
async def test_a_hundred_large_answers_arrive_whole(serving: Serving) -> None:
    async with serving(hall()[0]) as dial, Client(dial) as client:
        answers = await asyncio.gather(*(client.call_tool("blob", {"size": 300_000 + n}) for n in range(100)))
        assert [len(answer.text) for answer in answers] == [300_000 + n for n in range(100)]


@on_every_transport
@scene
async def test_where_nobody_listens_the_reason_is_told(serving: Serving) -> None:
    async with serving(hall()[0]) as dial:
        pass
    with pytest.raises(NotConnected, match="cannot be made"):
        await Client(dial).connect()


@scene
async def test_a_page_of_another_site_cannot_open_a_websocket() -> None:
    async with websocket_transport.listening(hall()[0], origins=["http://localhost:3000"]) as listener:
        url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with pytest.raises(InvalidStatus, match="403"):
            await connect(url, origin=Origin("https://evil.example"))
        async with connect(url, origin=Origin("http://localhost:3000"), subprotocols=[Subprotocol("mcp")]):
            pass


@scene
async def test_a_message_that_is_too_long_ends_the_connection_and_no_other() -> None:
    async with over_websocket(hall()[0]) as dial, Client(dial) as client:
        async with dial() as (messages, send):
            await send(b"x" * 5_000_000)
            with pytest.raises(ConnectionClosed, match="frame exceeds limit"):
                await anext(aiter(messages))
        assert (await client.call_tool("blob", {"size": 1})).text == "x"
