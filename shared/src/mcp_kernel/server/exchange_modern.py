"""A stateless request: 2026-07-28's half of `exchange`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar, cast

from mcp_kernel.protocol import modern
from mcp_kernel.protocol.capabilities import Caller
from mcp_kernel.protocol.jsonrpc import JsonObject, Prepared, Request, encode_result, to_bytes
from mcp_kernel.protocol.shapes import ASKING
from mcp_kernel.server.exchange import Ending, Exchange, Sink
from mcp_kernel.server.questions import Question
from mcp_kernel.server.results import ToolResult

if TYPE_CHECKING:
    from mcp_kernel.protocol.sealing import Binding, Progress
    from mcp_kernel.server.peer import Peer

T = TypeVar("T")


class ModernExchange(Exchange):
    """A stateless request: questions end it, and the client sends it again with the answers."""

    __slots__ = ("_binding", "_given", "_known", "_open")

    def __init__(self, peer: Peer, request: Request, caller: Caller, sink: Sink) -> None:
        super().__init__(peer, request, caller, sink)
        self._known: Progress | None = None
        self._binding: Binding | None = None
        self._given: JsonObject = {}
        self._open: JsonObject = {}

    def complete(self, result: JsonObject) -> JsonObject:
        server = self.peer.server
        ttl, scope = server.cache_hints(self.request.method)
        return modern.stamp(self.request.method, result, server.info, ttl, scope)

    def describe(self, item: JsonObject) -> JsonObject:
        return item

    def _render(self, result: ToolResult) -> Prepared:
        body: JsonObject = {"content": result.content}
        if result.is_error:
            body["isError"] = True
        tail = self.peer.server.result_tail
        data = to_bytes(body)
        if result.structured is None:
            return Prepared(b"%b,%b}" % (data[:-1], tail))
        return Prepared(b'%b,"structuredContent":%b,%b}' % (data[:-1], result.structured, tail))

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
            self._binding = sealing.bind(self.peer.principal, method, params)
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
        if not self._open:
            # Two turns of the loop: questions that were asked together travel together.
            self.peer.loop.call_soon(self.peer.loop.call_soon, self.stop, Ending.PARKED)
        self._open[question.key] = question.to_wire()
        assert self.asked is not None  # noqa: S101  # ask() has written it down
        await self.asked[question.key]
        raise AssertionError("a parked handler never goes on")

    def park(self) -> None:
        from mcp_kernel.protocol import sealing

        server = self.peer.server
        assert self._binding is not None  # noqa: S101  # park() follows a question
        assert self._known is not None  # noqa: S101  # as above
        state = sealing.seal(self._known, self._binding, key=server.state_key, now=time.time())
        result = modern.input_required(self._open, state, server.info)
        self._send(encode_result(self.request.id, result))
