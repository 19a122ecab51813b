"""A server on a channel of somebody's own: its end, its faults, and a client that does not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.stage import Json, Judge, modern, scene

from mcp_kernel import Server


class Channel:
    """Both ends in one place, judged; `gate` holds back what the server sends."""

    def __init__(self) -> None:
        self.judge = Judge()
        self.taken = 0
        self.sent: list[Json] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._coming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._number = 0

    def ask(self, method: str, **params: object) -> None:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": modern(**params)}
        data = json.dumps(message).encode()
        self.judge.observe("client", data, malformed=False)
        self._coming.put_nowait(data)

    def call(self, tool: str, **arguments: object) -> None:
        self.ask("tools/call", name=tool, arguments=arguments)

    def end(self) -> None:
        self._coming.put_nowait(None)

    async def messages(self) -> AsyncIterator[bytes]:
        while (data := await self._coming.get()) is not None:
            self.taken += 1
            yield data

    async def send(self, data: bytes) -> None:
        await self.gate.wait()
        self.judge.observe("server", data, malformed=False)
        self.sent.append(json.loads(data))


def make_server() -> tuple[Server, asyncio.Event, list[str]]:
    """A server with large answers and with a call that is held; what is set when it is entered, and how it ended."""
    server, entered, ends = Server("channel", "1"), asyncio.Event(), list[str]()

    @server.tool(read_only=True)
    async def blob(size: int) -> str:
        """Give so many letters."""
        return "x" * size

    @server.tool(read_only=True)
    async def hold(seconds: float) -> str:
        """Wait."""
        entered.set()
        try:
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        ends.append("done")
        return "held"

    return server, entered, ends


@scene
async def test_what_is_ready_is_sent_before_the_channel_ends() -> None:
    server, _, _ = make_server()
    channel = Channel()
    for size in range(20):
        channel.call("blob", size=size)
    channel.end()
    await server.converse(channel.messages(), channel.send)
    assert [len(message["result"]["content"][0]["text"]) for message in channel.sent] == list(range(20))
    channel.judge.rule()


@pytest.mark.parametrize(("seconds", "end"), [(0.05, "done"), (60, "cancelled")])
@scene
async def test_a_call_in_flight_has_a_moment_when_the_client_has_ended(seconds: float, end: str) -> None:
    server, _, ends = make_server()
    channel = Channel()
    channel.call("hold", seconds=seconds)
    channel.end()
    await server.converse(channel.messages(), channel.send)
    assert ends == [end]
    assert len(channel.sent) == (end == "done")


@scene
async def test_a_client_that_does_not_read_is_not_read_either() -> None:
    server, _, _ = make_server()
    channel = Channel()
    channel.gate.clear()
    serving = asyncio.ensure_future(server.converse(channel.messages(), channel.send))
    for _ in range(50):
        channel.call("blob", size=500_000)
    for _ in range(200):
        await asyncio.sleep(0)
    assert 2 <= channel.taken <= 4, "more than a megabyte waits to be sent"
    channel.gate.set()
    channel.end()
    await serving
    assert (channel.taken, len(channel.sent)) == (50, 50)
    channel.judge.rule()


@scene
async def test_what_the_transport_raises_is_raised_and_leaves_no_call_behind() -> None:
    server, entered, ends = make_server()
    channel = Channel()

    async def break_off(data: bytes) -> None:
        raise OSError("gone")

    serving = asyncio.ensure_future(server.converse(channel.messages(), break_off))
    channel.call("hold", seconds=60)
    await entered.wait()
    channel.call("blob", size=1)
    with pytest.raises(OSError, match="gone"):
        await serving
    assert ends == ["cancelled"]


@scene
async def test_who_stops_serving_stops_the_calls() -> None:
    server, entered, ends = make_server()
    channel = Channel()
    serving = asyncio.ensure_future(server.converse(channel.messages(), channel.send))
    channel.call("hold", seconds=60)
    await entered.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert ends == ["cancelled"]
