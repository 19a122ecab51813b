"""Spans of what is no request that a client is served: notifications, questions, and what is refused at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from tests.operations.recorder import PARENT, SPAN, Recorder, attributes, parent_of, spell
from tests.operations.watching import Shop
from tests.stage import LEGACY, META, MODERN, in_both_eras, in_every_session, scene, shake_hands
from tests.transports.guests import Member, Modern, visiting

from mcp_kernel import Context, Server
from mcp_kernel.errors import ProtocolError

if TYPE_CHECKING:
    from tests.stage import Connect, Dial

Json = dict[str, Any]
YES: Json = {"action": "accept", "content": {"sure": True}}
FORMS: Json = {"elicitation": {}}


def carried(message: Json) -> object:
    """The trace that a message names."""
    return message.get("params", {}).get("_meta", {}).get("traceparent")


# --- the server's questions ---


@pytest.mark.parametrize("revision", [name for name in LEGACY if name >= "2025-06-18"])
@scene
async def test_a_question_is_a_call_of_the_servers_below_the_clients(connect: Connect, revision: str) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with connect(shop.server, revision, capabilities=FORMS, answer=lambda method, params: YES) as client:
        await client.call_tool("confirm", {})
        ((method, params),) = client.asked
    asked, called = recorder.named(method), recorder.named("tools/call confirm")
    assert method == "elicitation/create"
    assert (asked.kind, asked.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert parent_of(asked) == spell(called)
    assert carried({"params": params}) == spell(asked)
    assert attributes(asked) == {
        "mcp.method.name": "elicitation/create",
        "jsonrpc.request.id": "1",
        "mcp.protocol.version": revision,
        "network.transport": "pipe",
    }
    (point,) = recorder.durations("mcp.client.operation.duration")
    assert dict(point.attributes or {})["mcp.method.name"] == "elicitation/create"


@scene
async def test_what_became_of_a_question_is_in_its_span(dial: Dial) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with dial(shop.server) as wire:
        await shake_hands(wire, **FORMS)
        refused = wire.request("tools/call", {"name": "confirm"})
        wire.refuse(await wire.question(), -32601, "No forms here")
        await wire.answer(refused)
        taken_back = wire.request("tools/call", {"name": "confirm"})
        await wire.question()
        wire.cancel(taken_back)
        await wire.notification("notifications/cancelled")
        wire.request("tools/call", {"name": "confirm"})
        await wire.question()  # which the end of the connection leaves open
    failed, *left = recorder.all("elicitation/create")
    found = attributes(failed)
    assert (found["error.type"], found["rpc.response.status_code"]) == ("-32601", "-32601")
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "No forms here")
    assert [span.status.status_code for span in left] == [StatusCode.UNSET] * 2
    withdrawn = recorder.named("notifications/cancelled", SpanKind.CLIENT)
    assert parent_of(withdrawn) == spell(recorder.all("tools/call confirm")[1])


@scene
async def test_roots_that_are_followed_are_asked_for_below_the_notification_that_they_changed(dial: Dial) -> None:
    server = Server("follower", "1", follow_roots=True)
    recorder = Recorder(server)
    async with dial(server) as wire:
        await shake_hands(wire, roots={"listChanged": True})
        wire.reply(await wire.question("roots/list"), {"roots": []})
        await wire.quiet()
        wire.notify("notifications/roots/list_changed", {"_meta": {"traceparent": PARENT}})
        question = await wire.question("roots/list")
        wire.reply(question, {"roots": []})
        await wire.quiet()
    changed, (first, again) = recorder.named("notifications/roots/list_changed"), recorder.all("roots/list")
    assert parent_of(first) == spell(recorder.named("notifications/initialized"))
    assert parent_of(again) == spell(changed)
    assert parent_of(changed) == PARENT
    assert carried(question) == spell(again)


# --- notifications ---


@in_every_session
@scene
async def test_a_notification_of_the_client_is_a_span_without_an_id(dial: Dial, revision: str) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with dial(shop.server) as wire:
        await shake_hands(wire, revision)
        call = wire.request("tools/call", {"name": "wait"})
        await shop.entered.wait()
        wire.notify("notifications/cancelled", {"requestId": call, "_meta": {"traceparent": PARENT}})
        for method in ("notifications/made-up-7741", "notifications/progress"):
            wire.send({"jsonrpc": "2.0", "method": method, "params": {"uri": "x"}}, malformed=True)
        await wire.quiet()
    heard = recorder.named("notifications/cancelled")
    assert (heard.kind, heard.status.status_code, parent_of(heard)) == (SpanKind.SERVER, StatusCode.UNSET, PARENT)
    told = {"mcp.protocol.version": revision, "network.transport": "pipe"}
    assert attributes(heard) == {"mcp.method.name": "notifications/cancelled", **told}
    assert attributes(recorder.named("_OTHER")) == {
        "mcp.method.name": "_OTHER",
        "rpc.method_original": "notifications/made-up-7741",
        **told,
    }
    assert "notifications/progress" not in recorder.names()
    counted = [dict(point.attributes or {}) for point in recorder.durations()]
    assert {"mcp.method.name": "_OTHER", **told} in counted
    assert not any("7741" in str(each) for each in counted)


@in_both_eras
@scene
async def test_what_a_call_changes_is_told_below_it(connect: Connect, revision: str) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)

    @shop.server.tool()
    async def change(ctx: Context) -> str:
        """Change things, and talk about it."""
        ctx.changed("shop://tea")
        ctx.list_changed("tools")
        await ctx.progress(1, 2, "half")
        await ctx.log("error", "it hurts")
        return "done"

    async with connect(shop.server, revision) as client:
        await client.subscribe("shop://tea")
        params = {"name": change.__name__, "arguments": {}, "_meta": {"progressToken": 7}}
        await client.call("tools/call", params)
        heard = {message["method"]: message for message in client.wire.notifications()}
    called = recorder.named("tools/call change")
    for name in ("notifications/resources/updated", "notifications/tools/list_changed"):
        told = recorder.named(name)
        assert (told.kind, parent_of(told), carried(heard[name])) == (SpanKind.CLIENT, spell(called), spell(told))
        assert attributes(told)["mcp.protocol.version"] == revision
    assert attributes(recorder.named("notifications/resources/updated"))["mcp.resource.uri"] == "shop://tea"
    assert "notifications/progress" in heard
    assert not {"notifications/progress", "notifications/message"} & set(recorder.names())
    assert carried(heard["notifications/progress"]) is None


@scene
async def test_what_a_listen_stream_is_told_keeps_its_mark(connect: Connect) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with connect(shop.server, MODERN) as client:
        stream = client.request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        first = await client.wire.notification("notifications/subscriptions/acknowledged")
        shop.server.list_changed("tools")
        second = await client.wire.notification("notifications/tools/list_changed")
    for message in (first, second):
        span = recorder.named(str(message["method"]))
        expected = {"io.modelcontextprotocol/subscriptionId": stream, "traceparent": spell(span)}
        assert message["params"]["_meta"] == expected  # pyright: ignore[reportIndexIssue]  # a message of the wire
    assert parent_of(recorder.named("notifications/tools/list_changed")) is None


@scene
async def test_equal_changes_are_held_as_one_while_nobody_reads_and_begin_a_trace_when_they_are_sent(
    dial: Dial,
) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with dial(shop.server) as wire:
        await shake_hands(wire)
        wire.stop_reading()
        for _ in range(3):
            shop.server.list_changed("tools")
        assert "notifications/tools/list_changed" not in recorder.names()
        with recorder.spans.get_tracer("other").start_as_current_span("other"):
            wire.read_on()
        (told,) = wire.notifications("notifications/tools/list_changed")
    span = recorder.named("notifications/tools/list_changed")
    assert (parent_of(span), carried(told)) == (None, spell(span))


# --- what is refused at once ---

NOT_TRACED: Json = {"io.modelcontextprotocol/protocolVersion": MODERN}
REFUSED: list[tuple[str, Json, int]] = [
    ("tools/made-up-7741", META, -32601),
    ("tools/call", META, -32602),  # no name
    ("tools/list", NOT_TRACED, -32602),  # `_meta` lacks what it needs
    ("tools/list", {**META, "io.modelcontextprotocol/protocolVersion": "2031-01-01"}, -32022),
    ("tools/list", {}, -32600),  # no handshake
]


@pytest.mark.parametrize(("method", "meta", "code"), REFUSED)
@scene
async def test_a_request_that_is_refused_at_once_is_a_span_with_its_status(
    dial: Dial, method: str, meta: Json, code: int
) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with dial(shop.server) as wire:
        call = wire.request(method, {"_meta": {**meta, "traceparent": PARENT}}, id="k-1", malformed=True)
        await wire.answer(call)
    known = method != "tools/made-up-7741"
    span = recorder.named(method if known else "_OTHER")
    found = attributes(span)
    assert (span.kind, parent_of(span)) == (SpanKind.SERVER, PARENT)
    assert (found["jsonrpc.request.id"], found["rpc.response.status_code"]) == ("k-1", str(code))
    assert found.get("rpc.method_original") == (None if known else method)
    failed = code == -32022  # the others say that their caller was wrong, not that anything failed here
    assert found.get("error.type") == (str(code) if failed else None)
    assert span.status.status_code is (StatusCode.ERROR if failed else StatusCode.UNSET)
    (point,) = recorder.durations()
    assert dict(point.attributes or {})["rpc.response.status_code"] == str(code)
    assert "7741" not in str(point.attributes)


@scene
async def test_what_cannot_be_read_is_a_span_of_no_method(dial: Dial) -> None:
    recorder = Recorder(server := Shop().server)
    async with dial(server) as wire:
        wire.send_bytes(b"{", malformed=True)
        wire.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":7}', malformed=True)
        await wire.quiet()
    found = [attributes(span) for span in recorder.all("_OTHER")]
    assert [each["rpc.response.status_code"] for each in found] == ["-32700", "-32600"]
    assert not any("error.type" in each for each in found)


HALF = "\\ud800"  # of a character, as JavaScript cuts them; no exporter can write it
HOSTILE = [
    '{"jsonrpc":"2.0","id":"k-1","method":"HALF","params":{"uri":"HALF"}}',
    '{"jsonrpc":"2.0","id":"LONG","method":"LONG","params":{"_meta":{"traceparent":7,"tracestate":[]}}}',
    '{"jsonrpc":"2.0","id":"k-2","method":"resources/read","params":{"uri":"HALF LONG","_meta":7}}',
    '{"jsonrpc":"2.0","method":"notifications/LONG","params":{"uri":["x"],"_meta":[]}}',
    '{"jsonrpc":"2.0","method":"HALF","params":{"_meta":{"traceparent":"LONG","tracestate":"HALF"}}}',
    '{"jsonrpc":"2.0","id":"k-3","method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":{}}}}',
]


@pytest.mark.parametrize("text", HOSTILE)
@scene
async def test_whatever_a_client_makes_up_is_short_in_a_span_and_can_be_exported(dial: Dial, text: str) -> None:
    recorder = Recorder(server := Shop().server)
    async with dial(server) as wire:
        wire.send_bytes(text.replace("HALF", HALF).replace("LONG", "7" * 100_000).encode(), malformed=True)
        await wire.quiet()
        assert (await wire.call("ping")) == {}
    (name,) = {*recorder.names()} - {"ping"}
    (span,) = recorder.all(name)
    assert name in ("_OTHER", "resources/read")
    texts = [value for value in attributes(span).values() if isinstance(value, str)]
    assert max(map(len, texts)) < 1100
    assert "".join(texts).encode()


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("db://ada:hush-7741@host/table?at=a@b", "db://host/table?at=a@b"),
        ("db://hush-7741@host", "db://host"),
        ("shop://tea", "shop://tea"),
        ("db://hush-7741" + "7" * 2000 + "@host", "db://host"),
        ("mailto:ada@example.com", "mailto:ada@example.com"),
    ],
)
@scene
async def test_who_opens_a_resource_and_with_what_is_in_no_span(connect: Connect, uri: str, shown: str) -> None:
    recorder = Recorder(server := Shop().server)
    async with connect(server, MODERN) as client:
        client.request("resources/read", {"uri": uri})
        await client.wire.quiet()
    assert attributes(recorder.named("resources/read"))["mcp.resource.uri"] == shown


@scene
async def test_what_a_client_says_of_a_refusal_is_short_too(dial: Dial) -> None:
    recorder = Recorder(server := Shop().server)
    async with dial(server) as wire:
        await shake_hands(wire, **FORMS)
        call = wire.request("tools/call", {"name": "confirm"})
        wire.refuse(await wire.question(), -1, "7" * 100_000)
        await wire.answer(call)
    said = recorder.named("elicitation/create").status.description
    assert said == "7" * 1000


@scene
async def test_no_status_shows_a_secret(dial: Dial) -> None:
    recorder = Recorder(server := Shop().server)
    text = "no place for ghp_" + "a1" * 18

    @server.tool()
    def quote() -> str:
        raise ProtocolError(-32000, text)

    async with dial(server) as wire:
        await shake_hands(wire, **FORMS)
        await wire.answer(wire.request("tools/call", {"name": "quote"}))
        call = wire.request("tools/call", {"name": "confirm"})
        wire.refuse(await wire.question(), -1, text)
        await wire.answer(call)
    said = {recorder.named(name).status.description for name in ("elicitation/create", "tools/call quote")}
    assert said == {"no place for [redacted]"}


# --- over HTTP ---


@scene
async def test_over_http_the_spans_say_how_a_message_came() -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with visiting(shop.server) as site:
        guest, member = Modern(site), Member(site)
        refused = guest.ask("tools/call", {"name": "echo"}, {"mcp-name": "other", "traceparent": PARENT})
        assert await refused.started() == 400
        assert await site.post(b"{", malformed=True).started() == 400
        await member.open(**FORMS)
        visit = member.ask_tool("confirm")
        question = await visit.message()
        await member.reply(question, YES).whole()
        await visit.whole()
    mismatch, asked = recorder.named("tools/call"), recorder.named("elicitation/create")
    assert (mismatch.parent.span_id if mismatch.parent else 0) == int(SPAN, 16)  # of the headers
    assert attributes(mismatch)["error.type"] == "-32020"
    assert attributes(recorder.named("_OTHER"))["rpc.response.status_code"] == "-32700"
    heard = attributes(recorder.named("notifications/initialized"))
    assert (heard["network.transport"], heard["client.address"]) == ("tcp", "127.0.0.1")
    said, called = attributes(asked), attributes(recorder.named("tools/call confirm"))
    assert said["mcp.session.id"] == heard["mcp.session.id"] == called["mcp.session.id"]
    assert "client.address" not in said
    assert carried(question) == spell(asked)
