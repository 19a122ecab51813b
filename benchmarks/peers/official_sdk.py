"""The peer: the official SDK (`mcp` 2.x) with one tool, over stdio."""

from mcp.server import MCPServer

server = MCPServer("peer")


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


server.run()
