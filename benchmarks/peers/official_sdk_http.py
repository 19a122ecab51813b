"""The peer: the official SDK (`mcp` 2.x) with one tool, over HTTP with JSON answers."""

import sys

from mcp.server import MCPServer

server = MCPServer("peer", log_level="ERROR")


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]), json_response=True)
