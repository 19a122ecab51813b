"""Servers that share a Redis, each as if it were a process of its own, behind one judge."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tests.transports.guests import HttpJudge, Json, Modern

from mcp_kernel.operations.redis_store import share
from mcp_kernel.testing.asgi import Site

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tests.operations.redis import RedisServer

    from mcp_kernel import Server
    from mcp_kernel.transports.http import HttpOptions

TASKS: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@asynccontextmanager
async def replicas(
    store: RedisServer, servers: Sequence[Server], *, lease: float = 15.0, options: HttpOptions | None = None
) -> AsyncGenerator[list[Site]]:
    """Serve each over HTTP on one store; a message that the oracle refuses fails the test."""
    judge = HttpJudge()
    try:
        async with AsyncExitStack() as stack:
            sites: list[Site] = []
            for server in servers:
                share(server, store.url, lease=lease)
                app = server.asgi(options)
                stack.push_async_callback(app.close, 0.0)
                sites.append(await stack.enter_async_context(Site(app, observe=judge.observe)))
            yield sites
    finally:
        judge.rule()


def capable(site: Site, number: int) -> Modern:
    """A stateless client of one of them that takes tasks and questions, with ids of its own from a number on."""
    client = Modern(site, number)
    client.capabilities = {**TASKS, "elicitation": {}}
    return client
