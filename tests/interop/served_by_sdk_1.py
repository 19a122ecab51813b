"""A server of PyPI's `mcp` 1.30: `served_by_sdk_1.py PORT streamable-http|sse`."""
# It runs in an environment of its own; the types of `mcp` that the checkout has are those of 2.3.
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

import sys

from mcp.server.fastmcp import Context, FastMCP

server = FastMCP("peer", host="127.0.0.1", port=int(sys.argv[1]))


@server.tool()
async def add(a: int, b: int) -> int:
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
    server.run(sys.argv[2])
