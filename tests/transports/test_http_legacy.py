"""Streamable HTTP with sessions (2025-03-26 to 2025-11-25): what belongs to a session stays in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.stage import scene, scene_out_of_time
from tests.transports.guests import Hall, Json, Member, hear, hear_all, visiting

from mcp_kernel import Server
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from mcp_kernel.testing.asgi import Visit
    from mcp_kernel.transports.http import HttpApp

STREAM = "text/event-stream"
in_every_session = pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])


def sessions(app: HttpApp) -> int:
    return len(app._sessions)  # pyright: ignore[reportPrivateUsage]  # what would leak


async def status_of(visit: Visit) -> int:
    await visit.whole()
    return await visit.started()


# --- sessions ---


@in_every_session
@scene
async def test_a_session_opens_with_initialize_and_serves_calls_as_json(revision: str) -> None:
    async with visiting(Hall().server) as site:
        member = Member(site, revision)
        visit = await member.open()
        assert visit.headers["content-type"] == "application/json"
        answered = member.ask_tool("echo", text="hi")
        assert "hi" in str(await answered.json())
        assert answered.status == 200
        assert "mcp-session-id" not in answered.headers, "only the answer to initialize carries the id"


@scene
async def test_session_ids_are_long_random_and_visible_ascii() -> None:
    async with visiting(Hall().server) as site:
        members = [Member(site) for _ in range(50)]
        for member in members:
            await member.open()
        ids = {member.session for member in members}
        assert len(ids) == 50
        assert all(len(each) >= 32 and set(each) <= set("0123456789abcdef") for each in ids)
        assert all(len(set(column)) > 8 for column in zip(*ids, strict=True)), "a part of the ids is not random"


@scene
async def test_a_client_cannot_choose_its_session_id() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as site:
        victim, thief = Member(site), Member(site)
        await victim.open()
        thief.session = victim.session
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        visit = site.post(thief.message("initialize", params), {"mcp-session-id": victim.session})
        await visit.json()
        assert visit.headers["mcp-session-id"] != victim.session
        fixed = site.post(thief.message("initialize", params), {"mcp-session-id": "0" * 32})
        await fixed.json()
        assert fixed.headers["mcp-session-id"] != "0" * 32
        assert sessions(app) == 3


@scene
async def test_a_refused_handshake_opens_no_session() -> None:
    app = Hall().server.asgi()
    async with visiting(app) as site:
        visit = site.post(Member(site).message("initialize", {}), malformed=True)
        assert "error" in await visit.json()
        assert "mcp-session-id" not in visit.headers
        assert sessions(app) == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"mcp-session-id": "0" * 32}, 404),
        ({"mcp-session-id": ["a", "b"]}, 404),
        ({"mcp-session-id": "x", "mcp-protocol-version": "1999-01-01"}, 400),
    ],
)
@scene
async def test_what_names_no_living_session_is_refused(headers: dict[str, str | list[str]], status: int) -> None:
    async with visiting(Hall().server) as site:
        request = Member(site).message("tools/list", {})
        for message in (request, {"jsonrpc": "2.0", "method": "notifications/initialized"}):
            if "method" in message and "id" not in message and status == 400 and len(headers) == 2:
                continue  # a notification under an unknown version is of the other era, where all are accepted
            assert await status_of(site.post(message, headers, malformed=True)) == status


@pytest.mark.parametrize("version", [None, "2025-11-25", "2025-06-18"])
@scene
async def test_the_version_header_may_be_left_out_in_a_session(version: str | None) -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open()
        headers = {"mcp-session-id": member.session, "mcp-protocol-version": version}
        assert "result" in await site.post(member.message("tools/list", {}), headers).json()


@scene
async def test_an_unsupported_version_header_is_refused_in_a_session() -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open()
        headers = {"mcp-session-id": member.session, "mcp-protocol-version": "1999-01-01"}
        visit = site.post(member.message("tools/list", {}), headers, malformed=True)
        assert await status_of(visit) == 400


@scene
async def test_delete_ends_the_session_for_good() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as site:
        member = Member(site)
        await member.open()
        stream, held = member.get(), member.ask_tool("hold", name="a")
        await stream.started()
        await hall.until(hall.entered, "a")
        assert await status_of(member.delete()) == 204
        await hall.until(hall.cancelled, "a")
        assert await hear_all(stream) == []
        assert await status_of(held) == 404, "its session is gone before it was answered"
        for visit in (member.ask("tools/list"), member.get(), member.delete()):
            assert await status_of(visit) == 404
        assert sessions(app) == 0


@scene
async def test_requests_of_a_session_are_not_held_to_the_headers_of_the_other_era() -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open()
        headers = {**member.headers, "mcp-method": "nonsense", "mcp-name": "x", "mcp-param-region": "y"}
        assert "result" in await site.post(member.message("tools/list", {}), headers).json()


@scene
async def test_errors_of_json_rpc_never_look_like_a_dead_session() -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open()
        visit = site.post(member.message("nonsense/x", {}), member.headers, malformed=True)
        assert (await visit.json())["error"]["code"] == -32601  # pyright: ignore[reportIndexIssue]  # decoded JSON
        assert visit.status == 200


@scene_out_of_time
async def test_a_session_that_is_idle_for_too_long_is_dead() -> None:
    app = Hall().server.asgi(HttpOptions(session_idle=60))
    async with visiting(app, patience=1000) as site:
        quiet, busy, reading = (Member(site, number=1000 * each) for each in range(3))
        for member in (quiet, busy, reading):
            await member.open()
        stream = reading.get()
        for _ in range(8):
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=15)
            assert "result" in await busy.ask("tools/list").json()
        assert await status_of(quiet.ask("tools/list")) == 404
        assert "result" in await reading.ask("tools/list").json()
        stream.hang_up()
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=130)
        assert sessions(app) == 0


@scene_out_of_time
async def test_a_session_is_not_idle_while_its_call_runs_nor_right_after() -> None:
    hall = Hall()
    hall.server.timeout = None
    app = hall.server.asgi(HttpOptions(session_idle=60))
    async with visiting(app, patience=1000) as site:
        member = Member(site)
        await member.open()
        held = member.ask_tool("hold", name="a")
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=179)
        hall.free("a")
        assert "result" in await held.json()
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=50)
        assert "result" in await member.ask("tools/list").json()


@scene
async def test_at_the_cap_the_session_that_was_idle_longest_makes_room() -> None:
    hall = Hall()
    app = hall.server.asgi(HttpOptions(most_sessions=3))
    async with visiting(app) as site:
        first, second, third, fourth = members = [Member(site, number=1000 * each) for each in range(4)]
        for member in members[:3]:
            await member.open()
        held = first.ask_tool("hold", name="a")
        await hall.until(hall.entered, "a")
        await third.ask("tools/list").json()
        await fourth.open()
        assert sessions(app) == 3
        assert await status_of(second.ask("tools/list")) == 404
        hall.free("a")
        assert "result" in await held.json()


# --- the stream of the session, and one stream per message ---


@scene
async def test_the_stream_of_the_session_carries_notices_and_no_answers() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        stream = member.get()
        assert (await stream.started(), stream.headers["content-type"]) == (200, STREAM)
        call = member.ask_tool("hold", token=1, name="a", reports=1)
        assert (await hear(call))["method"] == "notifications/progress"
        hall.server.list_changed("tools")
        assert (await hear(stream))["method"] == "notifications/tools/list_changed"
        hall.free("a")
        assert [message.get("id") for message in await hear_all(call)] == [None, 2]
        assert b"data: {" not in stream.body


@scene
async def test_a_second_stream_takes_the_place_of_the_first() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        first = member.get()
        await first.started()
        second = member.get()
        await second.started()
        assert await hear_all(first) == []
        hall.server.list_changed("tools")
        assert (await hear(second))["method"] == "notifications/tools/list_changed"


@scene
async def test_what_was_announced_before_the_stream_was_opened_is_heard_on_it() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        hall.server.list_changed("tools")
        assert (await hear(member.get()))["method"] == "notifications/tools/list_changed"


@scene
async def test_the_stream_of_a_session_does_not_dry_up() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        await member.ask("resources/subscribe", {"uri": "note://one"}).json()
        stream = member.get()
        for _ in range(700):
            hall.server.changed("note://one")
            assert (await hear(stream))["params"]["uri"] == "note://one"


@scene
async def test_notices_that_nobody_reads_are_held_once_and_heard_later() -> None:
    server = Server("many", "1.0.0")
    uris = [f"note://{number}" for number in range(100)]

    @server.resource("note://{name}")
    async def note(name: str) -> str:  # pyright: ignore[reportUnusedFunction]  # read over the wire
        return name

    async with visiting(server) as site:
        member = Member(site)
        await member.open()
        for uri in uris:
            await member.ask("resources/subscribe", {"uri": uri}).json()
        for _ in range(50):
            for uri in uris:
                server.changed(uri)
        stream, told = member.get(), list[object]()
        while len(told) < 256 + 100:
            told.append((await hear(stream))["params"]["uri"])
        assert set(told[256:]) == set(uris)


@scene
async def test_a_reader_that_keeps_up_misses_no_progress_and_the_server_stays_awake() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("report", token=1, count=2000)
        other = member.ask_tool("echo", text="hi")
        assert "hi" in str(await other.json())
        assert len(hall.ended) < 1500, "a call that floods starves the others"
        assert len(await hear_all(call)) == 2001


@scene
async def test_a_call_that_floods_a_client_that_is_gone_ends_and_leaves_little() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("report", token=1, count=5000, size=100)
        await call.started()
        call.hang_up()
        await call.over()
        await hall.until(hall.ended, "report 5000")


# --- a disconnect is no cancellation ---


@scene
async def test_hanging_up_does_not_cancel_and_the_answer_waits_for_who_resumes() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("hold", token=1, name="a", reports=1)
        event = await call.event()
        assert event is not None
        call.hang_up()
        await call.over()
        hall.free("a")
        await hall.until(hall.ended, "a")
        assert hall.cancelled == []
        resumed = member.get(event.id)
        assert [message.get("id") for message in await hear_all(resumed)] == [None, 2]


@scene
async def test_hanging_up_before_any_event_does_not_cancel_either() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("hold", name="a")
        await hall.until(hall.entered, "a")
        call.hang_up()
        await call.over()
        assert hall.cancelled == []
        hall.free("a")
        await hall.until(hall.ended, "a")


@scene
async def test_a_cancelled_request_is_not_answered() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("hold", id="x", name="a")
        await hall.until(hall.entered, "a")
        note: Json = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "x"}}
        assert await status_of(member.tell(note)) == 202
        await hall.until(hall.cancelled, "a")
        assert (await status_of(call), call.body) == (202, b"")


@scene
async def test_an_id_that_is_used_twice_does_not_lose_the_first_call() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as site, visiting(app) as beside:  # each judge sees the id once
        member = Member(site)
        await member.open()
        call = member.ask_tool("hold", token=1, id=9, name="a", reports=1)
        await hear(call)
        again = member.message("tools/call", {"name": "echo", "arguments": {"text": "x"}}, 9)
        second = beside.post(again, member.headers)
        assert "error" in await second.json()
        hall.free("a")
        assert [message.get("id") for message in await hear_all(call)] == [None, 9]
