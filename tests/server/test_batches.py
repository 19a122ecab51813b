"""Batches: of one revision, inside its session, and answered as one."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from tests.stage import LEGACY, META, Dial, scene, shake_hands

from mcp_kernel import Server
from mcp_kernel.protocol.jsonrpc import JsonObject

PING: JsonObject = {"jsonrpc": "2.0", "id": "p", "method": "ping"}
NOTE: JsonObject = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def make_server(gate: asyncio.Event | None = None) -> Server:
    server = Server("batched", "1")

    @server.tool()
    async def echo(text: str) -> str:
        return text

    @server.tool()
    async def wait() -> str:
        await cast("asyncio.Event", gate).wait()
        return "done"

    return server


def call(identifier: object, name: str, **arguments: object) -> JsonObject:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": params}


@scene
async def test_a_batch_is_answered_as_one(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, "2025-03-26")
        await wire.receive()
        wire.send([call(1, "echo", text="a"), NOTE, call("b", "echo", text="b"), PING])
        answers: list[Any] = json.loads(await wire.receive())
        assert {answer["id"] for answer in answers} == {1, "b", "p"}


@scene
async def test_a_batch_waits_for_its_slowest_and_lets_others_pass(dial: Dial) -> None:
    gate = asyncio.Event()
    async with dial(make_server(gate)) as wire:
        await shake_hands(wire, "2025-03-26")
        wire.send([call(11, "wait"), call(12, "echo", text="b")])
        assert await wire.call("ping") == {}
        assert not wire.was_answered(12)
        gate.set()
        assert {(await wire.answer(11))["id"], (await wire.answer(12))["id"]} == {11, 12}
        assert sum(message.get("id") in (11, 12) for message in wire.received) == 2


@scene
async def test_a_batch_of_notifications_is_not_answered(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, "2025-03-26")
        wire.send([NOTE, NOTE])
        assert await wire.quiet() == []


@scene
async def test_a_bad_member_is_refused_and_the_others_count(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, "2025-03-26")
        await wire.receive()
        wire.send_bytes(b'[1,{"id":5,"method":"ping"},%b,[]]' % json.dumps(PING).encode(), malformed=True)
        answers: list[Any] = json.loads(await wire.receive())
        assert [answer.get("id") for answer in answers] == [None, 5, "p", None]
        assert [answer.get("error", {}).get("code") for answer in answers] == [-32600, -32600, None, -32600]
        assert all("id" not in answer or answer["id"] is not None for answer in answers)


@scene
async def test_an_empty_batch_is_invalid(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, "2025-03-26")
        wire.send([], malformed=True)
        error: Any = (await wire.answer(None))["error"]
        assert error["code"] == -32600


@scene
async def test_initialize_never_goes_into_a_batch(dial: Dial) -> None:
    hello: dict[str, Any] = {
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    request: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    async with dial(make_server()) as wire:
        wire.send([{**request, "id": 98}], malformed=True)
        assert cast("Any", await wire.answer(None))["error"]["code"] == -32600
        assert not wire.peer.session.is_open
        await shake_hands(wire, "2025-03-26")
        wire.send([{**request, "id": 99}, PING], malformed=True)
        assert cast("Any", await wire.answer(99))["error"]["code"] == -32600
        assert (await wire.answer("p"))["result"] == {}


@pytest.mark.parametrize("revision", [name for name in LEGACY if name != "2025-03-26"])
@scene
async def test_other_revisions_have_no_batches(dial: Dial, revision: str) -> None:
    async with dial(make_server()) as wire:
        wire.send([PING], malformed=True)
        assert cast("Any", await wire.answer(None))["error"]["code"] == -32600
        await shake_hands(wire, revision)
        wire.send([PING], malformed=True)
        assert cast("Any", await wire.answer(None))["error"]["code"] == -32600
        assert not wire.was_answered("p")


@scene
async def test_stateless_requests_have_no_batches(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        wire.send([{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}], malformed=True)
        assert cast("Any", await wire.answer(None))["error"]["code"] == -32600


@scene
async def test_a_call_taken_back_leaves_its_batch(dial: Dial) -> None:
    async with dial(make_server(asyncio.Event())) as wire:
        await shake_hands(wire, "2025-03-26")
        await wire.receive()
        wire.send([call(11, "wait"), call(12, "echo", text="b")])
        wire.cancel(11)
        answers: list[Any] = json.loads(await wire.receive())
        assert [answer["id"] for answer in answers] == [12]


@scene
async def test_the_same_id_twice_in_a_batch_is_answered_once_for_each(dial: Dial) -> None:
    async with dial(make_server(asyncio.Event())) as wire:
        await shake_hands(wire, "2025-03-26")
        await wire.receive()
        wire.send([call(11, "wait"), call(11, "echo", text="b")], malformed=True)
        wire.cancel(11)
        answers: list[Any] = json.loads(await wire.receive())
        assert [answer["error"]["code"] for answer in answers] == [-32600]
