"""Who hears of changes: listen streams and sessions, each of what it asked for and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from tests.stage import (
    LEGACY,
    META,
    MODERN,
    Connect,
    Dial,
    Json,
    in_both_eras,
    in_every_revision,
    modern,
    scene,
    shake_hands,
    text_of,
)

from mcp_kernel import Context, Server
from mcp_kernel.testing.memory import Refused, Wire

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"


def make_server() -> Server:
    server = Server("s", "1")

    @server.tool()
    async def change(uri: str, ctx: Context) -> str:
        ctx.changed(uri)
        return "changed"

    @server.tool()
    async def change_list(kind: str, ctx: Context) -> str:
        ctx.list_changed(kind)  # pyright: ignore[reportArgumentType]  # one of the three
        return "changed"

    @server.resource("a://1")
    def one() -> str:
        return "1"

    @server.resource("a://2")
    def two() -> str:
        return "2"

    @server.resource("t://{x}")
    def any_of(x: str) -> str:
        return x

    @server.prompt()
    def prompt() -> str:
        return ""

    return server


def listen(wire: Wire, identifier: int | str = "sub", **wanted: object) -> int | str:
    return wire.request("subscriptions/listen", modern(notifications=wanted), id=identifier)


def said(messages: list[Json]) -> list[tuple[str, Any]]:
    return [
        (str(each["method"]).removeprefix("notifications/"), each.get("params", {}).get("uri")) for each in messages
    ]


@pytest.mark.parametrize("identifier", [0, 7, "", "7", -1, 2**60])
@scene
async def test_a_stream_is_acknowledged_first_under_its_own_id(dial: Dial, identifier: int | str) -> None:
    server = make_server()
    async with dial(server) as wire:
        listen(wire, identifier, toolsListChanged=True, resourceSubscriptions=["a://1"])
        server.list_changed("tools")
        server.changed("a://1")
        messages = await wire.quiet() or wire.received
        assert [each["method"] for each in wire.received][0] == ACKNOWLEDGED  # noqa: RUF015  # all are looked at
        assert len(messages) == 3
        for each in wire.received:
            marked: Any = each
            got = marked["params"]["_meta"][SUBSCRIPTION]
            assert (type(got), got) == (type(identifier), identifier)


FILTERS: list[tuple[Json, Json]] = [
    ({}, {}),
    ({"toolsListChanged": True}, {"toolsListChanged": True}),
    ({"toolsListChanged": False, "promptsListChanged": True}, {"promptsListChanged": True}),
    ({"resourcesListChanged": True, "resourceSubscriptions": []}, {"resourcesListChanged": True}),
    ({"resourceSubscriptions": ["a://1", "none://x"]}, {"resourceSubscriptions": ["a://1"]}),
    ({"resourceSubscriptions": ["none://x"]}, {}),
    ({"resourceSubscriptions": ["t://y"]}, {"resourceSubscriptions": ["t://y"]}),
]


@pytest.mark.parametrize(("wanted", "granted"), FILTERS, ids=[str(row[0]) for row in FILTERS])
@scene
async def test_the_acknowledgment_says_what_will_be_heard(dial: Dial, wanted: Json, granted: Json) -> None:
    async with dial(make_server()) as wire:
        listen(wire, **wanted)
        acknowledged: Any = await wire.notification(ACKNOWLEDGED)
        assert acknowledged["params"]["notifications"] == granted


@scene
async def test_what_is_not_offered_is_not_granted(dial: Dial) -> None:
    async with dial(Server("bare", "1")) as wire:
        listen(wire, toolsListChanged=True, promptsListChanged=True, resourcesListChanged=True)
        acknowledged: Any = await wire.notification(ACKNOWLEDGED)
        assert acknowledged["params"]["notifications"] == {}


@pytest.mark.parametrize(
    "wanted",
    cast(
        "list[Json]",
        [
            {"toolsListChanged": "yes"},
            {"toolsListChanged": 1},
            {"resourceSubscriptions": "a://1"},
            {"resourceSubscriptions": None},
            {"resourceSubscriptions": ["a://1", {}]},
            {"resourceSubscriptions": ["a://1", ["a://2"], None, 5]},
            {"unknown": True},
        ],
    ),
    ids=str,
)
@scene
async def test_a_filter_that_is_odd_takes_nobody_down(dial: Dial, wanted: Json) -> None:
    async with dial(make_server()) as wire:
        identifier = wire.request("subscriptions/listen", modern(notifications=wanted), malformed=True)
        await wire.quiet()
        if wire.was_answered(identifier):
            assert (await wire.answer(identifier))["error"]["code"] == -32602  # type: ignore[index]  # an error
        else:
            acknowledged: Any = await wire.notification(ACKNOWLEDGED)
            assert acknowledged["params"]["notifications"] in ({}, {"resourceSubscriptions": ["a://1"]})


@pytest.mark.parametrize("notifications", [None, [], "all", True])
@scene
async def test_a_filter_is_an_object(dial: Dial, notifications: object) -> None:
    async with dial(make_server()) as wire:
        identifier = wire.request("subscriptions/listen", modern(notifications=notifications), malformed=True)
        answer: Any = await wire.answer(identifier)
        assert answer["error"]["code"] == -32602


@scene
async def test_a_stream_hears_what_it_asked_for_and_nothing_else(dial: Dial) -> None:
    server = make_server()
    async with dial(server) as wire:
        listen(wire, "lists", toolsListChanged=True)
        listen(wire, "one", resourceSubscriptions=["a://1", "t://x"], promptsListChanged=True)
        await wire.quiet()
        before = len(wire.received)
        for change in (
            lambda: server.changed("a://1"),
            lambda: server.changed("a://2"),
            lambda: server.changed("t://x"),
            lambda: server.list_changed("tools"),
            lambda: server.list_changed("prompts"),
            lambda: server.list_changed("resources"),
        ):
            change()
        heard: list[Any] = wire.received[before:]
        assert [(each["params"]["_meta"][SUBSCRIPTION], *said([each])[0]) for each in heard] == [
            ("one", "resources/updated", "a://1"),
            ("one", "resources/updated", "t://x"),
            ("lists", "tools/list_changed", None),
            ("one", "prompts/list_changed", None),
        ]


@scene
async def test_a_stream_taken_back_ends_without_a_word(dial: Dial) -> None:
    server = make_server()
    async with dial(server) as wire:
        identifier = listen(wire, toolsListChanged=True)
        await wire.notification(ACKNOWLEDGED)
        wire.cancel(identifier)
        assert await wire.quiet() == []
        server.list_changed("tools")
        assert await wire.quiet() == []
        assert wire.peer.exchanges == {}
        assert server.subscriptions.uris == set()


@scene
async def test_a_stream_taken_back_hears_nothing_of_what_is_done_at_once(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        stream = listen(wire, resourceSubscriptions=["a://1"])
        await wire.notification(ACKNOWLEDGED)
        wire.cancel(stream)
        wire.request("tools/call", {"_meta": META, "name": "change", "arguments": {"uri": "a://1"}})
        await wire.quiet()
        assert wire.notifications(UPDATED) == []


@scene
async def test_closing_ends_a_stream_with_grace(dial: Dial) -> None:
    server = make_server()
    async with dial(server) as wire:
        listen(wire, 5, toolsListChanged=True)
        await wire.notification(ACKNOWLEDGED)
        before = len(wire.received)
        await wire.close()
        cancelled, ended = wire.received[before:]
        assert cancelled["method"] == "notifications/cancelled"
        assert cancelled["params"]["requestId"] == 5  # type: ignore[index]  # an object
        assert ended["id"] == 5
        assert ended["result"]["_meta"][SUBSCRIPTION] == 5  # type: ignore[index]  # an object
        server.list_changed("tools")
        assert len(wire.received) == before + 2


@scene
async def test_a_stream_has_no_time_limit(dial: Dial) -> None:
    server = Server("s", "1", timeout=0.001)
    server.tool("x")(lambda: "x")
    async with dial(server) as wire:
        identifier = listen(wire, toolsListChanged=True)
        await wire.notification(ACKNOWLEDGED)
        gone = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, gone.set)
        await gone.wait()
        assert not wire.was_answered(identifier)


@in_every_revision
@scene
async def test_whoever_subscribed_hears_of_a_change(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision) as client:
        await client.subscribe("a://1", "t://x")
        for uri in ("a://1", "a://2", "t://x", "t://y"):
            await client.call_tool("change", {"uri": uri})
        for kind in ("tools", "prompts", "resources"):
            await client.call_tool("change_list", {"kind": kind})
        heard = said(client.wire.notifications())
        assert heard == [
            ("resources/updated", "a://1"),
            ("resources/updated", "t://x"),
            ("tools/list_changed", None),
            ("prompts/list_changed", None),
            ("resources/list_changed", None),
        ]


@in_every_revision
@scene
async def test_what_is_registered_while_serving_is_announced(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision) as client:
        await client.subscribe()
        server.tool("new")(lambda: "new")
        server.prompt("new")(lambda: "new")
        server.resource("a://new")(lambda: "new")
        server.tools.remove("new")
        await client.wire.quiet()
        kinds = [str(each["method"]).split("/")[1] for each in client.wire.notifications()]
        assert kinds == ["tools", "prompts", "resources", "tools"]


@pytest.mark.parametrize("revision", LEGACY)
@scene
async def test_a_subscription_of_a_session_can_be_taken_back(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision) as client:
        await client.subscribe("a://1", "a://2")
        await client.call("resources/unsubscribe", {"uri": "a://1"})
        await client.call("resources/unsubscribe", {"uri": "never://subscribed"})
        server.changed("a://1")
        server.changed("a://2")
        assert said(client.wire.notifications()) == [("resources/updated", "a://2")]
        with pytest.raises(Refused) as caught:
            await client.call("resources/subscribe", {"uri": "none://x"})
        assert caught.value.code == -32002


@scene
async def test_a_session_hears_nothing_before_it_is_ready(dial: Dial) -> None:
    server = make_server()
    async with dial(server) as wire:
        info = {"name": "c", "version": "1"}
        hello: Json = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        server.list_changed("tools")
        await wire.call("initialize", hello)
        server.list_changed("tools")
        assert await wire.quiet() == []
        wire.notify("notifications/initialized")
        server.list_changed("tools")
        assert said(wire.notifications()) == [("tools/list_changed", None)]


@scene
async def test_both_eras_on_one_pipe_hear_each_in_its_way(dial: Dial) -> None:
    server = make_server()
    async with dial(server) as wire:
        await shake_hands(wire)
        await wire.call("resources/subscribe", {"uri": "a://1"})
        listen(wire, resourceSubscriptions=["a://1"])
        await wire.notification(ACKNOWLEDGED)
        server.changed("a://1")
        heard: list[Any] = wire.notifications(UPDATED)
        assert [SUBSCRIPTION in each["params"].get("_meta", {}) for each in heard] == [False, True]


@in_both_eras
@scene
async def test_two_clients_hear_each_of_its_own(dial: Dial, revision: str) -> None:
    server = make_server()
    async with dial(server) as one, dial(server) as two:
        for wire, uri in ((one, "a://1"), (two, "a://2")):
            if revision == MODERN:
                listen(wire, resourceSubscriptions=[uri])
            else:
                await shake_hands(wire)
                await wire.call("resources/subscribe", {"uri": uri})
            await wire.quiet()
        server.changed("a://1")
        assert [len(wire.notifications(UPDATED)) for wire in (one, two)] == [1, 0]
        await one.close()
        server.changed("a://1")
        server.changed("a://2")
        assert [len(wire.notifications(UPDATED)) for wire in (one, two)] == [1, 1]


@in_both_eras
@scene
async def test_a_change_may_be_told_from_any_thread(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision) as client:
        await client.subscribe("a://1")
        await asyncio.to_thread(server.changed, "a://1")
        assert (await client.wire.notification(UPDATED))["params"]["uri"] == "a://1"  # type: ignore[index]  # an object


@in_both_eras
@scene
async def test_a_client_that_does_not_read_is_told_once_of_what_changed_often(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision) as client:
        await client.subscribe("a://1", "a://2")
        client.wire.stop_reading()
        for _ in range(1000):
            server.changed("a://1")
            server.changed("a://2")
            server.list_changed("tools")
        assert client.wire.notifications() == []
        client.wire.read_on()
        assert len(client.wire.notifications()) == 3
        server.changed("a://1")
        assert len(client.wire.notifications()) == 4


@scene
async def test_a_call_is_served_while_a_stream_is_open(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        listen(wire, resourceSubscriptions=["a://1"])
        result = await wire.call("tools/call", {"name": "change", "arguments": {"uri": "a://1"}, "_meta": META})
        assert text_of(result) == "changed"
        assert len(wire.notifications(UPDATED)) == 1
