"""The tiny server on our kernel: `add`, `echo`, `blob`, something to wait for and something to subscribe to."""

import asyncio
import os

from mcp_kernel import Server, run

server = Server("tiny", "1")


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


@server.tool()
async def wait() -> str:
    """Wait until the call is cancelled."""
    await asyncio.Event().wait()
    return "never"


@server.resource("tiny://thing")
def thing() -> str:
    """Something that may change."""
    return "thing"


for number in range(int(os.environ.get("TINY_TOOLS", "0"))):

    @server.tool(f"more{number}")
    async def more(text: str, times: int = 1) -> str:
        """Repeat a text."""
        return text * times


run(server)
