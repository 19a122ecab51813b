"""The tiny server on the official SDK (`mcp` 2.x); with a port as its argument over HTTP with JSON answers."""

import os
import sys

from mcp.server import MCPServer

server = MCPServer("tiny", log_level="ERROR")


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
async def blob(size: int) -> str:
    """Return so many letters."""
    return "x" * size


for number in range(int(os.environ.get("TINY_TOOLS", "0"))):

    @server.tool(f"more{number}")
    async def more(text: str, times: int = 1) -> str:
        """Repeat a text."""
        return text * times


if len(sys.argv) > 1:
    server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]), json_response=True)
else:
    server.run()
