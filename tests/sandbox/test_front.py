"""The front between a client and a server that listens on a Unix socket: what passes, and what is heard through it."""

from __future__ import annotations

import socket
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.stage import scene, scene_out_of_time
from tests.transports.guests import Hall, HttpJudge, Member, Modern, hear, hear_all

from mcp_kernel.testing.asgi import Site
from mcp_sandbox.front import Door, Front, Turns
from mcp_sandbox.serving import serve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp_kernel.testing.asgi import App


@asynccontextmanager
async def through(app: Any) -> AsyncGenerator[Site]:
    """Visit an application that listens on a socket, through the front; it is called mcp, as the guests' path is."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder, socket.socket(socket.AF_UNIX) as listener:
        place = Path(folder) / "s"
        listener.bind(str(place))
        listener.listen()
        door, judge = Door(place), HttpJudge()
        front = cast("App", Front({"mcp": Turns(door)}, {"lost": "it was never there"}))
        async with serve(app, listener), Site(front, observe=judge.observe) as site:
            yield site
        await door.close()
        judge.rule()


@asynccontextmanager
async def visiting(hall: Hall) -> AsyncGenerator[Site]:
    app = hall.server.asgi()
    async with through(app) as site:
        yield site
        await app.close(0)


@scene
async def test_a_modern_client_that_hangs_up_is_heard_behind() -> None:
    hall = Hall()
    async with visiting(hall) as site:
        guest = Modern(site)
        plain, streaming = guest.ask_tool("hold", name="a"), guest.ask_tool("hold", token=1, name="b", reports=1)
        await hear(streaming)
        await hall.until(hall.entered, "a")
        plain.hang_up()
        streaming.hang_up()
        await hall.until(hall.cancelled, "a")
        await hall.until(hall.cancelled, "b")


@scene
async def test_a_session_asks_and_ends_through_the_front() -> None:
    async with visiting(Hall()) as site:
        member = Member(site)
        await member.open(elicitation={})
        call = member.ask_tool("confirm", name="x")
        question = await hear(call)
        await member.reply(question, {"action": "accept", "content": {"sure": True}}).whole()
        assert "True" in str(await hear_all(call))
        assert await member.delete().started() == 204


@scene
async def test_a_stream_comes_part_by_part() -> None:
    hall = Hall()
    async with visiting(hall) as site:
        call = Modern(site).ask_tool("hold", token=1, name="c", reports=2)
        assert [(await hear(call))["params"]["progress"] for _ in range(2)] == [1, 2]
        assert "c" not in hall.ended
        hall.free("c")
        assert "c" in str(await hear_all(call))


@scene
async def test_headers_of_a_connection_end_there() -> None:
    seen: list[Any] = []

    async def listing(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        headers = [(b"x-kept", b"1"), (b"x-own", b"2"), (b"connection", b"x-own"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async with through(listing) as site:
        given = {"host": "localhost:1", "connection": "X-Gone, Host", "x-gone": "1", "upgrade": "h2c", "x-kept": "1"}
        visit = site.get("/mcp/x", headers=given)
        assert await visit.whole() == b"ok"
        assert (visit.headers["x-kept"], "x-own" in visit.headers) == ("1", False)
    names = {name for name, _ in seen}
    assert (b"host", b"localhost:1") in seen
    assert b"x-kept" in names
    assert not names & {b"x-gone", b"upgrade", b"user-agent", b"cookie"}


@scene_out_of_time
async def test_a_body_that_does_not_end_is_not_waited_for() -> None:
    front = cast("App", Front({"mcp": Turns(Door(Path("/nowhere/s")))}, {}))
    async with Site(front, patience=60) as site:
        visit = site.open("POST")
        visit.feed(b"{", more=True)
        assert await visit.started() == 408


@scene
async def test_an_answer_that_breaks_off_is_broken_off() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with through(broken) as site:
        visit = site.get("/mcp/x")
        assert await visit.started() == 200
        with pytest.raises((AssertionError, TimeoutError, EOFError, RuntimeError)):
            await visit.whole()


@scene
async def test_a_server_that_is_gone_is_a_bad_gateway() -> None:
    site = Site(cast("App", Front({"mcp": Turns(Door(Path("/nowhere/s")))}, {"lost": "it was never there"})))
    async with site:
        assert await site.get("/mcp").started() == 502
        lost = site.get("/lost/mcp")
        assert await lost.started() == 503
        assert b"it was never there" in await lost.whole()
