"""Tools that say something on the way: logs, progress, streams that end early, lists and resources that change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from mcp_kernel import Context, Server

WATCHED = "test://watched-resource"

_PAUSE = 0.05  # seconds between two notifications, so that a client shows them one by one
_RETRY = 100  # milliseconds after which a client that was let go comes back
_EXTRA_TOOL, _EXTRA_PROMPT = "test_extra_tool", "test_extra_prompt"


async def test_tool_with_logging(ctx: Context) -> str:
    """Send three log messages at level info."""
    await ctx.log("info", "Tool execution started", "everything")
    await asyncio.sleep(_PAUSE)
    await ctx.log("info", "Tool processing data", "everything")
    await asyncio.sleep(_PAUSE)
    await ctx.log("info", "Tool execution completed", "everything")
    return "Three messages were logged."


async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress three times, to a client that asked for it."""
    await ctx.progress(0, 100, "Starting")
    await asyncio.sleep(_PAUSE)
    await ctx.progress(50, 100, "Half way")
    await asyncio.sleep(_PAUSE)
    await ctx.progress(100, 100, "Done")
    return "Progress was reported three times."


async def test_logging_tool(ctx: Context) -> str:
    """Send a log message at each level; which of them arrive is for the client to choose."""
    await ctx.log("debug", "A message at level debug")
    await ctx.log("info", "A message at level info")
    await ctx.log("notice", "A message at level notice")
    await ctx.log("warning", "A message at level warning")
    await ctx.log("error", {"text": "A message at level error", "data": [1, 2, 3]})
    await ctx.log("critical", "A message at level critical")
    await ctx.log("alert", "A message at level alert")
    await ctx.log("emergency", "A message at level emergency")
    return "A message was logged at each level."


async def test_reconnection(ctx: Context) -> str:
    """End the stream before the answer, which waits for a client that comes back (HTTP, revision 2025-11-25)."""
    ctx.release_stream(_RETRY)
    await asyncio.sleep(2 * _PAUSE)
    return "The stream ended in between, and was taken up again."


async def test_cancellation(ctx: Context, seconds: Annotated[float, Ge(0), Le(60)] = 10) -> str:
    """Take a while, with progress every tenth of a second, to be cancelled or to time out.

    Args:
        seconds: How long, unless it is cancelled.
    """
    steps = round(seconds * 10)
    for step in range(steps):
        await ctx.progress(step, steps)
        await asyncio.sleep(0.1)
    return f"Nobody cancelled this for {seconds:g} seconds."


@dataclass(frozen=True, slots=True)
class View:
    """What `test_client_view` answers."""

    client: dict[str, object]
    principal: str | None
    request_id: int | str
    elicitation: bool
    url_elicitation: bool
    sampling: bool
    roots: bool


async def test_client_view(ctx: Context) -> View:
    """Tell what the server knows of the client that calls."""
    return View(
        client=ctx.client,
        principal=None if ctx.principal is None else ctx.principal.name,
        request_id=ctx.request_id,
        elicitation=ctx.supports(elicitation={}),
        url_elicitation=ctx.supports(elicitation={"url": {}}),
        sampling=ctx.supports(sampling={}),
        roots=ctx.supports(roots={}),
    )


def add_triggers(server: Server) -> None:
    """Add the tools that change a list, each time to what it was before the last."""
    declare = server.tool(destructive=False, open_world=False)

    async def extra() -> str:
        """Be there or not: one call of a trigger adds this, the next takes it away."""
        return "This comes and goes."

    @declare
    async def test_trigger_tool_change() -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Change the list of tools: test_extra_tool comes, or goes."""
        if server.tools.get(_EXTRA_TOOL) is None:
            server.tool(_EXTRA_TOOL, read_only=True, open_world=False)(extra)
            return f"{_EXTRA_TOOL} was added."
        server.tools.remove(_EXTRA_TOOL)
        return f"{_EXTRA_TOOL} was removed."

    @declare
    async def test_trigger_prompt_change() -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Change the list of prompts: test_extra_prompt comes, or goes."""
        if server.prompts.get(_EXTRA_PROMPT) is None:
            server.prompt(_EXTRA_PROMPT)(extra)
            return f"{_EXTRA_PROMPT} was added."
        server.prompts.remove(_EXTRA_PROMPT)
        return f"{_EXTRA_PROMPT} was removed."


def add_watched(server: Server) -> None:
    """Add the resource that changes, and the tool that changes it."""
    changes = 0

    @server.resource(WATCHED, name="watched-resource", mime_type="text/plain")
    async def watched() -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """A resource to subscribe to; test_trigger_resource_change changes it."""
        return f"Changed {changes} times."

    @server.tool(destructive=False, open_world=False)
    async def test_trigger_resource_change(ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Change test://watched-resource, of which its subscribers hear."""
        nonlocal changes
        changes += 1
        ctx.changed(WATCHED)
        return f"{WATCHED} has changed {changes} times."
