"""Sessions over HTTP: questions on the stream of the call, streams that are resumed, polling, batches."""

from __future__ import annotations

import asyncio

import pytest
from tests.stage import scene, scene_out_of_time
from tests.transports.guests import Hall, Json, Member, hear, hear_all, visiting

from mcp_kernel import Context, Server
from mcp_kernel.testing.asgi import Event, Site

before_polling = pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18"])
ACCEPTED: Json = {"action": "accept", "content": {"sure": True}}


# --- questions ---


@scene
async def test_a_question_travels_on_the_stream_of_its_call_and_its_answer_is_posted() -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open(elicitation={})
        stream, call = member.get(), member.ask_tool("confirm", name="x")
        question = await hear(call)
        assert question["method"] == "elicitation/create"
        posted = member.reply(question, ACCEPTED)
        assert (await posted.started(), await posted.whole()) == (202, b"")
        assert "sure of x: True" in str(await hear_all(call))
        assert b"data: {" not in stream.body


@scene
async def test_an_answer_that_is_posted_to_another_session_settles_nothing() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as one, visiting(app) as other, Site(app) as unjudged:
        asked, thief = Member(one), Member(other)
        await asked.open(elicitation={})
        await thief.open(elicitation={})
        call = asked.ask_tool("confirm", name="mine")
        question = await hear(call)
        forged = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
        for session in (thief.session, "0" * 32, None):
            headers = {"mcp-session-id": session}
            assert await unjudged.post(forged, headers).started() in (202, 400, 404)
        own = thief.ask_tool("confirm", name="theirs")
        assert (await hear(own))["id"] == question["id"], "ids are counted in each session, so the forgery fits"
        await asked.reply(question, ACCEPTED).whole()
        assert "sure of mine: True" in str(await hear_all(call))
        assert not own.is_whole


@scene
async def test_an_answer_that_comes_twice_or_to_nothing_is_taken_and_forgotten() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as site, Site(app) as unjudged:
        member = Member(site)
        await member.open(elicitation={})
        call = member.ask_tool("confirm")
        question = await hear(call)
        for identifier in (12345, str(question["id"]), -1):
            reply = {"jsonrpc": "2.0", "id": identifier, "result": ACCEPTED}
            assert await unjudged.post(reply, member.headers).started() == 202
        await member.reply(question, ACCEPTED).whole()
        again = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
        assert await unjudged.post(again, member.headers).started() == 202
        assert "True" in str(await hear_all(call))


@scene
async def test_a_question_that_nobody_read_is_found_by_who_resumes() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open(elicitation={})
        call = member.ask_tool("confirm")
        primed = await call.block()
        assert primed is not None
        call.hang_up()
        await call.over()
        resumed = member.get(primed.id)
        question = await hear(resumed)
        await member.reply(question, ACCEPTED).whole()
        assert "True" in str(await hear_all(resumed))


# --- resuming ---


@scene
async def test_a_resumed_stream_replays_what_was_missed_on_it_alone_and_goes_on_live() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        one = member.ask_tool("hold", token="one", name="a", reports=3)
        two = member.ask_tool("hold", token="two", name="b", reports=3)
        first = await one.event()
        assert first is not None
        await hear(two)
        one.hang_up()
        await one.over()
        resumed = member.get(first.id)
        missed = [await hear(resumed), await hear(resumed)]
        assert [note["params"]["progress"] for note in missed] == [2, 3]
        assert {note["params"]["progressToken"] for note in missed} == {"one"}
        hall.free("a")
        *notes, answer = await hear_all(resumed)
        assert [note["params"]["progress"] for note in notes] == [4]
        assert answer["id"] == 2
        assert hall.entered == ["a", "b"]


@scene
async def test_a_stream_can_be_resumed_again_after_its_end() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("report", token=1, count=2)
        first = await call.event()
        assert first is not None
        await hear_all(call)
        for _ in range(2):
            assert [message.get("id") for message in await hear_all(member.get(first.id))] == [None, 2]


@scene
async def test_a_stream_that_is_resumed_leaves_the_connection_that_had_it() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("hold", token=1, name="a", reports=1)
        event = await call.event()
        assert event is not None
        resumed = member.get(event.id)
        assert await hear_all(call) == []
        hall.free("a")
        assert [message.get("id") for message in await hear_all(resumed)] == [None, 2]


@scene
async def test_the_stream_of_the_session_is_resumed_behind_the_last_event() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        stream = member.get()
        await stream.started()
        hall.server.list_changed("tools")
        event = await stream.event()
        assert event is not None
        stream.hang_up()
        await stream.over()
        hall.server.list_changed("prompts")
        assert (await hear(member.get(event.id)))["method"] == "notifications/prompts/list_changed"


@pytest.mark.parametrize("last", ["", "nonsense", "99-1", "0-7", "1-99", "1" * 5000 + "-1", "1-1, 1-2"])
@scene
async def test_an_event_that_is_not_known_is_refused_without_declaring_the_session_dead(last: str) -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open()
        await hear_all(member.ask_tool("report", token=1, count=1))
        visit = member.get(last)
        assert await visit.started() == 400
        assert "result" in await member.ask("tools/list").json()


@scene
async def test_an_event_of_another_session_cannot_be_resumed() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as one, visiting(app) as other:
        mine, theirs = Member(one), Member(other)
        await mine.open()
        await theirs.open()
        call = mine.ask_tool("report", token=1, count=1)
        event = await call.event()
        assert event is not None
        assert await theirs.get(event.id).started() == 400


# --- polling ---


@scene
async def test_streams_of_the_latest_revision_are_primed_to_be_resumed() -> None:
    async with visiting(Hall().server) as site:
        member = Member(site)
        await member.open()
        for visit in (member.ask_tool("report", token=1, count=1), member.get()):
            primed, retry = await visit.block(), await visit.block()
            assert primed is not None
            assert retry is not None
            assert (primed.data, bool(primed.id), retry.retry) == ("", True, 1000)


@before_polling
@scene
async def test_older_clients_are_not_primed_and_not_let_go(revision: str) -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site, revision)
        await member.open()
        call = member.ask_tool("report", token=1, count=1)
        block = await call.block()
        assert block is not None
        assert "progress" in str(block.data)
        leaning = member.ask_tool("lean", retry=50)
        await hall.until(hall.entered, "lean")
        assert leaning.status is None
        hall.free("lean")
        assert "lean" in str(await leaning.json())
        assert b"retry" not in call.body + leaning.body


@scene
async def test_a_client_that_is_let_go_comes_back_for_the_rest() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site)
        await member.open()
        call = member.ask_tool("lean", retry=50)
        blocks = [primed, _, _] = [await call.block() or Event() for _ in range(3)]
        assert [block.retry for block in blocks] == [None, 1000, 50]
        assert hall.cancelled == []
        assert await call.block() is None
        resumed = member.get(primed.id)
        await resumed.started()
        hall.free("lean")
        assert [message["id"] for message in await hear_all(resumed)] == [2]


@scene_out_of_time
async def test_quiet_streams_of_a_session_are_kept_alive() -> None:
    async with visiting(Hall().server, patience=100) as site:
        member = Member(site, "2025-06-18")
        await member.open()
        stream = member.get()
        loop = asyncio.get_running_loop()
        before = loop.time()
        for _ in range(2):
            block = await stream.block()
            assert block is not None
            assert block.comment == "keep-alive"
        assert 29 < loop.time() - before < 31


# --- batches ---


@scene
async def test_a_batch_is_answered_by_one_array() -> None:
    async with visiting(Hall().server) as site:
        member = Member(site, "2025-03-26")
        await member.open()
        requests = [member.message("tools/list", {}), member.message("ping", {})]
        note: Json = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        visit = member.tell([requests[0], note, requests[1]])
        body = await visit.whole()
        assert (visit.status, visit.headers["content-type"]) == (200, "application/json")
        assert body.startswith(b"[")
        notes = member.tell([note, note])
        assert (await notes.started(), await notes.whole()) == (202, b"")


@scene
async def test_what_a_member_of_a_batch_says_on_the_way_is_on_the_stream_of_the_batch() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        member = Member(site, "2025-03-26")
        await member.open()
        params = {"name": "report", "arguments": {"count": 2}, "_meta": {"progressToken": "t"}}
        visit = member.tell([member.message("tools/call", params), member.message("ping", {})])
        first, second = await hear(visit), await hear(visit)
        assert [first["params"]["progress"], second["params"]["progress"]] == [1, 2]
        await visit.whole()
        assert visit.body.count(b'"id":2') == visit.body.count(b'"id":3') == 1


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25"])
@scene
async def test_batches_are_refused_in_other_sessions(revision: str) -> None:
    async with visiting(Hall().server) as site:
        member = Member(site, revision)
        await member.open()
        visit = site.post([member.message("ping", {})], member.headers, malformed=True)
        assert await visit.started() == 400


@scene
async def test_a_question_inside_a_batch_is_asked_on_its_stream() -> None:
    server = Server("sampling", "1.0.0")

    @server.tool()
    async def think(ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]  # called over the wire
        """Let the model think."""
        return (await ctx.sample("thought", "Think.")).text

    async with visiting(server) as site:
        member = Member(site, "2025-03-26")
        await member.open(sampling={})
        visit = member.tell([member.message("tools/call", {"name": "think", "arguments": {}})])
        question = await hear(visit)
        assert question["method"] == "sampling/createMessage"
        answer = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "thought"}}
        await member.reply(question, answer).whole()
        await visit.whole()
        assert b"thought" in visit.body
