"""Multi round-trip requests: what a retry may carry, and every state that must be refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.stage import META, Dial, Json, scene, text_of

from mcp_kernel import Context, Server
from mcp_kernel.protocol import sealing
from mcp_kernel.testing.memory import Refused, Wire

if TYPE_CHECKING:
    pass

ABLE: Json = {**META, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "roots": {}}}
YES: Json = {"action": "accept", "content": {"sure": True}}
KEY = b"the same in every worker"


@dataclass
class Confirm:
    sure: bool
    reason: str = ""


def make_server(done: list[str] | None = None, key: bytes | None = KEY) -> Server:
    server = Server("asker", "1", state_key=key)

    @server.tool()
    async def drop(ctx: Context, table: str = "notes", force: bool = False) -> str:
        answer = await ctx.elicit("confirm", f"Delete {table}?", Confirm)
        if done is not None:
            done.append(table)
        return f"dropped {table} {answer.reason}".strip()

    @server.tool()
    async def move(ctx: Context, table: str = "notes") -> str:
        await ctx.elicit("confirm", f"Delete {table}?", Confirm)
        return f"moved {table}"

    @server.tool()
    async def interview(ctx: Context) -> str:
        first = await ctx.elicit("first", "One?", Confirm)
        second = await ctx.elicit("second", "Two?", Confirm)
        return f"{first.reason} {second.reason}"

    @server.prompt()
    async def letter(ctx: Context) -> str:
        await ctx.elicit("confirm", "Delete notes?", Confirm)
        return "Dear"

    return server


def params_of(name: str = "drop", retry: Json | None = None, **arguments: object) -> Json:
    return {"name": name, "arguments": arguments, "_meta": ABLE, **(retry or {})}


async def call(wire: Wire, name: str = "drop", retry: Json | None = None, **arguments: object) -> Json:
    return await wire.call("tools/call", params_of(name, retry, **arguments))


async def ask(wire: Wire, name: str = "drop", **arguments: Any) -> str:
    """Call a tool that asks and return its state."""
    result = await call(wire, name, **arguments)
    assert result["resultType"] == "input_required"
    return cast("str", result["requestState"])


def answers(**given: Json) -> Json:
    return {"inputResponses": given}


@scene
async def test_a_call_that_asks_is_answered_on_its_retry(dial: Dial) -> None:
    done: list[str] = []
    async with dial(make_server(done)) as wire:
        asks = await call(wire)
        assert set(asks) == {"resultType", "inputRequests", "requestState", "_meta"}
        assert set(cast("Json", asks["inputRequests"])) == {"confirm"}
        assert done == []
        retry = {"requestState": asks["requestState"], **answers(confirm=YES)}
        assert text_of(await call(wire, retry=retry)) == "dropped notes"
        assert done == ["notes"]


@scene
async def test_a_retry_may_reach_another_process_with_the_same_key(dial: Dial) -> None:
    async with dial(make_server()) as first, dial(make_server()) as second:
        retry = {"requestState": await ask(first), **answers(confirm=YES)}
        assert text_of(await call(second, retry=retry)) == "dropped notes"


@scene
async def test_answers_may_come_without_a_state(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        assert text_of(await call(wire, retry=answers(confirm=YES))) == "dropped notes"
        asks = await call(
            wire, "interview", answers(first={"action": "accept", "content": {"sure": True, "reason": "a"}})
        )
        assert list(cast("Json", asks["inputRequests"])) == ["second"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"other": YES},
        {"Confirm": YES},
        {"confirm": None},
        {"confirm": []},
        {"confirm": "yes"},
        {"confirm": {}},
        {"confirm": {"action": "maybe"}},
        {"confirm": {"action": "accept"}},
        {"confirm": {"action": "accept", "content": None}},
        {"confirm": {"action": "accept", "content": {}}},
        {"confirm": {"action": "accept", "content": []}},
        {"confirm": {"action": "accept", "content": {"sure": "perhaps"}}},
        {"confirm": {"action": "accept", "content": {"sure": "yes"}}},
        {"confirm": {"action": "accept", "content": {"sure": 1}}},
        {"confirm": {"action": "accept", "content": {"sure": None}}},
        {"confirm": {"action": "accept", "content": {"sure": True, "reason": 5}}},
        {"confirm": {"roots": []}},
    ],
    ids=lambda each: json.dumps(each)[:60],
)
@pytest.mark.parametrize("with_state", [True, False])
@scene
async def test_what_is_no_answer_is_asked_again(dial: Dial, given: Json, with_state: bool) -> None:
    done: list[str] = []
    async with dial(make_server(done)) as wire:
        retry: Json = {"inputResponses": given}
        if with_state:
            retry["requestState"] = await ask(wire)
        identifier = wire.request("tools/call", params_of(retry=retry), malformed=True)
        asks: Any = (await wire.answer(identifier))["result"]
        assert asks["resultType"] == "input_required"
        assert list(asks["inputRequests"]) == ["confirm"]
        again = {"requestState": asks["requestState"], **answers(confirm=YES)}
        assert text_of(await call(wire, retry=again)) == "dropped notes"
        assert done == ["notes"]


@scene
async def test_answers_to_what_was_not_asked_are_passed_over(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        retry = {
            "requestState": await ask(wire),
            **answers(confirm=YES, more={"action": "accept"}, roots={"roots": []}),
        }
        assert text_of(await call(wire, retry=retry)) == "dropped notes"


@scene
async def test_what_was_answered_is_remembered_by_the_state_alone(dial: Dial) -> None:
    first = {"action": "accept", "content": {"sure": True, "reason": "a"}}
    second = {"action": "accept", "content": {"sure": True, "reason": "b"}}
    async with dial(make_server()) as wire:
        early = await ask(wire, "interview")
        asks = await call(wire, "interview", {"requestState": early, **answers(first=first)})
        assert list(cast("Json", asks["inputRequests"])) == ["second"]
        late = asks["requestState"]
        assert text_of(await call(wire, "interview", {"requestState": late, **answers(second=second)})) == "a b"
        asks = await call(wire, "interview", {"requestState": early, **answers(second=second)})
        assert list(cast("Json", asks["inputRequests"])) == ["first"]


@scene
async def test_a_question_that_changed_meanwhile_is_asked_again(dial: Dial) -> None:
    server = Server("s", "1", state_key=KEY)
    price = 5

    @server.tool()
    async def buy(ctx: Context) -> str:
        await ctx.elicit("confirm", f"Pay {price}?", Confirm)
        return f"paid {price}"

    async with dial(server) as wire:
        state = await ask(wire, "buy")
        price = 500
        asks: Any = await call(wire, "buy", {"requestState": state, **answers(confirm=YES)})
        assert asks["inputRequests"]["confirm"]["params"]["message"] == "Pay 500?"
        retry = {"requestState": asks["requestState"], **answers(confirm=YES)}
        assert text_of(await call(wire, "buy", retry)) == "paid 500"


@scene
async def test_an_answer_to_a_question_that_changed_after_it_is_not_kept(dial: Dial) -> None:
    server = Server("s", "1", state_key=KEY)
    price = 5

    @server.tool()
    async def buy(ctx: Context) -> str:
        await ctx.elicit("confirm", f"Pay {price}?", Confirm)
        await ctx.elicit("gift", "Wrap it?", Confirm)
        return f"paid {price}"

    async with dial(server) as wire:
        asks = await call(wire, "buy", {"requestState": await ask(wire, "buy"), **answers(confirm=YES)})
        assert list(cast("Json", asks["inputRequests"])) == ["gift"]
        price = 500
        asks = await call(wire, "buy", {"requestState": asks["requestState"], **answers(gift=YES)})
        assert list(cast("Json", asks["inputRequests"])) == ["confirm"]


@scene
async def test_a_question_is_not_answered_by_another_kind_of_answer(dial: Dial) -> None:
    server = Server("s", "1")

    @server.tool()
    async def where(ctx: Context) -> str:
        return str(len(await ctx.roots()))

    broken: list[Json] = [
        {"roots": None},
        {"roots": [{}]},
        {"roots": [{"uri": 1}]},
        {"roots": [None]},
        {"roots": ["x"]},
        YES,
    ]
    async with dial(server) as wire:
        for given in broken:
            identifier = wire.request("tools/call", params_of("where", answers(roots=given)), malformed=True)
            result: Any = (await wire.answer(identifier))["result"]
            assert result["resultType"] == "input_required"
        assert text_of(await call(wire, "where", answers(roots={"roots": []}))) == "0"


@pytest.mark.parametrize(
    "given",
    [
        {"role": "assistant"},
        {"role": "assistant", "model": "m"},
        {"role": "assistant", "model": "m", "content": "text"},
        {"role": "assistant", "model": "m", "content": [1]},
        {"role": "assistant", "model": "m", "content": {"text": "x"}},
        {"role": "assistant", "content": {"type": "text", "text": "x"}},
        {"role": 1, "model": "m", "content": {"type": "text", "text": "x"}},
        {"role": "assistant", "model": "m", "content": {"type": "text"}},
        {"role": "assistant", "model": "m", "content": []},
    ],
    ids=lambda each: json.dumps(each)[:60],
)
@scene
async def test_a_broken_sample_is_asked_again(dial: Dial, given: Json) -> None:
    server = Server("s", "1")

    @server.tool()
    async def rhyme(ctx: Context) -> str:
        return f"[{(await ctx.sample('rhyme', 'hat')).text}]"

    meta: Json = {**META, "io.modelcontextprotocol/clientCapabilities": {"sampling": {}}}
    async with dial(server) as wire:
        params: Json = {"name": "rhyme", "_meta": meta, "inputResponses": {"rhyme": given}}
        identifier = wire.request("tools/call", params, malformed=True)
        result: Any = (await wire.answer(identifier))["result"]
        expected = "complete" if given.get("content") == [] else "input_required"
        assert result["resultType"] == expected


@scene
async def test_a_schema_given_as_a_mapping_is_held_to(dial: Dial) -> None:
    schema: Json = {
        "type": "object",
        "properties": {
            "size": {"type": "string", "enum": ["s", "l"]},
            "count": {"type": "integer", "minimum": 1},
            "gift": {"type": "boolean"},
            "colours": {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}, "minItems": 1},
        },
        "required": ["size"],
    }
    server = Server("s", "1")

    @server.tool()
    async def order(ctx: Context) -> str:
        return json.dumps(await ctx.elicit("order", "What?", schema))

    misfits: list[Json] = [
        {},
        {"size": "xl"},
        {"size": 1},
        {"size": "s", "count": "1"},
        {"size": "s", "count": 0},
        {"size": "s", "gift": "yes"},
        {"size": "s", "colours": ["green"]},
        {"size": "s", "colours": []},
        {"size": "s", "colours": "red"},
    ]
    async with dial(server) as wire:
        for content in misfits:
            given = {"action": "accept", "content": content}
            asks = await call(wire, "order", answers(order=given))
            assert asks["resultType"] == "input_required", content
        good: Json = {"size": "s", "count": 1, "gift": False, "colours": ["red"]}
        said = text_of(await call(wire, "order", answers(order={"action": "accept", "content": good})))
        assert json.loads(said) == good


@scene
async def test_a_completion_that_asks_is_an_error_and_never_a_question(dial: Dial) -> None:
    server = make_server()

    @server.complete("letter", "to")
    async def to(value: str, ctx: Context) -> list[str]:
        await ctx.roots()
        return []

    async with dial(server) as wire:
        ref = {"type": "ref/prompt", "name": "letter"}
        params: Json = {"ref": ref, "argument": {"name": "to", "value": ""}, "_meta": ABLE}
        with pytest.raises(Refused) as caught:
            await wire.call("completion/complete", params)
        assert caught.value.code == -32603


@scene
async def test_no_stateless_request_causes_a_request_of_the_server(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await ask(wire)
        await ask(wire, "interview")
        assert [message for message in wire.received if "method" in message] == []
        assert len(wire.peer.calls) == 0


def _same(*parts: object) -> str:
    return "the same"


def test_the_check_that_a_question_is_the_same_taken_out_is_noticed(
    monkeypatch: pytest.MonkeyPatch, dial: Dial
) -> None:
    monkeypatch.setattr(sealing, "digest", _same)
    with pytest.raises(KeyError, match="inputRequests"):
        test_an_answer_to_a_question_that_changed_after_it_is_not_kept(dial)
