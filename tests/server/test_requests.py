"""What is answered and what is not: JSON-RPC's strictness, over a live server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import META, Connect, Dial, in_both_eras, modern, scene, shake_hands, text_of

from mcp_kernel import Context, Server

if TYPE_CHECKING:
    from mcp_kernel.protocol.jsonrpc import RequestId


def make_server() -> Server:
    server = Server("strict", "1")

    @server.tool()
    async def echo(text: str = "") -> str:
        return text

    @server.tool()
    async def wait() -> str:
        await asyncio.Event().wait()
        return "never"

    @server.tool()
    async def tell(ctx: Context) -> str:
        return f"{type(ctx.request_id).__name__} {ctx.request_id}"

    return server


IDS = [0, -1, 1, 2**53 + 1, 10**40, -(10**4299), "", "0", "1", "é", "\u0000", "x" * 5000]


@pytest.mark.parametrize("identifier", IDS, ids=lambda each: repr(each)[:20])
@pytest.mark.parametrize("params", [{}, {"_meta": META}], ids=["session", "stateless"])
@scene
async def test_an_id_comes_back_exactly(dial: Dial, identifier: RequestId, params: dict[str, Any]) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire)
        for method, more in [("tools/list", {}), ("tools/call", {"name": "echo"}), ("tools/call", {"name": "no such"})]:
            wire.request(method, {**more, **params}, id=identifier)
            answer = await wire.answer(identifier)
            assert (type(answer["id"]), answer["id"]) == (type(identifier), identifier)


@pytest.mark.parametrize("identifier", [None, True, 1.0, [], {}], ids=repr)
@scene
async def test_what_is_no_id_is_refused_without_one(dial: Dial, identifier: object) -> None:
    async with dial(make_server()) as wire:
        wire.send({"jsonrpc": "2.0", "id": identifier, "method": "ping"}, malformed=True)
        answer = await wire.answer(None)
        assert "id" not in answer
        assert (await wire.call("ping")) == {}


@in_both_eras
@scene
async def test_an_id_in_use_is_refused_and_the_first_request_goes_on(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        first = client.request("tools/call", {"name": "wait"})
        meta: dict[str, Any] = {} if revision < "2026" else {"_meta": META}
        for second in ("tools/call", "tools/list"):
            wire = client.wire
            wire.request(second, {"name": "echo", **meta}, id=first, malformed=True)
            error: Any = (await wire.answer(first))["error"]
            assert error["code"] == -32600
        assert list(client.wire.peer.exchanges) == [first]


@scene
async def test_the_same_id_as_text_is_another_one(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        wire.request("tools/call", modern(name="wait"), id=1)
        wire.request("tools/call", modern(name="tell"), id="1")
        answer: Any = await wire.answer("1")
        assert text_of(answer["result"]) == "str 1"


@scene
async def test_an_id_serves_again_once_it_is_answered(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        for _ in range(3):
            wire.request("tools/call", modern(name="echo"), id="same")
            assert "result" in await wire.answer("same")


@scene
async def test_both_eras_share_the_ids_of_a_pipe(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire)
        wire.request("tools/call", {"name": "wait"}, id=77)
        wire.request("tools/call", modern(name="echo"), id=77, malformed=True)
        error: Any = (await wire.answer(77))["error"]
        assert error["code"] == -32600


@pytest.mark.parametrize(
    "notification",
    [
        {"method": "notifications/initialized"},
        {"method": "notifications/no-such-thing"},
        {"method": "tools/list"},
        {"method": "initialize", "params": {}},
        {"method": "notifications/cancelled", "params": {}},
        {"method": "notifications/cancelled", "params": {"requestId": None}},
        {"method": "notifications/cancelled", "params": {"requestId": {"a": 1}}},
        {"method": "notifications/cancelled", "params": {"requestId": [1]}},
        {"method": "notifications/cancelled", "params": {"requestId": 4711}},
        {"method": "notifications/cancelled", "params": {"requestId": True}},
        {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}},
        {"method": "notifications/roots/list_changed"},
        {"method": "tools/call", "params": {"name": "echo", "_meta": META}},
        {"method": "tools/call", "params": {"name": "echo", "_meta": {"io.modelcontextprotocol/protocolVersion": 1}}},
    ],
    ids=lambda each: json.dumps(each)[:60],
)
@scene
async def test_a_notification_is_never_answered(dial: Dial, notification: dict[str, Any]) -> None:
    async with dial(make_server()) as wire:
        for _ in range(2):  # before the handshake and after
            wire.send({"jsonrpc": "2.0", **notification}, malformed=True)
            assert await wire.quiet() == []
            if not wire.received:
                await shake_hands(wire)


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 1, "result": {}},
        {"id": "1", "result": {}},
        {"id": 4711, "error": {"code": 1, "message": "no"}},
        {"error": {"code": -32700, "message": "no"}},
        {"id": None, "error": {"code": -32700, "message": "no"}},
    ],
    ids=lambda each: json.dumps(each)[:40],
)
@scene
async def test_an_answer_that_nobody_waits_for_is_let_pass(dial: Dial, answer: dict[str, Any]) -> None:
    async with dial(make_server()) as wire:
        wire.send({"jsonrpc": "2.0", **answer}, malformed=True)
        assert await wire.quiet() == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":NaN}}', -32700),
        (b"[" * 10_000, -32700),
        (b"17", -32600),
        (b"[]", -32600),
        (b'{"id":null}', -32600),
    ],
    ids=lambda each: repr(each)[:30],
)
@scene
async def test_garbage_is_answered_without_an_id_and_the_next_message_is_served(
    dial: Dial, data: bytes, code: int
) -> None:
    async with dial(make_server()) as wire:
        wire.send_bytes(data, malformed=True)
        answer: Any = await wire.answer(None)
        assert answer["error"]["code"] == code
        assert await wire.call("ping") == {}


@scene
async def test_a_notification_is_not_answered_however_broken(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        for params in ([], [1], "x", None, 5):
            wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}, malformed=True)
        assert await wire.call("ping") == {}
        assert [each for each in wire.received if "error" in each] == []


@scene
async def test_a_request_that_is_none_is_answered_under_its_id(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        broken: list[dict[str, Any]] = [
            {"method": "ping", "params": []},
            {"method": 1},
            {},
            {"method": "ping", "jsonrpc": "1.0"},
        ]
        for identifier, members in enumerate(broken):
            wire.send({"jsonrpc": "2.0", "id": identifier, **members}, malformed=True)
            answer: Any = await wire.answer(identifier)
            assert answer["error"]["code"] == -32600


@in_both_eras
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {"requestState": 5}),
        ("tools/list", {"requestState": "made up", "inputResponses": []}),
        ("tools/call", {"name": "echo", "task": {"ttl": 1}}),
        ("tools/call", {"name": "echo", "unknown": [1]}),
        (
            "completion/complete",
            {"requestState": {}, "ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}},
        ),
        ("prompts/get", {"name": "p", "extra": None}),
    ],
    ids=lambda each: json.dumps(each)[:40],
)
@scene
async def test_members_of_params_that_a_method_does_not_know_never_refuse_a_call(
    dial: Dial, revision: str, method: str, params: dict[str, Any]
) -> None:
    server = make_server()

    @server.prompt()
    def p() -> str:
        return "hi"

    async with dial(server) as wire:
        if revision < "2026":
            await shake_hands(wire)
            wire.request(method, params, id=9, malformed=True)
        else:
            wire.request(method, modern(**params), id=9, malformed=True)
        assert "result" in await wire.answer(9)


@in_both_eras
@scene
async def test_calls_run_at_once_and_are_answered_as_they_end(connect: Connect, revision: str) -> None:
    server = make_server()
    gates = {name: asyncio.Event() for name in "abc"}

    @server.tool()
    async def pass_gate(name: str) -> str:
        await gates[name].wait()
        return name

    async with connect(server, revision) as client:
        ids = {name: client.request("tools/call", {"name": "pass_gate", "arguments": {"name": name}}) for name in "abc"}
        for name in "cab":
            gates[name].set()
            answer: Any = await client.wire.answer(ids[name])
            assert text_of(answer["result"]) == name


@scene
async def test_hundreds_of_calls_at_once_are_all_answered(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        ids = [wire.request("tools/call", modern(name="echo", arguments={"text": str(n)})) for n in range(300)]
        texts: list[str] = []
        for identifier in ids:
            answer: Any = await wire.answer(identifier)
            texts.append(text_of(answer["result"]))
        assert texts == [str(n) for n in range(300)]
