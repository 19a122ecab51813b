"""A head that comes again on its connection is not parsed again, and changes nothing of how a request is served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import pytest
from tests.stage import scene
from tests.transports.direct import Line, serving
from tests.transports.guests import Hall

from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from mcp_kernel import Server
    from mcp_kernel.transports.incoming import Receive, Scope, Send

in_both_eras = pytest.mark.parametrize("is_modern", [False, True])
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def ask_health(line: Line) -> str:
    """Ask on a connection how the server is."""
    line.writer.write(_HEALTH)
    head = await line.reader.readuntil(b"\r\n\r\n")
    await line.reader.readexactly(2)
    return head.decode().partition("\r\n")[0]


def behind(call: bytes, body: bytes) -> bytes:
    """Another body behind the head of a call."""
    head = call.partition(b"\r\n\r\n")[0]
    return re.sub(rb"Content-Length: [0-9]+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


@in_both_eras
@scene
async def test_the_headers_of_calls_with_one_head_are_parsed_once(is_modern: bool) -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        house.parsed.clear()
        for number in range(5):
            line.writer.write(line.call(number, "echo", text="words" * number**3))
            assert await line.text() == "words" * number**3
        assert len(house.parsed) == len(set(house.parsed))


@scene
async def test_four_heads_are_known_at_once() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        for turn, parsed in enumerate((28, 0, 0)):
            house.parsed.clear()
            for mood in "abcd":
                line.writer.write(line.call(f"{turn} {mood}", "echo", {"X-Mood": mood}, text=mood))
                assert await line.text() == mood
            assert len(house.parsed) == parsed


@scene
async def test_on_a_connection_whose_heads_are_always_others_none_is_learned_any_more() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        for number in range(16):
            line.writer.write(line.call(number, "echo", {"traceparent": f"00-{number:032x}-{1:016x}-01"}, text="words"))
            assert await line.text() == "words"
        house.parsed.clear()
        for number in (20, 21):
            line.writer.write(line.call(number, "echo", text="words"))
            assert await line.text() == "words"
        assert len(house.parsed) == 12


@in_both_eras
@scene
async def test_what_is_served_behind_a_known_head_is_served_as_behind_any(is_modern: bool) -> None:
    """None of these is answered from within the read: uvicorn takes the head as the parser would have read it."""
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        for number in range(3):
            line.writer.write(line.call(number, "echo", text="words"))
            assert await line.text() == "words"
        call = line.call("spare", "echo", text="words")
        for body in (b"{", b"[]", b'{"jsonrpc":"2.0","method":"notifications/cancelled"}'):
            house.parsed.clear()
            line.writer.write(behind(call, body))
            answer = await line.read()
            assert house.parsed == []
            other = await house.dial(is_modern=True)
            other.writer.write(behind(call, body))
            assert await other.read() == answer
            assert house.parsed != []


@in_both_eras
@scene
async def test_a_call_behind_a_known_head_that_waits_keeps_its_connection_and_its_turn(is_modern: bool) -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        headers = {"Mcp-Name": "hold"} if is_modern else {}
        for door in ("front", "back"):
            hall.free(door)
            line.writer.write(line.call(door, "hold", headers, name=door))
            assert await line.text() == door
        house.parsed.clear()
        line.writer.write(line.call("held", "hold", headers, name="side"))
        await hall.until(hall.entered, "side")
        assert house.parsed == []
        assert house.connections[-1].timeout_keep_alive_task is None  # nothing ends it meanwhile
        house.heard.clear()
        line.writer.write(line.call("behind", "hold", headers, name="front"))
        await house.heard.wait()
        hall.free("side")
        assert [await line.text(), await line.text()] == ["side", "front"]


@scene
async def test_another_request_in_between_makes_the_known_heads_forgotten() -> None:
    """What the parser says, of the method for one, is true of the last that it has read."""
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        for number in range(3):
            line.writer.write(line.call(number, "echo", text="words"))
            assert await line.text() == "words"
        assert " 200 " in await ask_health(line)
        house.parsed.clear()
        line.writer.write(behind(line.call("spare", "echo", text="words"), b"{"))
        status, _, _ = await line.read()
        assert " 400 " in status
        assert house.parsed


@in_both_eras
@scene
async def test_a_known_request_that_comes_behind_half_a_head_is_a_part_of_that(is_modern: bool) -> None:
    """Else two that read the same bytes could be made to see other requests (RFC 9112, 11.2)."""
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        for number in range(2):
            line.writer.write(line.call(number, "echo", text="words"))
            assert await line.text() == "words"
        line.writer.write(line.call("whole", "echo", text="words") + b"POST /nowhere HTTP/1.1\r\nX-Rest: ")
        assert await line.text() == "words"
        line.writer.write(line.call("hidden", "echo", text="words"))
        status, _, _ = await line.read()
        assert " 404 " in status


@scene
async def test_what_stands_before_a_request_in_its_read_is_no_part_of_its_head() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        line.writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nbody"
        )
        assert " 415 " in (await line.read())[0]
        data = b"rest " + line.call(1, "echo", text="words")
        line.writer.write(data)
        assert await line.text() == "words"
        line.writer.write(data)
        assert " 400 " in (await line.reader.readline()).decode()


class _Heard(HttpApp):
    """Keeps the headers of what the application itself is handed."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await super().__call__(scope, receive, send)


@scene
async def test_the_application_is_handed_the_headers_of_the_very_request() -> None:
    app = _Heard(Hall().server)
    async with serving(app) as house:
        line = await house.dial(is_modern=True)
        for mood in ("first", "second"):
            line.writer.write(line.call(mood, "echo", {"X-Mood": mood}, text="words"))
            assert await line.text() == "words"
        house.parsed.clear()
        line.writer.write(behind(line.call("spare", "echo", {"X-Mood": "first"}, text="words"), b"{"))
        assert " 400 " in (await line.read())[0]
        assert house.parsed == []
        headers = dict(cast("list[tuple[bytes, bytes]]", app.scopes[-1]["headers"]))
        assert (headers[b"x-mood"], headers[b"content-length"]) == (b"first", b"1")
