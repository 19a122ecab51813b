"""Streams that break and sessions that end: what is taken up, what is asked again, what is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.client.origin import (
    NOTHING,
    SERVER,
    SESSION,
    TEXT,
    Asked,
    Origin,
    Play,
    Reply,
    answer_to,
    modern,
    saying,
    session,
)
from tests.stage import scene

from mcp_kernel.client import (
    Client,
    ConnectionLost,
    NotConnected,
    Resilience,
    SessionOver,
)

Json = dict[str, Any]
QUICK = Resilience(base=0.001, cap=0.001)


# --- streams that break ---


@scene
async def test_only_what_does_no_harm_twice_is_asked_again_when_its_stream_breaks() -> None:
    async def break_once(asked: Asked, reply: Reply) -> None:
        if len(origin.find(asked.method)) == 1:
            await reply.stream()
            await reply.part(b'data: {"jsonrpc"')
            reply.hang_up()
        else:
            await reply.result(NOTHING if asked.method == "tools/list" else TEXT)

    async with Origin(modern(tools_call=break_once, tools_list=break_once)) as origin:
        async with Client(origin.url, resilience=QUICK) as client:
            assert await client.list_tools() == []
            with pytest.raises(ConnectionLost, match="broke"):
                await client.call_tool("x")
        ids = [asked.body["id"] for asked in origin.asked]
        assert len(origin.find("tools/list")) == 2
        assert len(origin.find("tools/call")) == 1
        assert len(set(ids)) == len(ids), "a request that is sent again has an id of its own"
        assert all("last-event-id" not in asked.headers for asked in origin.asked)


@pytest.mark.parametrize(
    ("annotations", "times"), [({"readOnlyHint": True}, 3), ({"idempotentHint": True}, 3), ({}, 1)]
)
@scene
async def test_a_tool_is_called_again_by_its_hints(annotations: Json, times: int) -> None:
    listed = {**NOTHING, "tools": [{"name": "x", "inputSchema": {"type": "object"}, "annotations": annotations}]}

    async def hang_up(asked: Asked, reply: Reply) -> None:
        reply.hang_up()

    thrice = Resilience(attempts=3, base=0.001, failures=0)
    async with (
        Origin(modern(tools_call=hang_up, tools_list=listed)) as origin,
        Client(origin.url, resilience=thrice) as client,
    ):
        await client.list_tools()
        with pytest.raises(ConnectionLost):
            await client.call_tool("x")
        assert len(origin.find("tools/call")) == times
        with pytest.raises(ConnectionLost):
            await client.call_tool("x", idempotency_key="k")
        assert len(origin.find("tools/call")) == times + 3
        assert origin.asked[-1].body["params"]["arguments"] == {"idempotency_key": "k"}


@scene
async def test_a_session_takes_its_stream_up_where_it_ended_after_the_time_it_was_told() -> None:
    waited: list[float] = []
    clock = asyncio.get_running_loop().time

    async def release(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        await reply.part(b"retry: 80\nid: first-\xc3\xa9\ndata:\n\n")
        waited.append(clock())
        await reply.end()

    async def resume(asked: Asked, reply: Reply) -> None:
        if "last-event-id" not in asked.headers:
            await reply.whole(405)
            return
        waited.append(clock())
        await reply.stream()
        if len(waited) == 2:  # and once more
            await reply.event("", "second")
        else:
            answer = answer_to(origin.find("tools/call")[0].body, TEXT)
            await reply.event(answer, "third")
        await reply.end()

    async with Origin(session(tools_call=release, GET=resume)) as origin, Client(origin.url) as client:
        assert (await client.call_tool("x")).text == "done"
        resumed = [asked.headers["last-event-id"] for asked in origin.find("GET")[1:]]
        assert resumed == ["first-\xc3\xa9", "second"]  # UTF-8, as the headers were read here
        assert waited[1] - waited[0] > 0.07
        assert len(origin.find("tools/call")) == 1


@pytest.mark.parametrize("status", [404, 405, 400])
@scene
async def test_a_call_whose_stream_cannot_be_resumed_is_lost_and_not_repeated(status: int) -> None:
    async def release(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        await reply.part(b"retry: 1\nid: 1\ndata:\n\n")
        await reply.end()

    async with Origin(session(tools_call=release, GET=saying(status))) as origin, Client(origin.url) as client:
        with pytest.raises(ConnectionLost, match="before it answered tools/call") as caught:
            await client.call_tool("x")
        assert not isinstance(caught.value, NotConnected), "something was sent"
        assert len(origin.find("tools/call")) == 1


# --- sessions that end ---


def lasting(*names: str, **answers: Play | Json) -> Play:
    """A server whose sessions have these names in turn, and which knows only the newest."""
    left = list(names)
    known: list[str] = []

    async def play(asked: Asked, reply: Reply) -> None:
        if asked.method == "initialize":
            known.append(left.pop(0))
            opening: Json = {"protocolVersion": SESSION, "capabilities": {}, "serverInfo": SERVER}
            await reply.result(opening, mcp_session_id=known[-1])
        elif asked.headers.get("mcp-session-id", known[-1] if known else "") != (known[-1] if known else ""):
            await reply.whole(404)
        elif asked.method == "expire":
            known.append("nobody's")
        else:
            await session(**answers)(asked, reply)

    return play


@scene
async def test_a_session_that_is_over_is_opened_anew_for_all_who_call_at_once() -> None:
    async with Origin(lasting("a", "b", tools_call=TEXT)) as origin, Client(origin.url) as client:
        await client.call_tool("x")
        origin.play = lasting("c", "d", tools_call=TEXT)  # the server was started again
        async with Client(origin.url):  # … and knows other sessions than ours
            pass
        answers = await asyncio.gather(*(client.call_tool("x") for _ in range(5)))
        assert [answer.text for answer in answers] == ["done"] * 5
        served = [asked.headers.get("mcp-session-id") for asked in origin.find("tools/call")]
        assert served == ["a", *["a"] * 5, *["d"] * 5]


@scene
async def test_a_session_that_is_over_as_soon_as_it_begins_is_given_up() -> None:
    async with Origin(session(tools_call=saying(404))) as origin, Client(origin.url) as client:
        with pytest.raises(SessionOver):
            await client.call_tool("x")
        assert len(origin.find("initialize")) == 2


@scene
async def test_a_call_in_flight_is_neither_lost_nor_repeated_when_its_session_ends() -> None:
    called, over = asyncio.Event(), asyncio.Event()

    async def answer_late(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        called.set()
        await over.wait()
        await reply.event_result(TEXT)
        await reply.end()

    async def end_session(asked: Asked, reply: Reply) -> None:
        if len(origin.find("GET")) > 1:
            await reply.whole(404, connection="close")
            await asked.gone.wait()  # by now the client has read that the session is over
            over.set()
            return
        await reply.stream()
        await reply.part(b"retry: 1\nid: 1\n\n")
        await called.wait()
        await reply.end()

    async with Origin(session(tools_call=answer_late, GET=end_session)) as origin, Client(origin.url) as client:
        assert (await client.call_tool("x")).text == "done"
        assert len(origin.find("tools/call")) == 1
