"""`requestState`: every state that must be refused is, and a test goes red for each check that is taken out."""

from __future__ import annotations

import base64
import functools
import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.stage import META, Dial, Json, scene, text_of

from mcp_kernel import Context, Server
from mcp_kernel.protocol import sealing
from mcp_kernel.testing.memory import Refused, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

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


async def is_refused(wire: Wire, state: object, name: str = "drop", answer: Json = YES, **arguments: object) -> str:
    retry = {"requestState": state, "inputResponses": {"confirm": answer}}
    identifier = wire.request("tools/call", params_of(name, retry, **arguments), malformed=not isinstance(state, str))
    answered: Any = await wire.answer(identifier)
    assert "error" in answered, answered
    assert answered["error"]["code"] == -32602
    return cast("str", answered["error"]["message"])


def answers(**given: Json) -> Json:
    return {"inputResponses": given}


@scene
async def test_a_state_of_a_server_with_another_key_is_refused(dial: Dial) -> None:
    async with (
        dial(make_server(key=b"other")) as other,
        dial(make_server(key=None)) as one,
        dial(make_server()) as wire,
    ):
        assert "not one of this server's" in await is_refused(wire, await ask(other))
        assert "not one of this server's" in await is_refused(wire, await ask(one))


@scene
async def test_the_key_may_come_from_the_environment(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_STATE_KEY", "one of many workers")
    monkeypatch.delattr("os.environb")  # Windows has none
    async with dial(make_server(key=None)) as first, dial(make_server(key=None)) as second:
        retry = {"requestState": await ask(first), **answers(confirm=YES)}
        assert text_of(await call(second, retry=retry)) == "dropped notes"


@scene
async def test_a_state_changed_in_any_byte_is_refused(dial: Dial) -> None:
    done: list[str] = []
    async with dial(make_server(done)) as wire:
        state = await ask(wire)
        for index in range(len(state)):
            await is_refused(wire, state[:index] + ("A" if state[index] != "A" else "B") + state[index + 1 :])
        for forged in (
            "",
            ".",
            state[:-1],
            state + "A",
            state.swapcase(),
            state.split(".")[0],
            "." + state.split(".")[1],
        ):
            await is_refused(wire, forged)
        assert done == []


@scene
async def test_an_answer_written_into_a_state_is_refused(dial: Dial) -> None:
    done: list[str] = []
    async with dial(make_server(done)) as wire:
        payload, signature = (await ask(wire)).split(".")
        body = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        body["answers"]["confirm"] = YES
        forged = base64.urlsafe_b64encode(json.dumps(body, separators=(",", ":")).encode()).rstrip(b"=").decode()
        await is_refused(wire, f"{forged}.{signature}")
        assert done == []


@scene
async def test_a_state_is_a_string(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        states: list[Any] = [1, True, {}, [], ["x"]]
        for state in states:
            await is_refused(wire, state)


@pytest.mark.parametrize(
    ("age", "accepted"), [(0.0, True), (sealing.MAX_AGE - 1, True), (sealing.MAX_AGE + 1, False), (1e9, False)]
)
@scene
async def test_a_state_lives_for_a_while(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, age: float, accepted: bool
) -> None:
    now = 1e9
    monkeypatch.setattr("time.time", lambda: now)
    async with dial(make_server()) as wire:
        state = await ask(wire)
        now += age
        if accepted:
            assert "dropped" in text_of(await call(wire, retry={"requestState": state, **answers(confirm=YES)}))
        else:
            assert "expired" in await is_refused(wire, state)


@pytest.mark.parametrize(("asker", "thief"), [("alice", "bob"), ("alice", None), (None, "alice"), ("alice", "Alice")])
@scene
async def test_a_state_is_of_one_principal(dial: Dial, asker: str | None, thief: str | None) -> None:
    async with dial(make_server(), principal=asker) as wire, dial(make_server(), principal=thief) as other:
        state = await ask(wire)
        assert "another principal" in await is_refused(other, state)
        assert text_of(await call(wire, retry={"requestState": state, **answers(confirm=YES)})) == "dropped notes"


@scene
async def test_a_state_is_of_one_request(dial: Dial) -> None:
    done: list[str] = []
    async with dial(make_server(done)) as wire:
        state = await ask(wire, table="notes")
        assert "another request" in await is_refused(wire, state, table="users")
        assert "another request" in await is_refused(wire, state, table="notes", force=True)
        assert "another request" in await is_refused(wire, state, "move", table="notes")
        assert "another request" in await is_refused(wire, state)
        retry = {"requestState": state, **answers(confirm=YES)}
        with pytest.raises(Refused, match="another request"):
            await wire.call("prompts/get", {"name": "letter", "_meta": ABLE, **retry})
        assert done == []


@scene
async def test_a_state_is_refused_even_where_nothing_would_be_asked(dial: Dial) -> None:
    server = make_server()

    @server.tool()
    async def hello() -> str:
        return "hello"

    async with dial(server) as wire:
        with pytest.raises(Refused):
            await call(wire, "hello", {"requestState": "made up"})
        with pytest.raises(Refused):
            await call(wire, "hello", {"requestState": await ask(wire)})
        assert text_of(await call(wire, "hello", answers(confirm=YES))) == "hello"


@scene
async def test_a_state_may_be_sent_twice(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        retry = {"requestState": await ask(wire), **answers(confirm=YES)}
        for _ in range(2):
            assert text_of(await call(wire, retry=retry)) == "dropped notes"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "letter"}, "argument": {"name": "to", "value": ""}},
        ),
    ],
)
@scene
async def test_what_cannot_ask_does_not_look_at_a_state(dial: Dial, method: str, params: Json) -> None:
    async with dial(make_server()) as wire:
        state = await ask(wire)
        for given in (state, "made up", 7):
            identifier = wire.request(method, {**params, "_meta": ABLE, "requestState": given}, malformed=True)
            assert "result" in await wire.answer(identifier)


@scene
async def test_a_state_tells_nothing_that_the_client_did_not_say_itself(dial: Dial) -> None:
    async with dial(make_server(), principal="alice@example.com") as wire:
        state = await ask(wire, table="payroll")
        payload = state.split(".")[0]
        opened = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        assert not any(word in opened for word in (b"payroll", b"alice", b"Delete", b"drop", KEY))


# Each check of a state, taken out of the source, and the test that must go red for it.
CHECKS: list[tuple[str, Callable[..., None]]] = [
    ("if not hmac.compare_digest(", test_an_answer_written_into_a_state_is_refused),
    ("if not hmac.compare_digest(", test_a_state_of_a_server_with_another_key_is_refused),
    ("if not now <", functools.partial(test_a_state_lives_for_a_while, age=1e9, accepted=False)),
    ('if payload["principal"]', functools.partial(test_a_state_is_of_one_principal, asker="alice", thief="bob")),
    ('if payload["request"]', test_a_state_is_of_one_request),
]


@pytest.mark.parametrize(("check", "test"), CHECKS, ids=[f"{number}" for number, _ in enumerate(CHECKS)])
def test_a_check_of_the_state_taken_out_is_noticed(
    monkeypatch: pytest.MonkeyPatch, dial: Dial, check: str, test: Callable[..., None]
) -> None:
    source = inspect.getsource(sealing)
    assert source.count(check) == 1
    without = dict(vars(sealing))
    exec(source.replace(check, check.replace("if ", "if False and ")), without)
    monkeypatch.setattr(sealing, "unseal", without["unseal"])
    patch = {"monkeypatch": monkeypatch} if "lives" in str(test) else {}
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(dial=dial, **patch)
