"""How much work a message over stdio makes: system calls, turns of the loop, copies; never time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import platform
import sys
import tracemalloc
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.oracle import Witness
from tests.stage import scene
from tests.transports.host import CLIENT, TOOLS, Host, Json, line, notification, request

from mcp_kernel import Server
from mcp_kernel.protocol.framing import Lines
from mcp_kernel.protocol.jsonrpc import Prepared, encode_result
from mcp_kernel.transports.guard import Pair
from mcp_kernel.transports.stdio import Connection
from mcp_kernel.transports.writing import WIDE, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

MIB = 1 << 20
F_GETPIPE_SZ = 1032


def make_server() -> Server:
    server = Server("work", "1")

    @server.tool()
    async def echo(text: str) -> str:
        """Say it again."""
        return text

    @server.tool()
    async def blob(size: int) -> str:
        """Return so many letters."""
        return "x" * size

    return server


class Client:
    """The other end of two pipes, in the same process and on the same loop."""

    def __init__(self, server: Server) -> None:
        self.witness = Witness()
        incoming, self._out = os.pipe()
        self.inlet, self.outgoing = os.pipe()
        self.connection = Connection(server, Pair(incoming, self.outgoing))
        self._open = [incoming, self._out, self.inlet, self.outgoing]

    def send(self, *messages: Json) -> None:
        """Write messages with one system call."""
        for each in messages:
            self.witness.see("client", each)
        data = b"".join(map(line, messages))
        assert os.write(self._out, data) == len(data)

    async def read(self, count: int) -> list[Json]:
        """Wait for so many messages, reading whenever there is something."""
        found, loop = bytearray(), asyncio.get_running_loop()
        while found.count(b"\n") < count:
            readable = asyncio.Event()
            loop.add_reader(self.inlet, readable.set)
            await readable.wait()
            loop.remove_reader(self.inlet)
            found += os.read(self.inlet, 2 * MIB)
        return [cast("Json", self.witness.see("server", bytes(each))) for each in found.splitlines()]

    async def close(self) -> None:
        """Leave nothing open."""
        await self.connection.close(0)
        for descriptor in self._open:
            os.close(descriptor)


@asynccontextmanager
async def connect() -> AsyncGenerator[Client]:
    """A client after its handshake."""
    client = Client(make_server())
    hello = request(0, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=CLIENT)
    client.send(hello, notification("notifications/initialized"))
    await client.read(1)
    try:
        yield client
    finally:
        await client.close()


def count(patch: pytest.MonkeyPatch, place: Any, name: str) -> list[tuple[Any, ...]]:  # whatever its arguments are
    """Write down the calls of a function."""
    seen: list[tuple[Any, ...]] = []
    real: Callable[..., Any] = getattr(place, name)

    def counting(*args: Any, **options: Any) -> Any:
        seen.append(args)
        return real(*args, **options)

    patch.setattr(place, name, counting)
    return seen


def echoes(number: int, text: str = "hello") -> list[Json]:
    return [request(each, "tools/call", name="echo", arguments={"text": text}) for each in range(1, number + 1)]


@scene
async def test_messages_that_came_together_are_read_and_answered_with_one_system_call_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connect() as client:
        writes = count(monkeypatch, os, "writev")
        turns = count(monkeypatch, asyncio.get_running_loop(), "call_soon")
        client.send(*echoes(64))
        answers = await client.read(64)
        assert [each["id"] for each in answers] == list(range(1, 65))
        assert len(writes) == 1
        ours = [each for each in turns if "mcp_kernel" in str(getattr(each[0], "__module__", ""))]
        assert ours == []


@scene
async def test_a_call_passes_through_few_functions() -> None:
    """Python's own functions, one call on its whole way from the line to the writer."""
    async with connect() as client:
        client.send(*echoes(1))
        await client.read(1)
        entered: list[str] = []
        data = line(echoes(1)[0]).strip()
        client.witness.see("client", data)
        sys.setprofile(lambda frame, event, arg: entered.append(frame.f_code.co_name) if event == "call" else None)
        try:
            client.connection._peer.receive(data)  # pyright: ignore[reportPrivateUsage]  # what it does with a line
        finally:
            sys.setprofile(None)
        await client.read(1)
        assert len(entered) <= 40, entered


@scene
async def test_a_pipe_is_widened_for_a_large_answer_and_not_before() -> None:
    async with connect() as client:
        client.send(*echoes(64))
        await client.read(64)
        assert fcntl.fcntl(client.outgoing, F_GETPIPE_SZ) == 64 * 1024
        client.send(request("large", "tools/call", name="blob", arguments={"size": MIB}))
        (answer,) = await client.read(1)
        assert len(answer["result"]["content"][0]["text"]) == MIB
        assert fcntl.fcntl(client.outgoing, F_GETPIPE_SZ) == WIDE


@scene
async def test_a_large_message_is_written_from_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    inlet, outlet = os.pipe()
    writer = Writer(outlet, lambda: None, lambda: None)
    written = count(monkeypatch, os, "writev")
    large = b"x" * (48 * 1024)
    tracemalloc.start()
    for data in (b"one", b"two", large, b"three"):
        writer.put(data)
    writer.flush()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert os.read(inlet, MIB) == b"one\ntwo\n%b\nthree\n" % large
    assert len(written) == 1
    assert most < 16 * 1024
    writer.close()
    os.close(inlet)
    os.close(outlet)


def most_allocated(work: Callable[[], object]) -> int:
    """The most bytes of Python's own that a piece of work held at once, beside what was there."""
    tracemalloc.start()
    kept = work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept is not None
    return most


def test_a_large_answer_is_copied_once_into_its_envelope() -> None:
    text = "x" * MIB
    result: dict[str, object] = {"content": [{"type": "text", "text": text}]}
    assert most_allocated(lambda: encode_result(1, result)) < 1.1 * MIB
    prepared = Prepared(b'{"content":', text.encode(), b"}")
    assert most_allocated(lambda: encode_result(1, prepared)) < 1.1 * MIB


def test_a_line_that_comes_in_pieces_is_joined_once() -> None:
    lines = Lines()
    for _ in range(16):
        assert lines.feed(b"x" * 65536) == []
    assert most_allocated(lambda: lines.feed(b"y\n")) < 1.1 * MIB


def test_small_pieces_of_a_line_take_no_more_than_they_hold() -> None:
    lines = Lines()

    def feed() -> Lines:
        for number in range(100_000):
            lines.feed(b"%d" % number)
        return lines

    assert most_allocated(feed) < MIB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back in other ways")
def test_the_memory_of_a_large_message_stays_for_the_next() -> None:
    """What is given back to the system costs a fault for each of its pages: 256 for each copy of a mebibyte."""
    with Host(TOOLS) as host:
        host.open()

        def faults() -> int:
            return int(Path(f"/proc/{host.process.pid}/stat").read_text().rpartition(")")[2].split()[7])

        for _ in range(3):
            host.call("echo", text="x" * MIB)
        before = faults()
        for _ in range(10):
            host.call("echo", text="x" * MIB)
        assert faults() - before < 10 * 64
