"""The caller's side of JSON-RPC: fresh ids and the calls that wait for an answer.

Knows nothing of futures: what waits is whatever object the caller hands in.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from mcp_kernel.protocol.jsonrpc import JsonObject, Request, RequestId

T = TypeVar("T")


class Calls(Generic[T]):
    """Requests that one side sent and that are not answered yet.

    Ids are counted per connection, and answers are matched within it alone, so that no other client's answer can
    ever settle a call (CVE-2026-25536). Where several processes ask the same client, `prefix` tells their ids apart;
    with one they are strings.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._last = 0
        self._waiting: dict[RequestId, T] = {}

    @property
    def count(self) -> int:
        """How many calls were opened so far."""
        return self._last

    def __len__(self) -> int:
        """How many wait for an answer."""
        return len(self._waiting)

    def open(self, method: str, params: JsonObject, waiter: T) -> Request:
        """Make the request and remember who waits for its answer."""
        self._last += 1
        identifier = f"{self._prefix}{self._last}" if self._prefix else self._last
        self._waiting[identifier] = waiter
        return Request(identifier, method, params)

    def settle(self, identifier: RequestId | None) -> T | None:
        """Return, once, who waits for the answer with this id; None where nobody does (late, forged, doubled)."""
        return None if identifier is None else self._waiting.pop(identifier, None)

    def drain(self) -> list[T]:
        """Forget every call and return those who waited: the connection is gone."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        return waiting
