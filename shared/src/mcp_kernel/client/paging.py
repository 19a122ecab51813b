"""Lists that come in pages (server/utilities/pagination)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias, TypeVar, cast

from mcp_kernel.client.failures import InvalidAnswer
from mcp_kernel.protocol.jsonrpc import JsonObject

T = TypeVar("T")

# Calls a method that lists, with its params.
Fetch: TypeAlias = Callable[[str, JsonObject], Awaitable[JsonObject]]

MEMBERS: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
_MOST_PAGES: Final = 10_000  # of one list; a server with more counts for ever


async def read_pages(fetch: Fetch, method: str, read: Callable[[JsonObject], T]) -> AsyncIterator[T]:
    """Every item of a list, from its first page to its last; raises `InvalidAnswer` for cursors that do not end."""
    member = MEMBERS[method]
    params: JsonObject = {}
    seen: set[str] = set()
    for _ in range(_MOST_PAGES):
        page = await fetch(method, params)
        items = page.get(member)
        if not isinstance(items, list):
            raise InvalidAnswer(f"The server's answer to {method} has no list of {member}.")
        for item in cast("list[object]", items):
            yield read(cast("JsonObject", item) if isinstance(item, dict) else {})
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            return
        if cursor in seen:
            raise InvalidAnswer(f"The server's pages of {method} go round in circles.")
        seen.add(cursor)
        params = {"cursor": cursor}
    raise InvalidAnswer(f"The server's pages of {method} do not end.")
