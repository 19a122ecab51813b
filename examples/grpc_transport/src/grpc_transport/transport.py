"""MCP over gRPC: one bidirectional stream for each client, one JSON-RPC message in each gRPC message.

    async with listening(server, "127.0.0.1:50051")  # a `Server`, as over any other transport
    Client(dial("127.0.0.1:50051"))                 # a `Client`, which finds out the revision by itself

There is no .proto file and nothing generated: what travels are bytes, and what is in them is MCP's business.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import grpc
import grpc.aio

from mcp_kernel import Server
from mcp_kernel.client import Channel, Dial

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[bytes, bytes]
    Stream = grpc.aio.StreamStreamCall[bytes, bytes]

SERVICE, METHOD = "mcp.Transport", "Converse"
LONGEST = 4 * 1024 * 1024  # bytes of a message, for both sides
OPTIONS = (("grpc.max_receive_message_length", LONGEST), ("grpc.max_send_message_length", LONGEST))


@asynccontextmanager
async def listening(server: Server, address: str = "127.0.0.1:0", *, drain: float = 3.0) -> AsyncGenerator[int]:
    """Serve every client that connects, and give the port; at the end calls in flight have `drain` seconds."""

    async def converse(requests: AsyncIterator[bytes], context: Context) -> None:
        await server.converse(requests, context.write)

    # Without serializers: bytes in, bytes out.
    handler = cast("grpc.RpcMethodHandler[bytes, bytes]", grpc.stream_stream_rpc_method_handler(converse))
    listener = grpc.aio.server(options=OPTIONS)
    listener.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    port = listener.add_insecure_port(address)  # with TLS: add_secure_port(address, grpc.ssl_server_credentials(…))
    await listener.start()
    try:
        yield port
    finally:
        await listener.stop(drain)


def dial(address: str) -> Dial:
    """What a `Client` needs to reach a server by its address, `host:port`."""

    @asynccontextmanager
    async def open_channel() -> AsyncGenerator[Channel]:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            stream = cast("Stream", channel.stream_stream(f"/{SERVICE}/{METHOD}")())
            await stream.wait_for_connection()
            try:
                yield stream, stream.write
            finally:
                stream.cancel()

    return open_channel
