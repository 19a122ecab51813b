from __future__ import annotations
from tests.stage import *
from mcp_kernel import Server, Context
import dataclasses

@dataclasses.dataclass
class Confirm:
    sure: bool

@in_every_revision
@scene
async def test_hello(connect: Connect, revision: str) -> None:
    server = Server("s", "1")
    @server.tool()
    async def drop(name: str, ctx: Context) -> str:
        got = await ctx.elicit("confirm", f"Delete {name}?", Confirm)
        return f"{got.sure}"
    async with connect(server, revision, capabilities={"elicitation": {}}, answer=lambda m, p: {"action": "accept", "content": {"sure": True}}) as c:
        assert text_of(await c.call_tool("drop", {"name": "x"})) == "True"
