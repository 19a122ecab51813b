"""Our own kernel with one tool that knows a call again by its key."""

from mcp_kernel import Server, run

server = Server("keyed", "1")


@server.tool(idempotency_key="key")
async def echo(text: str, key: str | None = None) -> str:
    """Say it again."""
    return text


run(server)
