"""Make a server one of several that share a Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from mcp_kernel.operations.redis_link import LEASE_SECONDS, RedisLink
from mcp_kernel.operations.redis_tasks import SharedTasks

if TYPE_CHECKING:
    from mcp_kernel.protocol.jsonrpc import JsonObject
    from mcp_kernel.server.server import Server


def share(server: Server, url: str, *, lease: float = LEASE_SECONDS) -> RedisLink:
    """Have a server share what it keeps with every process of its name at one Redis; returns the way there.

    Raises `ValueError` for a URL that is none.

    Those of other names there are strangers to it. Two deployments of one server need a database of Redis each.
    """
    link = RedisLink(url, f"mcp:{server.info['name']}", lease=lease)

    async def hear_change(body: JsonObject) -> None:
        server.subscriptions.changed(cast("str", body["which"]))

    async def hear_list_change(body: JsonObject) -> None:
        server.subscriptions.list_changed(cast("Literal['tools', 'resources', 'prompts']", body["which"]))

    link.on("changed", hear_change)
    link.on("list_changed", hear_list_change)
    server.tasks = SharedTasks(server, link)
    server.store = server.subscriptions.store = link
    server.on_close(link.close)
    return link
