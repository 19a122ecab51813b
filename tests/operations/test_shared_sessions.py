"""Sessions among several processes on one Redis: any of them takes any message and any stream of any session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import StatusCode
from tests.operations.recorder import Recorder
from tests.operations.redis import RedisServer, turn
from tests.operations.replicas import replicas
from tests.stage import scene
from tests.transports.guests import Hall, Json, Member, hear, hear_all

from mcp_kernel import Context
from mcp_kernel.operations.redis_link import RedisLink
from mcp_kernel.server.principal import Knock, Principal, Refusal
from mcp_kernel.server.store import GONE
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from mcp_kernel.testing.asgi import Site, Visit

QUESTION = "elicitation/create"
ACCEPTED: Json = {"action": "accept", "content": {"sure": True}}


async def text(member: Member, site: Site, said: str) -> str:
    """Call a tool at one of them."""
    member.site = site
    return str((await member.ask_tool("echo", text=said).json())["result"])


async def speak(ctx: Context) -> str:
    """Warn."""
    await ctx.log("warning", "mind the gap")
    return "spoken"


@scene
async def test_a_session_is_served_by_the_process_that_did_not_open_it() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            for number, site in enumerate([*sites, *sites]):
                assert f"word {number}" in await text(member, site, f"word {number}")


@scene
async def test_a_handshake_is_completed_anywhere() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            visit = sites[0].post(member.message("initialize", params))
            assert "result" in await visit.json()
            member.session, member.revision, member.site = visit.headers["mcp-session-id"], "2025-06-18", sites[1]
            assert await member.tell({"jsonrpc": "2.0", "method": "notifications/initialized"}).started() == 202
            member.site = sites[0]
            stream = member.get()
            await stream.started()
            other.server.list_changed("tools")
            assert (await hear(stream))["method"] == "notifications/tools/list_changed"


@scene
async def test_a_question_is_answered_at_another_process_than_the_one_that_asks() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open(elicitation={})
            here = member.ask_tool("confirm", name="here")
            member.site = sites[1]
            there = member.ask_tool("confirm", name="there")
            first, second = await hear(here), await hear(there)
            assert first["id"] != second["id"]
            assert await member.reply(first, ACCEPTED).started() == 202
            member.site = sites[0]
            assert await member.reply(second, {"action": "decline"}).started() == 202
            assert "sure of here: True" in str(await hear_all(here))
            assert "isError" in str(await hear_all(there))


@scene
async def test_a_call_is_cancelled_from_another_process() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            call = member.ask_tool("hold", name="held")
            await one.until(one.entered, "held")
            member.site = sites[1]
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": member.number}}
            assert await member.tell(note).started() == 202
            await one.until(one.cancelled, "held")
            assert await call.started() == 202


@scene
async def test_a_stream_is_resumed_at_another_process_and_goes_on_live() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            call = member.ask_tool("hold", token="t", name="a", reports=3)
            first = await call.event()
            assert first is not None
            call.hang_up()
            await call.over()
            member.site = sites[1]
            resumed = member.get(first.id)
            missed = [await hear(resumed), await hear(resumed)]
            assert [note["params"]["progress"] for note in missed] == [2, 3]
            one.free("a")
            *notes, answer = await hear_all(resumed)
            assert ([note["params"]["progress"] for note in notes], answer["id"]) == ([4], 2)
            again = await hear_all(member.get(first.id))
            assert [message.get("id") for message in again] == [None, None, None, 2]


@scene
async def test_a_client_that_is_let_go_comes_back_to_another_process() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            call = member.ask_tool("lean", retry=50)
            primed = await call.block()
            assert primed is not None
            await call.whole()
            member.site = sites[1]
            resumed = member.get(primed.id)
            await resumed.started()
            one.free("lean")
            assert [message["id"] for message in await hear_all(resumed)] == [2]


@scene
async def test_who_resumes_elsewhere_a_stream_that_is_read_takes_it_over() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            call = member.ask_tool("hold", token=1, name="a", reports=1)
            event = await call.event()
            assert event is not None
            member.site = sites[1]
            resumed = member.get(event.id)
            assert await hear_all(call) == []
            one.free("a")
            assert [message.get("id") for message in await hear_all(resumed)] == [None, 2]


@scene
async def test_the_stream_of_the_session_moves_with_its_reader_and_loses_nothing() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            member.site = sites[1]
            assert "result" in await member.ask("resources/subscribe", {"uri": "note://one"}).json()
            member.site = sites[0]
            stream = member.get()
            await stream.started()
            other.server.changed("note://one")
            event = await stream.event()
            assert event is not None
            stream.hang_up()
            await stream.over()
            one.server.list_changed("tools")
            member.site = sites[1]
            moved = member.get(event.id)
            assert (await hear(moved))["method"] == "notifications/tools/list_changed"
            one.server.changed("note://one")
            other.server.list_changed("prompts")
            await hear_of(moved, "notifications/resources/updated", "notifications/prompts/list_changed")
            member.site = sites[0]
            back = member.get()
            await hear_all(moved)
            one.server.list_changed("resources")
            await hear_of(back, "notifications/resources/list_changed")
            back.hang_up()
            await back.over()


async def hear_of(stream: Visit, *methods: str) -> None:
    """Listen until all were heard; what changes while a stream moves may be heard of twice."""
    missing = set(methods)
    while missing:
        missing.discard((await hear(stream))["method"])


@scene
async def test_a_log_level_counts_everywhere() -> None:
    one, other = Hall(), Hall()
    for hall in (one, other):
        hall.server.tool()(speak)
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            assert "result" in await member.ask("logging/setLevel", {"level": "error"}).json()
            member.site = sites[1]
            assert "result" in await member.ask_tool("speak").json(), "a warning is not wanted"
            assert "result" in await member.ask("logging/setLevel", {"level": "debug"}).json()
            member.site = sites[0]
            assert [message["method"] for message in (await hear_all(member.ask_tool("speak")))[:1]] == [
                "notifications/message"
            ]


@scene
async def test_a_session_that_was_deleted_is_gone_everywhere_with_its_calls() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            member.ask_tool("hold", name="held")
            await one.until(one.entered, "held")
            member.site = sites[1]
            assert await member.delete().started() == 204
            await one.until(one.cancelled, "held")
            for site in sites:
                member.site = site
                assert await member.ask("ping").started() == 404


class Named:
    """A gate that believes whoever knocks."""

    async def admit(self, knock: Knock) -> Principal | Refusal:
        return Principal(knock.values(b"x-name")[0].decode())

    def document(self, knock: Knock) -> bytes | None:
        return None

    async def close(self) -> None:
        """It holds nothing."""


@scene
async def test_a_session_of_another_does_not_exist_at_any_process() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server], options=HttpOptions(gate=Named())) as sites:
            info = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info}
            visit = sites[0].post(opening, {"x-name": "ann"})
            assert await visit.started() == 200
            session = {"mcp-session-id": visit.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
            for number, site in enumerate(sites):
                ping = {"jsonrpc": "2.0", "id": 10 + number, "method": "ping"}
                assert await site.post(ping, {**session, "x-name": "bob"}).started() == 404
                assert await site.get(headers={**session, "x-name": "bob"}).started() == 404
                assert await site.send("DELETE", headers={**session, "x-name": "bob"}).started() == 404
                assert await site.post({**ping, "id": 20 + number}, {**session, "x-name": "ann"}).started() == 200


@pytest.mark.parametrize("last", ["", "nonsense", "aa.1-1", "0-7", "aa.1-" + "9" * 19, "1-1, 1-2", "ü.1-0"])
@scene
async def test_an_event_that_nobody_knows_is_refused_without_declaring_the_session_dead(last: str) -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            assert await member.get(last).started() == 400
            assert "word" in await text(member, sites[1], "word")


@scene
async def test_the_stream_of_a_process_that_died_says_so() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server], lease=0.6) as sites:
            member = Member(sites[0])
            await member.open()
            call = member.ask_tool("hold", token=1, name="a", reports=1)
            event = await call.event()
            assert event is not None
            assert isinstance(one.server.store, RedisLink)
            await one.server.store.close()  # what a killed process leaves behind: nobody hears, the lease is over
            member.site = sites[1]
            (failure,) = await hear_all(member.get(event.id))
            assert (failure["id"], failure["error"]["code"]) == (2, -32603)
            assert "word" in await text(member, sites[1], "word")


@scene
async def test_without_the_store_sessions_are_refused_clearly_and_new_ones_opened_when_it_is_back() -> None:
    one, other = Hall(), Hall()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            member = Member(sites[0])
            await member.open()
            call = member.ask_tool("hold", name="held", reports=1, token=1)
            await hear(call)
            store.kill()
            refused = member.ask("ping")
            assert GONE in str(await refused.json())
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            one.free("held")
            assert "held" in str(await hear_all(call)), "what is in flight goes on"
            store.start()
            async with asyncio.timeout(10):
                while await (visit := member.ask("ping")).started() == 503:
                    await turn()
            assert visit.status == 404, "nothing was kept"
            again = Member(sites[1], number=100)
            await again.open()
            assert "word" in await text(again, sites[0], "word")


@scene
async def test_a_notification_has_one_span_where_the_client_told_it_and_a_question_where_it_was_asked() -> None:
    one, other = Hall(), Hall()
    recorders = [Recorder(one.server), Recorder(other.server)]
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as (first, second):
            member = Member(first)
            await member.open(elicitation={})
            visit = member.ask_tool("confirm", name="here")
            question = await hear(visit)
            member.site = second
            await member.reply(question, ACCEPTED).whole()
            await visit.whole()
            member.site = first
            member.ask_tool("hold", name="held")
            await one.until(one.entered, "held")
            member.site = second
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": member.number}}
            await member.tell(note).whole()
            await one.until(one.cancelled, "held")
    found = {name: [len(each.all(name)) for each in recorders] for name in ("notifications/cancelled", QUESTION)}
    assert found == {"notifications/cancelled": [0, 1], QUESTION: [1, 0]}
    assert recorders[0].named(QUESTION).status.status_code is StatusCode.UNSET
