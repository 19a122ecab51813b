"""A server whose tools become tasks, and what its tests say to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.stage import Json, text_of

from mcp_kernel import Context, Server, ToolError
from mcp_kernel.errors import ProtocolError
from mcp_kernel.testing.eras import ModernClient
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Client

TASKS: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
ABLE: Json = {**TASKS, "elicitation": {}}
FINISHED = ("completed", "failed", "cancelled")


@dataclass
class Confirm:
    sure: bool


class Workshop:
    """Tools that work until `go` is set, and what they did, in its order."""

    def __init__(self, **options: Any) -> None:
        self.server = Server("workshop", "1", **options)
        self.go = asyncio.Event()
        self.trace: list[str] = []
        add_workers(self)
        add_askers(self)


def add_workers(shop: Workshop) -> None:
    @shop.server.tool()
    async def plain() -> str:
        return "plain"

    @shop.server.tool(task="allowed")
    async def work(ctx: Context, label: str = "work") -> str:
        shop.trace.append(f"{label} began")
        try:
            await shop.go.wait()
        except asyncio.CancelledError:
            shop.trace.append(f"{label} cancelled")
            raise
        return f"{label} done"

    @shop.server.tool(task="required")
    async def must() -> dict[str, int]:
        await shop.go.wait()
        return {"answer": 42}

    @shop.server.tool(task="allowed")
    async def fail(how: str) -> str:
        await shop.go.wait()
        if how == "tool":
            raise ToolError("no paper left")
        if how == "protocol":
            raise ProtocolError(-32050, "out of tune", {"string": 4})
        raise LookupError("a secret of the house")

    @shop.server.tool(task="allowed", task_after=5.0)
    async def late(ctx: Context) -> str:
        await shop.go.wait()
        return "late"


def add_askers(shop: Workshop) -> None:
    @shop.server.tool(task="allowed")
    async def ask(ctx: Context) -> str:
        return f"sure: {(await ctx.elicit('sure', 'Sure?', Confirm)).sure}"

    @shop.server.tool(task="allowed")
    async def ask_two(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            one = group.create_task(ctx.elicit("one", "One?", Confirm))
            two = group.create_task(ctx.elicit("two", "Two?", Confirm))
        return f"{one.result().sure} {two.result().sure}"

    @shop.server.tool(task="required", task_after=None)
    async def ask_first(ctx: Context) -> str:
        before = await ctx.elicit("before", "Before?", Confirm)
        await ctx.become_task("At work")
        await shop.go.wait()
        after = await ctx.elicit("after", "After?", Confirm)
        return f"{before.sure} {after.sure}"


async def start(client: Client, name: str, **arguments: object) -> str:
    """Call a tool that becomes a task; returns the task's id."""
    made = await client.call_tool(name, arguments)
    assert made["resultType"] == "task", made
    return str(made["taskId"])


async def get(client: Client, task: str) -> Json:
    return await client.call("tasks/get", {"taskId": task})


async def update(client: Client, task: str, **answers: Json) -> None:
    await client.call("tasks/update", {"taskId": task, "inputResponses": answers})


async def finish(client: Client, task: str) -> Json:
    """Let the server work, until the task is finished."""
    for _ in range(100):
        if (told := await get(client, task))["status"] in FINISHED:
            return told
        await client.wire.quiet()
    raise AssertionError("the task does not end")


async def text(client: Client, task: str) -> str:
    """Wait for the task's result and return its text."""
    told = await finish(client, task)
    assert told["status"] == "completed", told
    return text_of(told["result"])


async def refusal(client: Client, method: str, **params: object) -> Refused:
    try:
        result = await client.call(method, params)
    except Refused as refused:
        return refused
    raise AssertionError(f"{method} was not refused: {result}")


async def pass_time(seconds: float) -> None:
    """Let the clock of a scene out of time come so far."""
    loop = asyncio.get_running_loop()
    there = loop.create_future()
    loop.call_later(seconds, there.set_result, None)
    await there


def meta(client: Client) -> Json:
    """What the client says of itself with each request, for a request that is written out in full."""
    assert isinstance(client, ModernClient)
    return client.meta()


def yes(**content: object) -> Json:
    return {"action": "accept", "content": content}
