"""Tools that take long, and become tasks for clients that know them (the extension `io.modelcontextprotocol/tasks`)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from annotated_types import Ge, Le

from mcp_kernel import Context, Server, ToolError

from . import forms

_PATIENCE: Final = 0.05  # seconds in which a call may end as a call
_PAUSE: Final = 0.2  # seconds that a job takes


async def slow_compute(ctx: Context, seconds: Annotated[float, Ge(0), Le(600)] = 1, label: str = "compute") -> str:
    """Compute for a while: a task, unless it is done at once or the client knows no tasks.

    Args:
        seconds: How long it takes.
        label: What to call it.
    """
    await ctx.progress(0, seconds, f"{label} has begun")
    await asyncio.sleep(seconds)
    return f"{label} took {seconds:g} seconds."


async def failing_job() -> str:
    """Fail after a while, always as a task, in a way that the model hears of: the task is completed all the same."""
    await asyncio.sleep(_PAUSE)
    raise ToolError("This job intentionally fails, after a while.")


async def protocol_error_job() -> str:
    """Break after a while, as a task that has failed. The server's log has the traceback, the client an id of it."""
    await asyncio.sleep(_PAUSE)
    raise RuntimeError("This job intentionally breaks")


async def confirm_delete(filename: str, ctx: Context) -> str:
    """Become a task at once, and ask the user inside it. Nothing is deleted.

    Args:
        filename: What is not deleted.
    """
    filled_in = await ctx.elicit("confirm", f"Delete {filename}?", forms.tick("confirm"))
    return f"{filename} would be {'deleted' if filled_in['confirm'] else 'kept'} now."


async def multi_input(ctx: Context) -> str:
    """Become a task at once, and ask two things in it that can be answered one by one."""
    name, confirmed = await asyncio.gather(
        ctx.elicit("name", "What is your name?", forms.text("name")),
        ctx.elicit("confirm", "Shall it be so?", forms.tick("confirm")),
    )
    return f"{name['name']} said {'yes' if confirmed['confirm'] else 'no'}."


async def test_tool_with_task(ctx: Context) -> str:
    """Ask the user first, as a call, and become a task when the answer is there."""
    filled_in = await ctx.elicit("user_name", "What is your name?", forms.text("name"))
    await ctx.become_task(f"Working for {filled_in['name']}")
    await asyncio.sleep(_PAUSE)
    return f"Hello, {filled_in['name']}, from a task."


def add_tasks(server: Server) -> None:
    """Add them all, each with what it says of tasks."""
    server.tool(read_only=True, open_world=False, task="allowed", task_after=_PATIENCE)(slow_compute)
    server.tool(read_only=True, open_world=False, task="required")(failing_job)
    at_once = server.tool(read_only=True, open_world=False, task="allowed", task_after=0)
    at_once(protocol_error_job)
    at_once(confirm_delete)
    at_once(multi_input)
    server.tool(read_only=True, open_world=False, task="required", task_after=None)(test_tool_with_task)
