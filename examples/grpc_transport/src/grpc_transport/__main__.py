"""`grpc-transport`: a small server and a client of it, in one process, over a real socket."""

from __future__ import annotations

import asyncio

from grpc_transport.transport import dial, listening
from mcp_kernel import Client, Server

server = Server("clock", "0.1.0")


@server.tool(read_only=True)
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def show() -> None:
    """Listen, connect, call."""
    async with listening(server) as port:
        address = f"127.0.0.1:{port}"
        async with Client(dial(address)) as client:
            result = await client.call_tool("add", {"a": 2, "b": 3})
            print(f"{address} speaks revision {client.server.revision}, and 2 + 3 is {result.text}")  # noqa: T201  # its job


def main() -> None:
    """Show it."""
    asyncio.run(show())


if __name__ == "__main__":
    main()
