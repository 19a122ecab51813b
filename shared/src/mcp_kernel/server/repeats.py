"""Calls that are made twice with one key, and done once.

A client that did not hear the answer to a call sends it again with the same key. The first call is done; a second
waits for it where it is still in progress, and is answered as the first was. Only a result is kept: after an error, a
question, a cancellation or a time-out the next call with the key is done. A key belongs to a principal and a tool;
where nobody is authenticated all share their keys, so that keys should be random.

A handler that keeps the key in a transaction of its own, with what it does, is safe against a kill in between too; this
is for handlers without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, cast

from pydantic_core import from_json

from mcp_kernel.errors import ToolError
from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes
from mcp_kernel.server.results import ToolResult

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange

LIFETIME: Final = 86_400.0
_LONGEST: Final = 200  # characters of a key


class KeyReused(Exception):
    """The key was used with other arguments."""


class Answers(Protocol):
    """Where answers are kept: in this process, or in a store that several share."""

    async def begin(self, key: str, digest: str) -> bytes | None:
        """Return the answer that is kept; None: the call is to be made, and `finish` or `abandon` must follow.

        Waits while somebody else makes it. Raises `KeyReused` where the key came with another digest of arguments.
        """
        ...

    async def finish(self, key: str, answer: bytes) -> None:
        """Keep the answer from now on."""
        ...

    async def abandon(self, key: str) -> None:
        """Let the next one make the call."""
        ...


class _Entry:
    __slots__ = ("answer", "digest", "expiry", "settled")

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.answer: bytes | None = None
        self.expiry = 0.0
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class MemoryAnswers:
    """The answers of one process; beyond `most` of them, or `most_bytes`, the oldest are forgotten before their time.

    Args:
        lifetime: Seconds for which an answer is kept.
        most: How many are kept.
        most_bytes: How large they are together; one that is larger alone is kept alone.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        lifetime: float = LIFETIME,
        *,
        most: int = 10_000,
        most_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime = lifetime
        self._most = most
        self._most_bytes = most_bytes
        self._clock = clock
        self._entries: dict[str, _Entry] = {}  # calls in progress
        self._kept: dict[str, _Entry] = {}  # the oldest first
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def begin(self, key: str, digest: str) -> bytes | None:
        """Return the answer that is kept, or None for whoever makes the call; see `Answers.begin`."""
        while True:
            self._expire()
            entry = self._kept.get(key) or self._entries.get(key)
            if entry is None:
                self._entries[key] = _Entry(digest)
                return None
            if entry.digest != digest:
                raise KeyReused
            if entry.answer is not None:
                return entry.answer
            await asyncio.shield(entry.settled)  # of which several may wait, each to be stopped alone

    async def finish(self, key: str, answer: bytes) -> None:
        """Keep the answer."""
        entry = self._settle(key)
        entry.answer = answer
        entry.expiry = self._clock() + self._lifetime
        self._kept[key] = entry
        self._bytes += len(answer)
        while len(self._kept) > self._most or (self._bytes > self._most_bytes and len(self._kept) > 1):
            self._forget(next(iter(self._kept)))

    async def abandon(self, key: str) -> None:
        """Let the next one make the call."""
        self._settle(key)

    def _settle(self, key: str) -> _Entry:
        entry = self._entries.pop(key)
        if not entry.settled.done():
            entry.settled.set_result(None)
        return entry

    def _expire(self) -> None:
        now = self._clock()
        while self._kept and self._kept[first := next(iter(self._kept))].expiry <= now:
            self._forget(first)

    def _forget(self, key: str) -> None:
        self._bytes -= len(self._kept.pop(key).answer or b"")


async def answer_once(exchange: Exchange, argument: str, work: Callable[[], Awaitable[ToolResult]]) -> ToolResult:
    """Do the work of a call, or answer with what it came to before; raises `ToolError` for a key that cannot be."""
    params = exchange.request.params
    arguments = cast("JsonObject", params.get("arguments") or {})
    key = arguments.get(argument)
    if key is None:
        return await work()
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST:
        raise ToolError(f"{argument} is a text of 1 to {_LONGEST} characters. Make a new one for each thing to do.")
    server, principal = exchange.peer.server, exchange.principal
    answers = server.answers = MemoryAnswers() if server.answers is None else server.answers
    place = digest([None if principal is None else principal.name, params["name"], key])
    try:
        kept = await answers.begin(place, digest({name: arguments[name] for name in arguments if name != argument}))
    except KeyReused:
        raise ToolError(f"This {argument} was used with other arguments. Nothing was done: make a new one.") from None
    if kept is not None:
        return _load(kept)
    is_kept = False
    try:
        result = await work()
        if not result.is_error:
            is_kept = True
            await answers.finish(place, _dump(result))
    finally:
        if not is_kept:
            await answers.abandon(place)
    return result


def digest(value: object) -> str:
    """The SHA-256, in hexadecimal, of a JSON value, whatever the order of its members."""
    return sha256(to_bytes(_sort(value))).hexdigest()


def _sort(value: object) -> object:
    """The value with the members of objects in one order, whichever they came in."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return {name: _sort(members[name]) for name in sorted(members)}
    return [_sort(each) for each in cast("list[object]", value)] if isinstance(value, list) else value


def _dump(result: ToolResult) -> bytes:
    """A result as JSON, before it has the form of an era: it may be asked for again in the other."""
    structured = None if result.structured is None else result.structured.decode("utf-8")
    return to_bytes({"content": result.content, "structured": structured, "is_object": result.is_object})


def _load(data: bytes) -> ToolResult:
    kept = cast("JsonObject", from_json(data))
    structured = cast("str | None", kept["structured"])
    return ToolResult(
        cast("list[JsonObject]", kept["content"]),
        None if structured is None else structured.encode("utf-8"),
        is_object=cast("bool", kept["is_object"]),
    )
