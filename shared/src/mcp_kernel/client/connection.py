"""The one conversation of a client: opened when it is needed and when it was lost, asked again when that helps."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from mcp_kernel.client.conversation import Conversation, Interest, ProgressCallback
from mcp_kernel.client.failures import (
    CannotStart,
    ConnectionLost,
    HttpRefused,
    NotConnected,
    ServerRefused,
    SessionOver,
)
from mcp_kernel.client.opening import Terms
from mcp_kernel.client.resilience import Attempts, Breaker, Budget, Resilience, parse_retry_after
from mcp_kernel.client.target import Opener
from mcp_kernel.protocol.jsonrpc import JsonObject

_TRANSIENT: Final = frozenset({408, 425, 429, 502, 503, 504})  # HTTP statuses that may well be others a moment later
_UNDONE: Final = frozenset({425, 429, 503})  # those of a server that has not begun with what it was asked


@dataclass(frozen=True, slots=True)
class Call:
    """How one call is made: `repeatable` says that it does no harm twice."""

    repeatable: bool = False
    timeout: float | None = None
    progress: ProgressCallback | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Connection:
    """Whoever calls here is answered, or learns why not, however often the server went away in between."""

    def __init__(self, name: str, open_conversation: Opener, terms: Terms, resilience: Resilience) -> None:
        self._name = name
        self._open = open_conversation
        self._terms = terms
        self._resilience = resilience
        self._budget = Budget(resilience)
        self._breaker = Breaker(resilience, name)
        self._lock = asyncio.Lock()
        self._conversation: Conversation | None = None
        self.interest = Interest()
        self._reopened: Callable[[], None] | None = None

    @property
    def conversation(self) -> Conversation | None:
        """The conversation, while there is one."""
        return self._conversation

    def on_reopened(self, callback: Callable[[], None]) -> None:
        """Say who hears that there was a gap."""
        self._reopened = callback

    async def reach(self) -> Conversation:
        """Return the conversation, opened if need be; raises `ClientError`."""
        async with self._lock:
            if self._conversation is not None and self._conversation.lost is None:
                return self._conversation
            was_open = await self._drop()
            conversation = await self._open(self._terms)
            try:
                if self.interest != Interest():
                    await conversation.watch(self.interest, self._terms.timeout)
            except BaseException:
                await conversation.close()
                raise
            self._conversation = conversation
            self._terms = replace(self._terms, revision=conversation.server.revision)
        if was_open and self._reopened is not None:
            self._reopened()
        return conversation

    async def _drop(self) -> bool:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.close()
        return conversation is not None

    async def call(self, method: str, params: JsonObject, how: Call) -> JsonObject:
        """Call a method, again where that is safe and helps; raises `ClientError`."""
        attempts = Attempts(self._resilience, self._budget, random.random)
        renewed = False
        while True:
            turn = self._breaker.admit(time.monotonic())
            try:
                conversation = await self.reach()
                result = await conversation.request(
                    method, params, timeout=how.timeout, progress=how.progress, headers=how.headers
                )
            except SessionOver as error:
                if renewed or self._conversation is None:
                    raise
                self._conversation.lose(error)
                renewed = True  # nothing was done, and nothing is wrong: a session does not last for ever
            except ServerRefused:
                self._breaker.succeeded(turn)
                raise
            except (ConnectionLost, HttpRefused) as error:
                await asyncio.sleep(self._judge(error, attempts, turn, how))
            else:
                self._breaker.succeeded(turn)
                return result

    def _judge(self, error: ConnectionLost | HttpRefused, attempts: Attempts, turn: int, how: Call) -> float:
        """Seconds to wait before the next try; raises the error where there is none."""
        lost = isinstance(error, ConnectionLost)
        transient = not isinstance(error, CannotStart) and (lost or error.status in _TRANSIENT)
        undone = isinstance(error, NotConnected) if lost else error.status in _UNDONE
        after = None if lost else parse_retry_after(error.retry_after, time.time())
        if transient:
            self._breaker.failed(time.monotonic(), turn)
        else:
            self._breaker.succeeded(turn)
        repeatable = how.repeatable or undone
        wait = attempts.after_failure(transient=transient, safe_to_repeat=repeatable, retry_after=after)
        if wait is None:
            raise error
        return wait

    async def watch(self, interest: Interest) -> None:
        """Hear of what is of interest, from now on, over every conversation to come."""
        self.interest = interest
        conversation = await self.reach()
        await conversation.watch(interest, self._terms.timeout)

    async def close(self) -> None:
        """End the conversation; the next call opens another."""
        async with self._lock:
            await self._drop()
