"""Answers that a server allowed to be used again (2026-07-28, server/utilities/caching).

What is kept is bytes, so that nobody who was given an answer can change what the next one gets.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.protocol.sealing import digest

MOST_SECONDS: Final = 86_400.0
MOST_ENTRIES: Final = 1_000
MOST_BYTES: Final = 16 * 1024 * 1024

# The kinds of `notifications/KIND/list_changed`, and the lists that are of that kind.
LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "tools": ("tools/list",),
    "prompts": ("prompts/list",),
    "resources": ("resources/list", "resources/templates/list"),
}
READ: Final = "resources/read"
CACHEABLE: Final = frozenset({"server/discover", READ, *(method for lists in LISTS.values() for method in lists)})
OF_A_RETRY: Final = ("inputResponses", "requestState")

Key: TypeAlias = tuple[str, str | None, str, str]  # server, principal (None: everybody's), method, params


@dataclass(frozen=True, slots=True)
class Entry:
    result: bytes
    expires: float
    uri: str | None


class ResponseCache:
    """Answers of any number of servers to any number of principals; several clients may share one.

    The least recently used answer goes when there are too many, or too many bytes. It belongs to one event loop.
    """

    def __init__(
        self,
        *,
        most_entries: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self.clock = clock
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._bytes = 0
        self._changes: dict[tuple[str, str], int] = {}

    def shelf(self, server: str, principal: str = "") -> Shelf:
        """The part for one server and one principal.

        Args:
            server: What identifies the server: its URL, or its command with the arguments.
            principal: What identifies the authorisation that the requests carry; other credentials, another principal.
        """
        return Shelf(self, server, principal)

    @property
    def entries(self) -> int:
        """How many answers are kept, stale ones that nobody looked for included."""
        # Not as its length: an empty cache must not count as none, as in `cache or ResponseCache()`.
        return len(self._entries)

    def find(self, key: Key) -> JsonObject | None:
        """What is kept under a key and still fresh."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self.clock() >= entry.expires:
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return json.loads(entry.result)

    def keep(self, key: Key, entry: Entry) -> None:
        """Keep an entry in place of the one before."""
        self.drop(key)
        if len(entry.result) > self._most_bytes:
            return
        self._entries[key] = entry
        self._bytes += len(entry.result)
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            self.drop(next(iter(self._entries)))

    def drop(self, key: Key) -> None:
        """Forget one entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.result)

    def change(self, server: str, method: str) -> int:
        """How often a server's answers to a method were forgotten."""
        return self._changes.get((server, method), 0)

    def forget(self, server: str, method: str, concerns: Callable[[Entry], bool]) -> None:
        """Forget a server's answers to a method, and those that are still on their way."""
        self._changes[server, method] = self.change(server, method) + 1
        for key, entry in list(self._entries.items()):
            if (key[0], key[2]) == (server, method) and concerns(entry):
                self.drop(key)


class Shelf:
    """The answers of one server that one principal may use: its own, and those that are everybody's."""

    def __init__(self, cache: ResponseCache, server: str, principal: str) -> None:
        self._cache = cache
        self._server = server
        self._principal = principal

    def look(self, method: str, params: Mapping[str, object]) -> Place:
        """Look for the answer to a request. Look before the request is sent, and `keep` what comes back."""
        return Place(self._cache, (self._server, self._principal), method, params)

    def forget(self, kind: str) -> None:
        """Drop every page of the lists of a kind (tools, prompts, resources), of all principals."""
        if kind not in LISTS:
            raise ValueError(f"there are no lists of {kind!r}, only of {', '.join(LISTS)}")
        for method in LISTS[kind]:
            self._cache.forget(self._server, method, lambda _: True)

    def forget_resource(self, uri: str) -> None:
        """Drop what was read of a resource, and of those that it is a part of, for all principals."""

        def concerns(entry: Entry) -> bool:
            # The URI of an update may be a part of the resource that was subscribed to.
            return entry.uri is not None and (uri == entry.uri or uri.startswith(entry.uri.rstrip("/") + "/"))

        self._cache.forget(self._server, READ, concerns)

    def forget_all(self) -> None:
        """Drop all lists and all that was read: changes may have gone unheard."""
        for kind in LISTS:
            self.forget(kind)
        self._cache.forget(self._server, READ, lambda _: True)


class Place:
    """Where the answer to one request is kept; `result` is that answer, or None if it must be asked for."""

    def __init__(self, cache: ResponseCache, owner: tuple[str, str], method: str, params: Mapping[str, object]) -> None:
        self._cache = cache
        server, principal = owner
        self.result: JsonObject | None = None
        # What came after a question was answered depends on more than the params.
        self._usable = method in CACHEABLE and not any(name in params for name in OF_A_RETRY)
        if not self._usable:
            return
        asked = digest({name: value for name, value in params.items() if name != "_meta"})
        uri = params.get("uri")
        self._uri = uri if isinstance(uri, str) and method == READ else None
        self._own: Key = (server, principal, method, asked)
        self._shared: Key = (server, None, method, asked)
        self._topic = (server, method)
        self._change = cache.change(server, method)
        self.result = cache.find(self._own)
        if self.result is None:
            self.result = cache.find(self._shared)

    def keep(self, result: Mapping[str, object]) -> None:
        """Keep an answer that came, for as long and for as many as it says."""
        life = result.get("ttlMs")
        if not self._usable or result.get("resultType", "complete") != "complete":
            return
        if isinstance(life, bool) or not isinstance(life, int | float) or not life > 0:
            return
        # A change was announced while the answer was on its way: it may be from before.
        if self._cache.change(*self._topic) != self._change:
            return
        kept, other = (self._shared, self._own) if result.get("cacheScope") == "public" else (self._own, self._shared)
        seconds = min(life, MOST_SECONDS * 1000) / 1000
        self._cache.drop(other)  # a server may change its mind about who may see it
        self._cache.keep(kept, Entry(json.dumps(result).encode(), self._cache.clock() + seconds, self._uri))
