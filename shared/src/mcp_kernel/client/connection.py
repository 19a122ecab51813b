"""The one conversation of a client: opened when it is needed and when it was lost, asked again when that helps."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from mcp_kernel.client.conversation import CallBack, Conversation, Interest, ProgressCallback
from mcp_kernel.client.failures import (
    CannotStart,
    ClientError,
    ConnectionLost,
    HttpRefused,
    InvalidAnswer,
    NotConnected,
    ServerRefused,
    SessionOver,
    TimedOut,
)
from mcp_kernel.client.negotiation import Next, judge_post
from mcp_kernel.client.opening import Terms
from mcp_kernel.client.resilience import Attempts, Breaker, Budget, Resilience, parse_retry_after
from mcp_kernel.client.target import Opener
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject

_LOG = logging.getLogger("mcp_kernel.client")

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
        self._reopened: Callable[[CallBack], None] | None = None
        self._gap = False  # whether changes may have gone unheard since a conversation ended
        self._closings = 0

    @property
    def conversation(self) -> Conversation | None:
        """The conversation, while there is one."""
        return self._conversation

    def on_reopened(self, callback: Callable[[CallBack], None]) -> None:
        """Say who hears that there was a gap."""
        self._reopened = callback

    async def reach(self) -> Conversation:
        """Return the conversation, opened if need be; raises `ClientError`."""
        async with self._lock:
            if self._conversation is not None and self._conversation.lost is None:
                return self._conversation
            self._gap |= await self._drop()
            conversation = await self._open_as_before()
            try:
                await self._watch_again(conversation)
            except BaseException:
                await conversation.close()
                raise
            self._conversation = conversation
            self._terms = replace(self._terms, revision=conversation.server.revision)
            gap, self._gap = self._gap, False
        if gap and self._reopened is not None:
            self._reopened(conversation.call_back)
        return conversation

    async def _open_as_before(self) -> Conversation:
        """Open in the era that the server had before; where it has changed, find out anew."""
        try:
            return await self._open(self._terms)
        except (ServerRefused, HttpRefused, InvalidAnswer):
            if self._terms.pinned or self._terms.revision is None:
                raise
            self._terms = replace(self._terms, revision=None)
        return await self._open(self._terms)

    async def _watch_again(self, conversation: Conversation) -> None:
        """Hear of what was of interest before; what is gone by now keeps nobody from calling."""
        if self.interest == Interest():
            return
        try:
            await conversation.watch(self.interest, self._terms.timeout)
        except (ServerRefused, InvalidAnswer) as error:
            _LOG.warning("%s does not tell of all that is of interest: %s", self._name, error)

    async def _drop(self) -> bool:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.close()
        return conversation is not None

    async def call(self, method: str, params: JsonObject, how: Call) -> JsonObject:
        """Call a method, again where that is safe and helps; raises `ClientError`."""
        attempts = Attempts(self._resilience, self._budget, random.random)
        renewed = False
        closings = self._closings
        while True:
            turn = self._breaker.admit(time.monotonic())
            conversation: Conversation | None = None
            try:
                conversation = await self.reach()
                result = await conversation.request(
                    method, params, timeout=how.timeout, progress=how.progress, headers=how.headers
                )
            except InvalidAnswer:
                self._breaker.succeeded(turn)
                raise
            except TimedOut:  # it was long enough: no second try, but a server that only hangs is left alone
                self._breaker.failed(time.monotonic(), turn)
                raise
            except (ConnectionLost, HttpRefused, ServerRefused) as error:
                if closings != self._closings:
                    raise  # by the client itself, so that to call again would open what was closed
                if not renewed and conversation is not None and await self._renew(conversation, error):
                    renewed = True
                    continue
                await asyncio.sleep(self._judge(error, attempts, turn, how))
                if closings != self._closings:
                    raise
            else:
                self._breaker.succeeded(turn)
                return result

    async def _renew(self, conversation: Conversation, error: ConnectionLost | HttpRefused | ServerRefused) -> bool:
        """Whether nothing was done, and nothing is wrong but the conversation: then it is given up."""
        if isinstance(error, SessionOver):  # a session does not last for ever
            conversation.lose(error)
            return True
        if isinstance(error, ConnectionLost) or not await self._was_replaced(conversation, error):
            return False
        conversation.lose(ConnectionLost("The server is another than it was."))
        self._terms = replace(self._terms, revision=None)
        return True

    async def _was_replaced(self, conversation: Conversation, error: HttpRefused | ServerRefused) -> bool:
        """Whether a server that wanted no handshake refuses as one that wants it, and on being asked is one."""
        answer = Failure(None, error.code, error.message) if isinstance(error, ServerRefused) else None
        refused = conversation.link.mirrors and not self._terms.pinned and error.status >= 300
        if not refused or judge_post(error.status, answer).next is not Next.SHAKE_HANDS:
            return False
        try:
            fresh = await self._open(replace(self._terms, revision=None))
        except ClientError:
            return False
        await fresh.close()
        return not fresh.link.mirrors

    def _judge(
        self, error: ConnectionLost | HttpRefused | ServerRefused, attempts: Attempts, turn: int, how: Call
    ) -> float:
        """Seconds to wait before the next try; raises the error where there is none."""
        if isinstance(error, ServerRefused):
            self._breaker.succeeded(turn)
            raise error
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
        conversation = await self.reach()
        await conversation.watch(interest, self._terms.timeout)
        self.interest = interest

    async def close(self) -> None:
        """End the conversation; the next call opens another."""
        self._closings += 1
        async with self._lock:
            await self._drop()
