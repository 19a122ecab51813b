"""How calls end before their time: taken back, out of time, parked, hung up on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import (
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

if TYPE_CHECKING:
    pass

ABLE: Json = {**META, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
YES: Json = {"action": "accept", "content": {"sure": True}}


@dataclass
class Confirm:
    sure: bool


class Trace(list[str]):
    """What happened, in its order."""


def make_server(trace: Trace, timeout: float | None = 60.0) -> Server:
    server = Server("s", "1", timeout=timeout)

    @server.tool()
    async def wait(ctx: Context) -> str:
        trace.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            trace.append("cancelled")
            await ctx.log("error", "too late")
            await ctx.progress(99)
            raise
        return "never"

    @server.tool()
    async def wait_in_tasks() -> str:
        async def inner(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                trace.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(inner("one"))
            group.create_task(inner("two"))
        return "never"

    @server.tool()
    async def refuse_to_end() -> str:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                trace.append("swallowed")
                return "an answer nobody wants"
        return "never"

    return server


@in_every_revision
@scene
async def test_a_call_taken_back_is_stopped_and_never_answered(connect: Connect, revision: str) -> None:
    trace = Trace()
    async with connect(make_server(trace), revision) as client:
        identifier = client.request("tools/call", {"name": "wait", "_meta": {"progressToken": 1}})
        client.wire.cancel(identifier)
        assert await client.wire.quiet() == []
        assert trace == ["began", "cancelled"]
        assert client.wire.peer.exchanges == {}
        assert "tools" in await client.call("tools/list")


@in_both_eras
@scene
async def test_the_tasks_of_a_call_taken_back_are_stopped_too(connect: Connect, revision: str) -> None:
    trace = Trace()
    async with connect(make_server(trace), revision) as client:
        identifier = client.request("tools/call", {"name": "wait_in_tasks"})
        await client.wire.quiet()
        client.wire.cancel(identifier)
        assert await client.wire.quiet() == []
        assert sorted(trace) == ["one", "two"]


@in_both_eras
@scene
async def test_a_handler_that_swallows_its_end_is_not_heard(connect: Connect, revision: str) -> None:
    trace = Trace()
    async with connect(make_server(trace), revision) as client:
        identifier = client.request("tools/call", {"name": "refuse_to_end"})
        client.wire.cancel(identifier)
        assert await client.wire.quiet() == []
        assert trace == ["swallowed"]


@in_both_eras
@scene
async def test_a_call_taken_back_twice_or_after_its_answer_changes_nothing(connect: Connect, revision: str) -> None:
    trace = Trace()
    async with connect(make_server(trace), revision) as client:
        identifier = client.request("tools/call", {"name": "wait"})
        client.wire.cancel(identifier)
        client.wire.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": identifier}}, malformed=True
        )
        assert await client.wire.quiet() == []
        assert trace == ["began", "cancelled"]


@scene
async def test_the_id_as_text_takes_nothing_back(dial: Dial) -> None:
    trace = Trace()
    async with dial(make_server(trace)) as wire:
        wire.request("tools/call", modern(name="wait"), id=1)
        for identifier in ("1", 1.0, True):
            params: Json = {"requestId": identifier}
            wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}, malformed=True)
        await wire.quiet()
        assert trace == ["began"]


@in_both_eras
@scene
async def test_an_id_serves_again_after_it_was_taken_back(connect: Connect, revision: str) -> None:
    trace = Trace()
    async with connect(make_server(trace), revision) as client:
        first = client.request("tools/call", {"name": "wait"})
        client.wire.cancel(first)
        await client.wire.quiet()
        meta: Json = {"_meta": META} if revision == MODERN else {}
        client.wire.request("tools/list", meta, id=first, malformed=True)
        assert "result" in await client.wire.answer(first)


def make_asking_server() -> Server:
    server = Server("s", "1")

    @server.tool()
    async def ask(ctx: Context) -> str:
        await ctx.elicit("q", "Sure?", Confirm)
        return "done"

    @server.tool()
    async def ask_two(ctx: Context) -> str:
        await asyncio.gather(ctx.elicit("a", "A?", Confirm), ctx.elicit("b", "B?", Confirm))
        return "done"

    return server


@scene
async def test_a_question_is_taken_back_with_its_call(connect: Connect) -> None:
    async with connect(make_asking_server(), "2025-11-25", capabilities={"elicitation": {}}) as client:
        wire = client.wire
        wire.on_question = None
        identifier = client.request("tools/call", {"name": "ask_two"})
        questions = [await wire.question(), await wire.question()]
        wire.cancel(identifier)
        withdrawn: list[Any] = [await wire.notification("notifications/cancelled") for _ in questions]
        assert [each["params"]["requestId"] for each in withdrawn] == [each["id"] for each in questions]
        assert len(wire.peer.calls) == 0
        wire.reply(questions[0], YES)
        assert await wire.quiet() == []


@scene
async def test_a_question_that_a_failed_handler_left_open_is_taken_back(connect: Connect) -> None:
    async with connect(make_asking_server(), "2025-11-25", capabilities={"elicitation": {}}) as client:
        wire = client.wire
        wire.on_question = None
        identifier = client.request("tools/call", {"name": "ask_two"})
        first, second = await wire.question(), await wire.question()
        wire.reply(first, {"action": "decline"})
        answer: Any = await wire.answer(identifier)
        assert answer["result"]["isError"] is True
        withdrawn: Any = await wire.notification("notifications/cancelled")
        assert withdrawn["params"]["requestId"] == second["id"]


CARELESS = ["exception", "base exception", "finally", "shield", "wait_for", "another task", "and asks again"]


def make_careless_server(trace: Trace) -> Server:
    server = Server("s", "1")

    @server.tool()
    async def ask(how: str, ctx: Context) -> str:
        question = ctx.elicit("q", "Sure?", Confirm)
        try:
            match how:
                case "shield":
                    await asyncio.shield(question)
                case "wait_for":
                    await asyncio.wait_for(question, 50)
                case "another task":
                    await asyncio.create_task(question)
                case _:
                    await question
        except Exception as error:  # a careless handler
            trace.append(f"caught {error!r}")
        except BaseException:
            if how == "exception":
                raise
            trace.append("cancelled")
            if how == "and asks again":
                await ctx.elicit("r", "Really?", Confirm)
            elif how == "finally":
                await asyncio.sleep(0)
                raise
            return "an answer nobody wants"
        trace.append("acted")
        return "done"

    return server


@pytest.mark.parametrize("how", CARELESS)
@scene
async def test_a_parked_handler_does_no_harm_however_careless_it_is(dial: Dial, how: str) -> None:
    trace = Trace()
    async with dial(make_careless_server(trace)) as wire:
        params: Json = {"name": "ask", "arguments": {"how": how}, "_meta": ABLE}
        asks: Any = await wire.call("tools/call", params)
        assert asks["resultType"] == "input_required"
        assert list(asks["inputRequests"]) == ["q"]
        assert "acted" not in trace
        assert not any(each.startswith("caught") for each in trace)
        retry = {"requestState": asks["requestState"], "inputResponses": {"q": YES}}
        assert text_of(await wire.call("tools/call", {**params, **retry})) == "done"
        assert wire.peer.exchanges == {}


@scene
async def test_parked_handlers_leave_no_task_behind(dial: Dial) -> None:
    trace = Trace()
    async with dial(make_careless_server(trace)) as wire:
        before = len(asyncio.all_tasks())
        for how in CARELESS:
            await wire.call("tools/call", {"name": "ask", "arguments": {"how": how}, "_meta": ABLE})
        await wire.quiet()
        assert len(asyncio.all_tasks()) <= before + 1  # the task in reserve


@in_both_eras
@scene
async def test_hanging_up_ends_every_call(connect: Connect, revision: str) -> None:
    trace = Trace()
    server = make_server(trace)
    async with connect(server, revision, capabilities={"elicitation": {}}) as client:
        client.request("tools/call", {"name": "wait"})
        client.request("tools/call", {"name": "wait_in_tasks"})
        await client.wire.quiet()
        await client.wire.close()
        assert trace[:2] == ["began", "cancelled"]
        assert sorted(trace[2:]) == ["one", "two"]
        assert client.wire.peer.exchanges == {}


@scene
async def test_a_question_in_flight_is_let_go_when_the_client_hangs_up(dial: Dial) -> None:
    async with dial(make_asking_server()) as wire:
        await shake_hands(wire, elicitation={})
        wire.request("tools/call", {"name": "ask"})
        await wire.question()
        before = len(wire.received)
        await wire.close()
        assert wire.received[before:] == []
        assert len(wire.peer.calls) == 0
        assert wire.peer.exchanges == {}


@in_both_eras
@scene
async def test_a_handler_that_cancels_itself_is_answered(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def give_up(when: str) -> str:
        task = asyncio.current_task()
        assert task is not None
        if when == "raises":
            raise asyncio.CancelledError
        task.cancel()
        if when == "waits":
            await asyncio.Event().wait()
        return "did not wait"

    async with connect(server, revision) as client:
        for when in ("raises", "waits"):
            error: Any = (
                await client.wire.answer(client.request("tools/call", {"name": "give_up", "arguments": {"when": when}}))
            )["error"]
            assert error["code"] == -32603
        assert text_of(await client.call_tool("give_up", {"when": "never waits"})) == "did not wait"
        assert "tools" in await client.call("tools/list")
