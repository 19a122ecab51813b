"""Every way to one server, in every revision it has there; each message of the client and of the server is judged."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

import pytest
from tests.client.options import Options
from tests.interop.tap import Tap
from tests.oracle import Sender, Witness
from tests.stage import LEGACY, MODERN, Judge
from tests.transports.guests import HttpJudge

from mcp_kernel.client.client import Client
from mcp_kernel.client.target import Reach
from mcp_kernel.protocol.jsonrpc import encode
from mcp_kernel.testing.eras import REVISIONS

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

    from mcp_kernel import Server
    from mcp_kernel.client.memory import Guest, Host, Outlet
    from mcp_kernel.protocol.jsonrpc import Message

RELAY = Path(__file__).parent.parent / "interop" / "relay.py"
EVERYTHING = str(Path(sys.executable).with_name("mcp-server-everything"))

QUICK = {"stdio": ("2025-11-25", MODERN), "http": ("2025-11-25", MODERN), "sse": ("2024-11-05",)}
"""What is not left to the slow tests of the ways that cost a process, or sockets."""


def _case(way: str, revision: str) -> ParameterSet:
    slow = revision not in QUICK.get(way, REVISIONS)
    return pytest.param(way, revision, marks=[pytest.mark.slow] if slow else [], id=f"{way}-{revision}")


CASES = [_case(way, revision) for way in ("memory", "codec", "stdio", "http") for revision in REVISIONS]
in_every_way = pytest.mark.parametrize(("way", "revision"), [*CASES, *(_case("sse", revision) for revision in LEGACY)])


class Open(Protocol):
    """Opens a client of the everything server; options are the client's own."""

    def __call__(self, way: str, revision: str, **options: Unpack[Options]) -> AbstractAsyncContextManager[Client]: ...


class Glass:
    """A server in memory, with a judge who sees what passes."""

    def __init__(self, server: Host, judge: Judge) -> None:
        self._server = server
        self._judge = judge

    def admit(self, outlet: Outlet) -> Guest:
        return _Inward(self._server.admit(_Outward(outlet, self._judge)), self._judge)


class _Inward:
    def __init__(self, guest: Guest, judge: Judge) -> None:
        self._guest = guest
        self._judge = judge

    def receive(self, data: bytes) -> None:
        self._judge.observe("client", data, malformed=False)
        self._guest.receive(data)

    def take(self, message: Message) -> None:
        self._judge.observe("client", encode(message), malformed=False)
        self._guest.take(message)

    async def close(self, grace: float = 0.0) -> None:
        await self._guest.close(grace)


class _Outward:
    shared = True
    congested = False

    def __init__(self, outlet: Outlet, judge: Judge) -> None:
        self._outlet = outlet
        self._judge = judge

    def send(self, data: bytes, exchange: object) -> None:
        self._judge.observe("server", data, malformed=False)
        self._outlet.send(data, exchange)

    def release(self, exchange: object, retry: int) -> None:
        """There is one stream, and it stays."""

    async def drain(self) -> None:
        """Nothing is ever pending."""


@asynccontextmanager
async def in_memory(
    server: Server, revision: str, *, codec: bool, **options: Unpack[Options]
) -> AsyncGenerator[Client]:
    judge = Judge()
    async with Client(Glass(server, judge), revision=revision, reach=Reach(codec=codec), **options) as client:
        yield client
    await server.close()
    judge.rule()


@asynccontextmanager
async def over_stdio(folder: Path, revision: str, **options: Unpack[Options]) -> AsyncGenerator[Client]:
    transcript = folder / "transcript"
    command = [sys.executable, str(RELAY), str(transcript), EVERYTHING]
    async with Client(command, revision=revision, **options) as client:
        yield client
    _judge(json.loads(line) for line in transcript.read_text("utf-8").splitlines())


@asynccontextmanager
async def over_http(port: int, path: str, revision: str, **options: Unpack[Options]) -> AsyncGenerator[Client]:
    with Tap(port) as tap:
        async with Client(f"http://127.0.0.1:{tap.port}{path}", revision=revision, **options) as client:
            yield client
        handshakes = [at for at, (_, data) in enumerate(tap.messages) if b'"method":"initialize"' in data]
        judge = HttpJudge()
        for sender, data in tap.messages[max(handshakes, default=0) :]:  # one before it was met with a status
            judge.observe(sender, data, False)
        assert judge.witness.seen, "nothing was seen"
        judge.rule()


def _judge(messages: Iterable[tuple[Sender, str | bytes]]) -> None:
    witness = Witness()
    for sender, data in messages:
        witness.see(sender, data)
    assert witness.seen, "nothing was seen"


Port = Callable[[str], int]
