"""Tools that take long, and become tasks for clients that know them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from annotated_types import Ge, Le

from mcp_kernel import Context, Server, ToolError

from . import forms


async def slow_compute(seconds: Annotated[float, Ge(0), Le(3600)] = 1, label: str = "") -> str:
    await asyncio.sleep(seconds)
    return f"{label or 'slow_compute'}: done in {seconds:g} seconds."


async def failing_job() -> str:
    """Fail after a while, as a task whose failure the model hears."""
    await asyncio.sleep(0.2)
    raise ToolError("This job intentionally fails, after a while.")


def add_tasks(server: Server) -> None:
    """Add what the conformance suite asks for."""
    from . import server_content
    server.tool(read_only=True, open_world=False)(server_content.greet)
    server.tool(read_only=True, open_world=False)(slow_compute)
    _ = (Context, forms, failing_job)
