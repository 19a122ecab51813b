"""How long a call may take, and what does not count: a clock that jumps instead of waiting."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import (
    Connect,
    Json,
    elapse,
    in_both_eras,
    scene_out_of_time,
    text_of,
)

from mcp_kernel import Context, Server

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Client

YES: Json = {"action": "accept", "content": {"sure": True}}


@dataclass
class Confirm:
    sure: bool


@in_both_eras
@scene_out_of_time
async def test_a_call_out_of_time_says_so(connect: Connect, revision: str) -> None:
    server, trace = Server("s", "1", timeout=2.0), list[str]()

    @server.tool()
    async def wait(ctx: Context) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            trace.append("cancelled")
            await ctx.log("error", "too late")
            raise
        return "never"

    async with connect(server, revision) as client:
        began = asyncio.get_running_loop().time()
        result = await client.call_tool("wait")
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0, abs=0.01)
        assert result["isError"] is True
        assert "wait did not finish in time" in text_of(result)
        assert trace == ["cancelled"]


@in_both_eras
@scene_out_of_time
async def test_a_tool_has_a_time_of_its_own(connect: Connect, revision: str) -> None:
    server = Server("s", "1", timeout=None)

    @server.tool(timeout=3.0)
    async def slow() -> str:
        await elapse(50)
        return "never"

    @server.tool(timeout=3.0)
    async def quick() -> str:
        await elapse(2)
        return "in time"

    @server.tool()
    async def endless() -> str:
        await elapse(5000)
        return "at last"

    async with connect(server, revision) as client:
        client.wire.patience = 9000  # the clock jumps
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert "did not finish" in text_of(await client.call_tool("slow"))
        assert loop.time() - began == pytest.approx(3.0, abs=0.01)
        assert text_of(await client.call_tool("quick")) == "in time"
        assert text_of(await client.call_tool("endless")) == "at last"


@in_both_eras
@scene_out_of_time
async def test_prompts_and_resources_run_out_of_time_too(connect: Connect, revision: str) -> None:
    server = Server("s", "1", timeout=2.0)

    @server.prompt()
    async def slow() -> str:
        await elapse(50)
        return "never"

    @server.resource("slow://x")
    async def read() -> str:
        await elapse(50)
        return "never"

    async with connect(server, revision) as client:
        for method, params in (("prompts/get", {"name": "slow"}), ("resources/read", {"uri": "slow://x"})):
            error: Any = (await client.wire.answer(client.request(method, params)))["error"]
            assert error["code"] == -32603


@in_both_eras
@scene_out_of_time
async def test_a_handler_that_will_not_end_is_answered_for_all_the_same(connect: Connect, revision: str) -> None:
    server = Server("s", "1", timeout=2.0)

    @server.tool()
    async def stubborn() -> str:
        for _ in range(3):
            try:
                await elapse(1000)
            except asyncio.CancelledError:
                continue
        return "never"

    async with connect(server, revision) as client:
        client.wire.patience = 100  # the clock jumps
        result = await client.call_tool("stubborn")
        assert "did not finish in time" in text_of(result)
        assert asyncio.get_running_loop().time() < 10


class Thoughtful:
    """A person who answers after an hour."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.questions: list[Json] = []
        client.wire.on_question = self.questions.append

    async def answer(self, seconds: float = 3600) -> None:
        await elapse(seconds)
        self.client.wire.reply(self.questions.pop(0), YES)


def make_asking_server(timeout: float = 5.0) -> Server:
    server = Server("s", "1", timeout=timeout)

    @server.tool()
    async def ask(ctx: Context, before: float = 0, after: float = 0) -> str:
        if before:
            await elapse(before)
        await ctx.elicit("q", "Sure?", Confirm)
        await elapse(after)
        return "done"

    @server.tool()
    async def ask_two(ctx: Context, after: float = 0) -> str:
        await asyncio.gather(ctx.elicit("a", "A?", Confirm), ctx.elicit("b", "B?", Confirm))
        await elapse(after)
        return "done"

    return server


@pytest.mark.parametrize(
    ("before", "after", "in_time"), [(0, 0, True), (0, 4, True), (4, 0, True), (0, 6, False), (3, 3, False)]
)
@scene_out_of_time
async def test_waiting_for_a_person_does_not_count(
    connect: Connect, before: float, after: float, in_time: bool
) -> None:
    async with connect(make_asking_server(), "2025-11-25", capabilities={"elicitation": {}}) as client:
        client.wire.patience = 9000  # the clock jumps
        person = Thoughtful(client)
        arguments = {"before": before, "after": after}
        identifier = client.request("tools/call", {"name": "ask", "arguments": arguments})
        await elapse(before + 0.1)
        await person.answer()
        answer: Any = await client.wire.answer(identifier)
        assert (text_of(answer["result"]) == "done") == in_time, answer


@pytest.mark.parametrize(("after", "in_time"), [(0, True), (4, True), (6, False)])
@scene_out_of_time
async def test_waiting_for_two_answers_at_once_does_not_count(connect: Connect, after: float, in_time: bool) -> None:
    async with connect(make_asking_server(), "2025-11-25", capabilities={"elicitation": {}}) as client:
        client.wire.patience = 90_000  # the clock jumps
        person = Thoughtful(client)
        identifier = client.request("tools/call", {"name": "ask_two", "arguments": {"after": after}})
        await client.wire.quiet()
        await person.answer()
        await person.answer()
        answer: Any = await client.wire.answer(identifier)
        assert (text_of(answer["result"]) == "done") == in_time, answer


@scene_out_of_time
async def test_time_counts_again_after_a_question_was_declined(connect: Connect) -> None:
    server = Server("s", "1", timeout=5.0)

    @server.tool()
    async def ask(ctx: Context) -> str:
        try:
            await ctx.elicit("q", "Sure?", Confirm)
        except Exception:  # a careless handler
            await elapse(1000)
        return "never"

    def say(method: str, params: Json) -> Json:
        return {"action": "decline"}

    async with connect(server, "2025-11-25", capabilities={"elicitation": {}}, answer=say) as client:
        client.wire.patience = 900  # the clock jumps
        assert "did not finish in time" in text_of(await client.call_tool("ask"))


@scene_out_of_time
async def test_calls_get_a_moment_to_end_when_the_client_hangs_up(connect: Connect) -> None:
    server = Server("s", "1")
    done: list[str] = []

    @server.tool()
    async def work(seconds: float) -> str:
        await elapse(seconds)
        done.append(f"{seconds}")
        return "done"

    async with connect(server) as client:
        quick = client.request("tools/call", {"name": "work", "arguments": {"seconds": 0.3}})
        slow = client.request("tools/call", {"name": "work", "arguments": {"seconds": 3}})
        began = asyncio.get_running_loop().time()
        await client.wire.close(grace=0.5)
        assert asyncio.get_running_loop().time() - began < 1.2
        assert done == ["0.3"]
        assert client.wire.was_answered(quick)
        assert not client.wire.was_answered(slow)
