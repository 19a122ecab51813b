"""A server of PyPI's `mcp` 2.3, over Streamable HTTP: `served_by_sdk_2.py PORT`."""

import sys
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("peer", version="2.3")


@server.tool()
async def add(a: int, b: Annotated[int, "The other"]) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def count(ctx: Context) -> str:
    """Report progress."""
    for step in range(3):
        await ctx.report_progress(step, 3, f"step {step}")
    return "counted"


@server.resource("peer://text")
def text() -> str:
    """A text."""
    return "the peer's"


@server.resource("peer://items/{name}")
def item(name: str) -> str:
    """An item."""
    return f"item {name}"


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name}"


if __name__ == "__main__":
    server.run("streamable-http", port=int(sys.argv[1]))
