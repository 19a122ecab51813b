"""A call on its way: progress while it walks, and an end when the client takes it back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from tests.stage import Connect, in_both_eras, scene

from mcp_kernel import Context
from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox
from mcp_server_filesystem.server import build
from mcp_server_filesystem.server_calls import Calls


@in_both_eras
@scene
async def test_a_long_walk_reports_progress(connect: Connect, revision: str, served: Path) -> None:
    sandbox = Sandbox([Directory(served)], Policy())
    server, calls, heard = build(sandbox), Calls(sandbox, asks_roots=False), threading.Event()

    def walk(_: Scope, errand: Errand) -> str:
        errand.seen = 17
        return "told" if heard.wait(10) else "silent"

    @server.tool()
    async def dawdle(ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        return await calls.run(ctx, walk)

    async with connect(server, revision) as client:
        call = client.request("tools/call", {"name": "dawdle", "arguments": {}, "_meta": {"progressToken": "p"}})
        report: Any = await client.wire.notification("notifications/progress")
        assert (report["params"]["progress"], report["params"]["progressToken"]) == (17, "p")
        heard.set()
        answer: Any = await client.wire.answer(call)
        assert answer["result"]["content"][0]["text"] == "told"
    calls.close()


@scene
async def test_a_call_that_is_taken_back_stops_its_walk(connect: Connect, served: Path) -> None:
    sandbox = Sandbox([Directory(served)], Policy())
    server, calls = build(sandbox), Calls(sandbox, asks_roots=False)
    begun, stopped = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def walk(_: Scope, errand: Errand) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while not stopped.wait(0.01):
                errand.check()
        finally:
            stopped.set()

    @server.tool()
    async def dawdle(ctx: Context) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        await calls.run(ctx, walk)

    async with connect(server, "2025-11-25") as client:
        call = client.request("tools/call", {"name": "dawdle", "arguments": {}})
        await asyncio.wait_for(begun.wait(), 10)
        client.wire.cancel(call)
        assert await asyncio.to_thread(stopped.wait, 10)
    calls.close()
