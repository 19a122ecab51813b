"""The roots of a client: asked for in each call, or followed by a server that wants to know them all the time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from tests.stage import (
    LEGACY,
    MODERN,
    Connect,
    Dial,
    Json,
    elapse,
    in_both_eras,
    in_every_revision,
    in_every_session,
    scene,
    scene_out_of_time,
    shake_hands,
    text_of,
)

from mcp_kernel import Context, Server, ToolError

if TYPE_CHECKING:
    from mcp_kernel.testing.memory import Wire

ABLE: Json = {"roots": {}}
CHANGED = "notifications/roots/list_changed"


def make_server(*, follow_roots: bool = True) -> Server:
    server = Server("rooted", "1", follow_roots=follow_roots)

    @server.tool()
    async def where(ctx: Context) -> str:
        return " ".join(root.uri for root in await ctx.roots())

    @server.tool()
    async def both(ctx: Context) -> str:
        one, two = await asyncio.gather(ctx.roots(), ctx.roots())
        return f"{len(one)} {one == two}"

    @server.tool()
    async def insist(ctx: Context) -> str:
        try:
            await ctx.roots()
        except ToolError:
            return " ".join(root.uri for root in await ctx.roots())
        return "told at once"

    return server


def roots(*names: str) -> Json:
    return {"roots": [{"uri": f"file:///{name}"} for name in names]}


def asked(wire: Wire) -> int:
    """How often the server asked for the roots."""
    return sum(each.get("method") == "roots/list" for each in wire.received)


def call(wire: Wire, tool: str = "where") -> int:
    identifier = wire.request("tools/call", {"name": tool, "arguments": {}})
    assert isinstance(identifier, int)
    return identifier


async def result(wire: Wire, identifier: int) -> Json:
    return cast("Json", (await wire.answer(identifier))["result"])


async def said(wire: Wire, identifier: int) -> str:
    return text_of(await result(wire, identifier))


async def begin(wire: Wire, capabilities: Json, *, malformed: bool = False) -> None:
    """The first half of a handshake."""
    info = {"name": "t", "version": "1"}
    params: Json = {"protocolVersion": LEGACY[-1], "capabilities": capabilities, "clientInfo": info}
    await wire.answer(wire.request("initialize", params, malformed=malformed))


@in_every_session
@scene
async def test_a_session_is_asked_once_and_the_calls_know(dial: Dial, revision: str) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, revision, roots={})
        wire.reply(await wire.question("roots/list"), roots("a", "b"))
        assert [await said(wire, call(wire)) for _ in range(3)] == ["file:///a file:///b"] * 3
        assert asked(wire) == 1


@scene
async def test_the_question_comes_after_initialized_and_not_twice(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await begin(wire, {"roots": {}})
        wire.notify(CHANGED)
        assert await wire.quiet() == []
        wire.notify("notifications/initialized")
        wire.reply(await wire.question("roots/list"), roots())
        wire.notify("notifications/initialized")
        await wire.quiet()
        assert asked(wire) == 1


@scene
async def test_a_call_waits_for_the_answer_to_the_open_question(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={})
        early = [call(wire), call(wire)]
        await wire.quiet()
        assert asked(wire) == 1
        wire.reply(await wire.question("roots/list"), roots("a"))
        assert [await said(wire, each) for each in early] == ["file:///a"] * 2


@scene
async def test_changed_roots_are_asked_for_and_the_old_ones_are_forgotten_at_once(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={"listChanged": True})
        wire.reply(await wire.question("roots/list"), roots("old"))
        assert await said(wire, call(wire)) == "file:///old"
        wire.notify(CHANGED)
        waiting = call(wire)
        await wire.quiet()
        assert not wire.was_answered(waiting)
        wire.reply(await wire.question("roots/list"), roots("new"))
        assert await said(wire, waiting) == "file:///new"
        assert asked(wire) == 2


@pytest.mark.parametrize("calling", [False, True])
@scene
async def test_many_changes_behind_an_open_question_make_one_more(dial: Dial, calling: bool) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={"listChanged": True})
        waiting = call(wire) if calling else None
        for _ in range(5):
            wire.notify(CHANGED)
        await wire.quiet()
        assert asked(wire) == 1
        wire.reply(await wire.question("roots/list"), roots("old"))
        second = await wire.question("roots/list")
        assert waiting is None or not wire.was_answered(waiting), "what is known to be out of date is no answer"
        wire.reply(second, roots("new"))
        assert await said(wire, waiting or call(wire)) == "file:///new"
        await wire.quiet()
        assert asked(wire) == 2


@scene
async def test_an_answer_from_before_a_change_does_not_count_when_the_next_is_refused(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={"listChanged": True})
        wire.notify(CHANGED)
        wire.reply(await wire.question("roots/list"), roots("old"))
        wire.refuse(await wire.question("roots/list"))
        waiting = call(wire)
        wire.reply(await wire.question("roots/list"), roots("new"))
        assert await said(wire, waiting) == "file:///new"


UNFIT: list[Json | None] = [{"roots": None}, {"roots": [{}]}, {}, None]


@pytest.mark.parametrize("unfit", UNFIT, ids=repr)
@scene
async def test_after_a_refused_or_unfit_answer_a_call_asks_by_itself(dial: Dial, unfit: Json | None) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={})
        question = await wire.question("roots/list")
        if unfit is None:
            wire.refuse(question)
        else:
            wire.send({"jsonrpc": "2.0", "id": question["id"], "result": unfit}, malformed=True)
        await wire.quiet()
        assert asked(wire) == 1
        first = call(wire)
        wire.reply(await wire.question("roots/list"), roots("a"))
        assert await said(wire, first) == "file:///a"
        assert await said(wire, call(wire)) == "file:///a"
        assert asked(wire) == 2, "what a call was told is known to the session"


@scene
async def test_what_a_call_was_told_before_a_change_is_not_kept(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={"listChanged": True})
        wire.refuse(await wire.question("roots/list"))
        first = call(wire)
        own = await wire.question("roots/list")
        wire.notify(CHANGED)
        followed = await wire.question("roots/list")
        wire.reply(own, roots("old"))
        assert await said(wire, first) == "file:///old"
        wire.refuse(followed)
        second = call(wire)
        wire.reply(await wire.question("roots/list"), roots("new"))
        assert await said(wire, second) == "file:///new"


@scene_out_of_time
async def test_a_question_that_is_never_answered_keeps_no_call_for_ever(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        wire.patience = 100.0
        await shake_hands(wire, roots={})
        lost = await wire.question("roots/list")
        waiting = call(wire)
        own = await wire.question("roots/list")
        (withdrawn,) = wire.notifications("notifications/cancelled")
        assert cast("Json", withdrawn["params"])["requestId"] == lost["id"]
        wire.reply(own, roots("a"))
        assert await said(wire, waiting) == "file:///a"
        wire.reply(lost, roots("late"))
        assert await said(wire, call(wire)) == "file:///a"


@scene_out_of_time
async def test_all_calls_go_on_when_one_gives_up_the_question(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        wire.patience = 100.0
        await shake_hands(wire, roots={})
        await wire.question("roots/list")
        first = call(wire)
        await elapse(6)
        second = call(wire)
        await elapse(5)
        for waiting, name in ((first, "a"), (second, "b")):
            wire.reply(await wire.question("roots/list"), roots(name))
            assert await said(wire, waiting) == f"file:///{name}"


@pytest.mark.parametrize("follow_roots", [False, True])
@scene
async def test_what_may_not_ask_is_told_no_roots_either(dial: Dial, follow_roots: bool) -> None:
    server = make_server(follow_roots=follow_roots)
    why: list[str] = []

    @server.prompt()
    async def greet(name: str) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        return name

    @server.complete("greet", "name")
    async def complete(value: str, ctx: Context) -> list[str]:
        try:
            return [root.uri for root in await ctx.roots()]
        except RuntimeError as error:
            why.append(str(error))
            return []

    async with dial(server) as wire:
        await shake_hands(wire, roots={})
        if follow_roots:
            wire.reply(await wire.question("roots/list"), roots("a"))
        ref = {"type": "ref/prompt", "name": "greet"}
        await wire.call("completion/complete", {"ref": ref, "argument": {"name": "name", "value": ""}})
        assert why == ["completion/complete cannot ask the client anything"]


@pytest.mark.parametrize("capabilities", [{}, {"roots": None}], ids=str)
@scene
async def test_a_client_without_roots_is_asked_nothing(dial: Dial, capabilities: Json) -> None:
    async with dial(make_server()) as wire:
        await begin(wire, capabilities, malformed=bool(capabilities))
        wire.notify("notifications/initialized")
        wire.notify(CHANGED)
        assert (await result(wire, call(wire)))["isError"] is True
        assert asked(wire) == 0


@scene
async def test_a_closed_connection_leaves_no_question_behind(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire, roots={})
        await wire.question("roots/list")
        call(wire)
        await wire.quiet()
        await wire.close()
        assert len(wire.peer.calls) == 0
        assert not wire.peer.exchanges


# --- in each call ---


@in_every_revision
@pytest.mark.parametrize("follow_roots", [False, True])
@scene
async def test_two_who_ask_at_once_share_one_question(connect: Connect, revision: str, follow_roots: bool) -> None:
    server = make_server(follow_roots=follow_roots)
    async with connect(server, revision, capabilities=ABLE, answer=lambda method, params: roots("a")) as client:
        assert text_of(await client.call_tool("both")) == "1 True"
        assert client.asked == [("roots/list", {})]


@in_both_eras
@pytest.mark.parametrize("follow_roots", [False, True])
@scene
async def test_a_session_is_remembered_and_nothing_else(connect: Connect, revision: str, follow_roots: bool) -> None:
    server = make_server(follow_roots=follow_roots)
    async with connect(server, revision, capabilities=ABLE, answer=lambda method, params: roots("a")) as client:
        for _ in range(3):
            assert text_of(await client.call_tool("where")) == "file:///a"
        assert len(client.asked) == (1 if follow_roots and revision != MODERN else 3)


@scene
async def test_without_the_option_a_session_is_asked_in_calls_alone(dial: Dial) -> None:
    async with dial(make_server(follow_roots=False)) as wire:
        await shake_hands(wire, roots={"listChanged": True})
        wire.notify(CHANGED)
        await wire.quiet()
        assert asked(wire) == 0


@pytest.mark.parametrize("follow_roots", [False, True])
@scene
async def test_a_refused_question_may_be_asked_again_in_the_same_call(dial: Dial, follow_roots: bool) -> None:
    async with dial(make_server(follow_roots=follow_roots)) as wire:
        await shake_hands(wire, roots={})
        if follow_roots:
            wire.refuse(await wire.question("roots/list"))
        insisting = call(wire, "insist")
        wire.refuse(await wire.question("roots/list"))
        wire.reply(await wire.question("roots/list"), roots("a"))
        assert await said(wire, insisting) == "file:///a"
