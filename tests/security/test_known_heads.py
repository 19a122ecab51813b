"""Whatever comes on a connection, one that knows heads again answers as one that parses them all."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
import uvicorn
from tests.security.test_http_fuzz import make_request, spoil
from tests.security.test_wire_fuzz import MAKERS
from tests.stage import scene_out_of_time
from tests.transports.guests import Hall
from uvicorn.server import ServerState

from mcp_kernel.direct import Direct

if TYPE_CHECKING:
    from mcp_kernel.transports.http import HttpApp

_META: Final = (
    b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
)


class Parsing(Direct):
    """A connection that learns nothing."""

    def _learn(self, data: bytes, begin: Any, pairs: Any, body: bytes) -> None:
        """Everything is parsed."""


class Knowing(Direct):
    """A connection that counts what it did not parse."""

    known = 0

    def _serve(self, begin: Any, body: bytes, known: Any = None) -> None:
        self.known += known is not None
        super()._serve(begin, body, known)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class End:
    """The server's end of a connection, which is fed by hand."""

    def __init__(self, app: HttpApp, kind: type[Direct]) -> None:
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, proxy_headers=False)
        config.load()
        self.wire = Wire()
        self.connection = kind(config, ServerState(), {})
        self.connection.connection_made(self.wire)

    async def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What is written by the time that nothing happens any more, and whether the connection ended."""
        self.connection.data_received(data)
        never = asyncio.get_running_loop().create_future()
        await asyncio.wait([never], timeout=0.001)  # of a clock that jumps when there is nothing to do
        return re.sub(rb"mcp-session-id: \w+", b"", self.wire.written), self.wire.is_closed

    def hang_up(self) -> None:
        self.wire.close()
        self.connection.connection_lost(None)


def make_call(chance: random.Random) -> bytes:
    """A call with one of a few heads, most of them honest."""
    text = b"x" * chance.choice([1, 2, 2, 3, 30])
    params = b'{"name":"echo","arguments":{"text":"%b"},"_meta":%b}' % (text, _META)
    body = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%b}' % (chance.randrange(1000), params)
    if chance.random() < 0.05:
        body = body[: chance.randrange(len(body))]
    length = len(body) + chance.choice([0] * 40 + [-1, 1, 30])
    pairs = [(b"Host", b"localhost"), (b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % length)]
    pairs += [(b"MCP-Protocol-Version", b"2026-07-28"), (b"Mcp-Method", b"tools/call"), (b"Mcp-Name", b"echo")]
    if chance.random() < 0.3:
        pairs.insert(chance.randrange(7), (b"X-Mood", chance.choice([b"a", b"b"])))
    if chance.random() < 0.05:
        spoil(chance, pairs)
    return b"\r\n".join([b"POST /mcp HTTP/1.1", *(b"%b: %b" % pair for pair in pairs), b"", body])


def make_chunks(chance: random.Random) -> list[bytes]:
    """What comes on a connection, read by read: calls mostly, whole, in parts or several at once, and other things."""
    chunks: list[bytes] = []
    for _ in range(chance.randrange(3, 25)):
        data = make_call(chance)
        match chance.randrange(20):
            case 0:
                data = make_request(chance, chance.choice(MAKERS), b"none")
            case 1:
                data = data + make_call(chance)
            case 2:
                data = data + chance.choice([b"\r\n", b"P", b"POST /x HTTP/1.1\r\nX: ", b"\r\n\r\n", b"x"])
            case 3:
                data = chance.choice([b"\r\n", b"x", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"]) + data
            case 4:
                cut = chance.randrange(1, len(data))
                chunks.append(data[:cut])
                data = data[cut:]
            case 5:
                data = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            case _:
                pass
        chunks.append(data)
    return chunks


async def compare(seed: int, rounds: int) -> int:
    """Feed the same to both; returns how many requests were known."""
    chance, known = random.Random(seed), 0
    app = Hall().server.asgi()
    for _ in range(rounds):
        ends = End(app, Knowing), End(app, Parsing)
        chunks = make_chunks(chance)
        for number, chunk in enumerate(chunks):
            told, parsed = [await end.feed(chunk) for end in ends]
            assert told == parsed, chunks[: number + 1]
            if parsed[1]:
                break
        known += cast("Knowing", ends[0].connection).known
        for end in ends:
            end.hang_up()
    await app.close(0.1)
    return known


@scene_out_of_time
async def test_what_is_known_again_is_answered_as_if_it_were_parsed() -> None:
    assert await compare(seed=1, rounds=100) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
@scene_out_of_time
async def test_what_is_known_again_is_answered_as_if_it_were_parsed_for_long(seed: int) -> None:
    assert await compare(seed, rounds=1000) > 1000
