"""What a server tells without being asked: logs, changes, and that there was a gap in which changes went unheard."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from tests.client.origin import NO_PROMPTS, NOTHING, SERVER, SESSION, Asked, Origin, Play, Reply, modern, session
from tests.client.puppet import Puppet, Refusal, play
from tests.client.ways import Open, in_every_way
from tests.stage import MODERN, scene, scene_out_of_time

from mcp_kernel.client import Client, InvalidAnswer, Reach, ServerRefused

Json = dict[str, Any]
WATCHED = "test://watched-resource"
META = "io.modelcontextprotocol/subscriptionId"


class Ear:
    """Hears, and lets a test wait for what it will hear."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()

    async def __call__(self, *told: object) -> None:
        self.heard.put_nowait(told[0] if len(told) == 1 else told)

    async def next(self) -> object:
        return await self.heard.get()

    def rest(self) -> list[object]:
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]


@in_every_way
@scene
async def test_changes_are_heard_of_in_every_revision(reach: Open, way: str, revision: str) -> None:
    lists, uris = Ear(), Ear()
    async with reach(way, revision, on_list_changed=lists, on_updated=uris) as client:
        before = len(await client.list_tools())
        await client.subscribe(WATCHED)
        await client.ping()  # by now the server has taken note that the stream before is withdrawn
        await client.call_tool("test_trigger_tool_change")
        assert await lists.next() == "tools"
        assert abs(len(await client.list_tools()) - before) == 1
        await client.call_tool("test_trigger_prompt_change")
        assert await lists.next() == "prompts"
        await client.call_tool("test_trigger_resource_change")
        assert await uris.next() == WATCHED
        await client.unsubscribe(WATCHED)
        await client.ping()
        await client.call_tool("test_trigger_resource_change")
        await client.call_tool("test_trigger_tool_change")
        assert await lists.next() == "tools"
        assert uris.rest() == []


@in_every_way
@scene
async def test_log_messages_are_heard_from_the_level_on_that_was_asked_for(
    reach: Open, way: str, revision: str
) -> None:
    logs = Ear()
    async with reach(way, revision, on_log=logs, log_level="warning") as client:
        await client.call_tool("test_logging_tool")
        heard = [await logs.next() for _ in range(5)]
        assert [told[0] for told in heard if isinstance(told, tuple)] == [
            "warning",
            "error",
            "critical",
            "alert",
            "emergency",
        ]
        assert heard[1] == ("error", {"text": "A message at level error", "data": [1, 2, 3]}, None)
        await client.set_log_level("emergency")
        await client.call_tool("test_logging_tool")
        assert await logs.next() == ("emergency", "A message at level emergency", None)
        assert logs.rest() == []


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_who_does_not_listen_is_not_told(reach: Open, revision: str) -> None:
    async with reach("codec", revision) as client:
        await client.call_tool("test_logging_tool")
        await client.call_tool("test_trigger_tool_change")


@scene
async def test_what_is_told_while_the_session_opens_is_heard() -> None:
    logs = Ear()
    puppet = Puppet({}, SESSION)

    def tell(request: Json) -> Json:
        puppet.notify("notifications/message", level="info", data="early", logger="x")
        return {}

    puppet.answers["logging/setLevel"] = tell
    async with Client(puppet, reach=Reach(codec=True), on_log=logs):
        assert await logs.next() == ("info", "early", "x")


@scene
async def test_a_callback_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    failed = asyncio.Event()

    def fail(*told: object) -> None:
        failed.set()
        raise LookupError("mine")

    async def fail_later(*told: object) -> None:
        fail()

    for callback in (fail, fail_later):
        async with play({"prompts/list": {"prompts": []}}, SESSION, on_list_changed=callback) as (client, puppet):
            failed.clear()
            puppet.notify("notifications/tools/list_changed")
            await failed.wait()
            assert await client.list_prompts() == []
    assert caplog.text.count("LookupError: mine") == 2


# --- subscriptions ---


def listening(streams: list[asyncio.Queue[str]], **answers: Play | Json) -> Play:
    """A modern server whose listen streams each end when the test puts "end" into their queue."""

    async def listen(asked: Asked, reply: Reply) -> None:
        told: asyncio.Queue[str] = asyncio.Queue()
        streams.append(told)
        meta = {META: asked.body["id"]}
        filter = asked.body["params"]["notifications"]
        await reply.stream()
        await reply.event(notice("notifications/subscriptions/acknowledged", _meta=meta, notifications=filter))
        while (word := await told.get()) not in ("end", "break"):
            await reply.event(notice(word, _meta=meta, **({"uri": "x://y"} if "updated" in word else {})))
        if word == "end":
            await reply.event_result({"resultType": "complete", "_meta": meta})
            await reply.end()
        else:
            reply.hang_up()

    return modern(subscriptions_listen=listen, **answers)


def notice(method: str, **params: object) -> Json:
    return {"jsonrpc": "2.0", "method": method, "params": params}


@pytest.mark.parametrize("end", ["end", "break"])
@scene
async def test_a_stream_that_ends_is_opened_again_and_the_gap_is_told(end: str) -> None:
    streams: list[asyncio.Queue[str]] = []
    lists, uris = Ear(), Ear()
    listed = {**NOTHING, "ttlMs": 60_000}
    async with (
        Origin(listening(streams, tools_list=listed)) as origin,
        Client(origin.url, on_list_changed=lists, on_updated=uris) as client,
    ):
        await client.subscribe("x://y")
        await client.list_tools()
        await client.list_tools()
        assert len(origin.find("tools/list")) == 1
        streams[-1].put_nowait("notifications/resources/updated")
        assert await uris.next() == "x://y"
        streams[-1].put_nowait(end)
        assert [await lists.next() for _ in range(3)] == ["tools", "resources", "prompts"]
        assert await uris.next() == "x://y"
        await client.list_tools()
        assert len(origin.find("tools/list")) == 2, "what was kept is from before the gap"
        wanted = [asked.body["params"]["notifications"] for asked in origin.find("subscriptions/listen")]
        assert wanted[-1] == wanted[-2] == {"toolsListChanged": True, "resourceSubscriptions": ["x://y"]}
        streams[-1].put_nowait("notifications/tools/list_changed")
        assert await lists.next() == "tools"


@scene
async def test_a_subscription_outlives_the_server_over_http() -> None:
    streams: list[asyncio.Queue[str]] = []
    uris = Ear()
    async with Origin(listening(streams)) as first:
        client = Client(first.url, on_updated=uris)
        await client.subscribe("x://y")
    async with Origin(listening(streams), first.port) as second:
        await second.hear("subscriptions/listen")
        assert await uris.next() == "x://y"  # of the gap
        streams[-1].put_nowait("notifications/resources/updated")
        assert await uris.next() == "x://y"
        await client.close()


@scene
async def test_a_subscription_outlives_the_session() -> None:
    streams: list[Reply] = []

    async def tell(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        streams.append(reply)
        await asked.gone.wait()

    async def subscribe(asked: Asked, reply: Reply) -> None:
        await reply.result({})

    async def expire_once(asked: Asked, reply: Reply) -> None:
        await (reply.whole(404) if len(origin.find("tools/list")) == 1 else reply.result(NOTHING))

    uris, lists = Ear(), Ear()
    plot = session(GET=tell, resources_subscribe=subscribe, tools_list=expire_once)
    async with Origin(plot) as origin, Client(origin.url, on_updated=uris, on_list_changed=lists) as client:
        await client.subscribe("x://y")
        await client.list_tools()
        assert len(origin.find("resources/subscribe")) == 2
        assert await uris.next() == "x://y"
        assert [await lists.next() for _ in range(3)] == ["tools", "resources", "prompts"]
        await streams[-1].event(notice("notifications/resources/updated", uri="x://y"))
        assert await uris.next() == "x://y"


@pytest.mark.parametrize("revision", [SESSION, MODERN])
@scene
async def test_a_subscription_that_is_refused_is_an_error_and_no_burden_afterwards(revision: str) -> None:
    refusal = Refusal(-32602)
    answers: Json = {"resources/subscribe": refusal, "subscriptions/listen": refusal, "prompts/list": NO_PROMPTS}
    async with play(answers, revision) as (client, puppet):
        with pytest.raises(ServerRefused, match="-32602"):
            await client.subscribe("x://nowhere")
        await client.close()
        assert await client.list_prompts() == []
        assert len(puppet.sent("resources/subscribe")) + len(puppet.sent("subscriptions/listen")) == 1


@scene
async def test_a_resource_that_is_gone_when_the_session_is_opened_again_keeps_nobody_from_calling() -> None:
    async with play({"resources/subscribe": {}, "prompts/list": {"prompts": []}}, SESSION) as (client, puppet):
        await client.subscribe("x://a", "x://b")
        await client.close()
        puppet.answers["resources/subscribe"] = Refusal(-32002)
        assert await client.list_prompts() == []
        assert len(puppet.sent("resources/subscribe")) == 4, "both are asked for again"


@scene
async def test_a_server_that_declares_changes_and_tells_none_can_be_called() -> None:
    refusal = Refusal(-32601)
    async with play({"subscriptions/listen": refusal, "prompts/list": NO_PROMPTS}, on_list_changed=print) as (
        client,
        _,
    ):
        assert await client.list_prompts() == []


@scene_out_of_time
async def test_a_subscription_that_is_never_acknowledged_is_given_up_and_withdrawn() -> None:
    async with play({"subscriptions/listen": None}, timeout=5) as (client, puppet):
        with pytest.raises(InvalidAnswer, match="acknowledge"):
            await client.subscribe("x://y")
        await puppet.hear("notifications/cancelled")


@scene_out_of_time
async def test_the_streams_are_opened_again_ever_more_slowly_but_never_given_up() -> None:
    moments: list[float] = []
    puppet = Puppet({})

    def listen(request: Json) -> Json:
        moments.append(asyncio.get_running_loop().time())
        if len(moments) == 20:
            enough.set()
        meta = {META: request["id"]}
        puppet.notify("notifications/subscriptions/acknowledged", _meta=meta, notifications={})
        return {"resultType": "complete", "_meta": meta}

    enough = asyncio.Event()
    puppet.answers["subscriptions/listen"] = listen
    async with Client(puppet, reach=Reach(codec=True)) as client:
        await client.subscribe("x://y")
        await enough.wait()
    pauses = [to - at for at, to in pairwise(moments)]
    assert pauses[0] <= 0.1
    assert 5 <= pauses[-1] <= 10


@scene
async def test_what_a_server_is_called_is_read_of_either_era() -> None:
    async with play({}, SESSION) as (client, _):
        assert (client.server.name, client.server.version) == (SERVER["name"], SERVER["version"])
    async with play({}) as (client, _):
        assert client.server.name == SERVER["name"]
