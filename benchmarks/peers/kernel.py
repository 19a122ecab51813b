"""Our own kernel with the same one tool, over stdio."""

from mcp_kernel import Server, run

server = Server("kernel", "1")


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


run(server)
