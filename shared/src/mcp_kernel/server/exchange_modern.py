"""A stateless request: 2026-07-28's half of `exchange`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic_core import from_json

from mcp_kernel.errors import ProtocolError, ToolError
from mcp_kernel.protocol import modern
from mcp_kernel.protocol.capabilities import TASKS, Caller
from mcp_kernel.protocol.jsonrpc import JsonObject, Prepared, Request, encode_result, to_bytes
from mcp_kernel.protocol.shapes import ASKING
from mcp_kernel.server.exchange import Ending, Exchange, Sink, TaskOffer
from mcp_kernel.server.questions import Question
from mcp_kernel.server.results import ToolResult

if TYPE_CHECKING:
    from mcp_kernel.protocol.sealing import Binding, Progress
    from mcp_kernel.server.peer import Peer
    from mcp_kernel.server.tasks import TaskRecord, Waiter

T = TypeVar("T")


class ModernExchange(Exchange):
    """A stateless request: questions end it, and the client sends it again with the answers.

    It may also end with the handle of a task (`TaskRecord`), to which from then on all goes that the handler says.
    """

    __slots__ = ("_binding", "_due", "_given", "_known", "_open", "_record")

    def __init__(self, peer: Peer, request: Request, caller: Caller, sink: Sink) -> None:
        super().__init__(peer, request, caller, sink)
        self._known: Progress | None = None
        self._binding: Binding | None = None
        self._given: JsonObject = {}
        self._open: JsonObject = {}
        self._record: TaskRecord | None = None
        self._due: asyncio.TimerHandle | None = None  # when the call becomes a task

    def complete(self, result: JsonObject) -> JsonObject:
        server = self.peer.server
        ttl, scope = server.cache_hints(self.request.method)
        return modern.stamp(self.request.method, result, server.info, ttl, scope)

    def describe(self, item: JsonObject) -> JsonObject:
        return item

    def _render(self, result: ToolResult) -> Prepared:
        content, tail = to_bytes(result.content), self.peer.server.result_tail
        middle = b',"isError":true,' if result.is_error else b","
        if result.structured is None:
            return Prepared(b'{"content":', content, middle, tail, b"}")
        return Prepared(b'{"content":', content, middle, b'"structuredContent":', result.structured, b",", tail, b"}")

    @property
    def log_level(self) -> str | None:
        return modern.log_level(self.request.params)

    def resume(self) -> None:
        """Take up what an earlier round left: raises `ProtocolError` for a state that is refused.

        Answers may come without a state; they count for the question of their key once they are validated.
        """
        if self.request.method not in ASKING:
            return  # a member that the method does not know
        params = self.request.params
        self._given = cast("JsonObject", params.get("inputResponses") or {})
        state = params.get("requestState")
        if state is not None:
            self._load(cast("str", state))

    def _load(self, state: str | None) -> Progress:
        from mcp_kernel.protocol import sealing  # only a request that asks pays for it

        if self._known is None:
            params, method = self.request.params, self.request.method
            self._binding = sealing.bind(None if self.principal is None else self.principal.name, method, params)
            self._known = sealing.Progress()
            if state is not None:
                key = self.peer.server.state_key
                self._known = sealing.unseal(state, self._binding, key=key, now=time.time())
        return self._known

    async def _ask(self, question: Question[T]) -> T:
        from mcp_kernel.protocol.sealing import digest

        known = self._load(None)
        asked = digest(question.method, question.params)
        answer = self._given.get(question.key, known.answers.get(question.key))
        if isinstance(answer, dict) and known.questions.get(question.key, asked) == asked:
            try:
                read = question.read(cast("JsonObject", answer))
            except ValueError:
                pass  # no answer to this question: it is asked again
            else:
                known.answers[question.key] = cast("JsonObject", answer)
                known.questions[question.key] = asked
                return read
        known.answers.pop(question.key, None)
        known.questions[question.key] = asked
        assert self.asked is not None  # noqa: S101  # ask() has written it down
        waiter = self.asked[question.key]
        if self._record is not None:
            return await self._ask_in_task(self._record, question, waiter)
        if not self._open:
            # Two turns of the loop: questions that were asked together travel together.
            self.peer.loop.call_soon(self.peer.loop.call_soon, self.stop, Ending.PARKED)
        self._open[question.key] = question.to_wire()
        await waiter
        raise AssertionError("a parked handler never goes on")

    def park(self) -> None:
        from mcp_kernel.protocol import sealing

        server = self.peer.server
        assert self._binding is not None  # noqa: S101  # park() follows a question
        assert self._known is not None  # noqa: S101  # as above
        state = sealing.seal(self._known, self._binding, key=server.state_key, now=time.time())
        result = modern.input_required(self._open, state, server.info)
        self._send(encode_result(self.request.id, result))

    # --- tasks ---

    @property
    def takes_tasks(self) -> bool:
        return self.caller.supports(TASKS)

    @property
    def done(self) -> bool:
        return self.answered if self._record is None else self._record.is_finished

    def offer_task(self, offer: TaskOffer) -> None:
        super().offer_task(offer)
        if not self.takes_tasks or offer.after is None:
            return
        if offer.after > 0:
            self._due = self.peer.loop.call_later(offer.after, self._detach_late, offer)
        else:
            self._detach(offer)

    async def become_task(self, message: str | None) -> None:
        await super().become_task(message)
        if self.ending is not None or self.done:
            raise asyncio.CancelledError  # a handler that swallowed its end, or left a task behind
        if self.offer is None or not self.takes_tasks:
            return
        if self._open and self.asked is not None:
            await self.asked[next(iter(self._open))]  # the call is about to be parked: it becomes no task before that
        if self._record is None:
            self._detach(self.offer, message)
        elif message is not None:
            self._record.tell(message)

    def _detach_late(self, offer: TaskOffer) -> None:
        """The call has taken its time: it becomes a task, unless it is about to ask, or there are too many."""
        if self._record is None and not self._open and not self.done and self.ending is None:
            with contextlib.suppress(ToolError):
                self._detach(offer)

    def _detach(self, offer: TaskOffer, message: str | None = None) -> None:
        """Answer with the handle; the work goes on under a limit of its own, and no longer for this connection."""
        self._record = self.peer.server.tasks.open(self, message)
        self.peer.exchanges.pop(self.request.id, None)
        self.limit = offer.limit
        if self.task is not None:  # else the handler has not begun to wait, and the clock not to run
            self.disarm()
            self.arm(self.limit)
        handle = self.complete({"resultType": "task", **self._record.describe()})
        self._send(encode_result(self.request.id, handle))

    async def _ask_in_task(self, record: TaskRecord, question: Question[T], waiter: Waiter) -> T:
        self.pause()
        try:
            return await record.ask(question, waiter)
        finally:
            self.go_on()

    def _deliver(self, result: JsonObject | Prepared) -> None:
        if self._record is None:
            super()._deliver(result)
        else:
            self._record.complete(from_json(result.body) if isinstance(result, Prepared) else result)

    def fail(self, error: ProtocolError) -> None:
        if self._record is None:
            super().fail(error)
        else:
            self._record.fail(error)

    def report(self, progress: float, total: float | None, message: str | None) -> None:
        if self._record is None:
            super().report(progress, total, message)
        else:
            self._record.report(progress, total, message)

    def settle(self) -> None:
        if self._due is not None:
            self._due.cancel()
        super().settle()
        if self._record is not None:
            self._record.cancel()
