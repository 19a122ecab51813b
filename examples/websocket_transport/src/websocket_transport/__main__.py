"""`websocket-transport`: a small server and a client of it, in one process, over a real socket."""

from __future__ import annotations

import asyncio

from mcp_kernel import Client, Server
from websocket_transport.transport import dial, listening

server = Server("clock", "0.1.0")


@server.tool(read_only=True)
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def show() -> None:
    """Listen, connect, call."""
    async with listening(server) as listener:
        url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with Client(dial(url)) as client:
            result = await client.call_tool("add", {"a": 2, "b": 3})
            print(f"{url} speaks revision {client.server.revision}, and 2 + 3 is {result.text}")  # noqa: T201  # its job


def main() -> None:
    """Show it."""
    asyncio.run(show())


if __name__ == "__main__":
    main()
