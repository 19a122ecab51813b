"""A request of a session: the handshake era's half of `exchange`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, TypeVar, cast

from mcp_kernel.errors import (
    INTERNAL_ERROR,
    RESOURCE_NOT_FOUND,
    ProtocolError,
    ResourceNotFound,
    ToolError,
    Unsupported,
)
from mcp_kernel.protocol import legacy
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    JsonObject,
    Notification,
    Prepared,
    RequestId,
    Response,
    to_bytes,
)
from mcp_kernel.server.exchange import Ending, Exchange
from mcp_kernel.server.questions import Question, Root
from mcp_kernel.server.results import ToolResult, error_result

T = TypeVar("T")

_TRIES: Final = 3  # how often a client is asked when its answers do not fit
_MOST_QUESTIONS: Final = 1000  # open at once on one connection: what a client that never answers can make us hold


class LegacyExchange(Exchange):
    """A request of a session: questions go out as requests on the same connection, and the handler waits."""

    __slots__ = ()

    def complete(self, result: JsonObject) -> JsonObject:
        if self.request.method == "prompts/get":
            messages = cast("list[JsonObject]", result["messages"])
            return {**result, "messages": legacy.lower_messages(messages, self.caller.revision)}
        return result

    def describe(self, item: JsonObject) -> JsonObject:
        return legacy.lower_named(item, self.caller.revision)

    def lower(self, error: ProtocolError) -> ProtocolError:
        if isinstance(error, ResourceNotFound):
            return ProtocolError(RESOURCE_NOT_FOUND, error.message, error.data)
        return error

    def describe_lack(self, error: Unsupported) -> ProtocolError | ToolResult:
        if self.request.method == "tools/call":
            return error_result(f"{error} Nothing was done.")
        return ProtocolError(INTERNAL_ERROR, str(error))

    def _render(self, result: ToolResult) -> JsonObject | Prepared:
        revision = self.caller.revision
        content = result.content if revision.structured_output else legacy.lower_content(result.content, revision)
        if result.structured is None or not revision.structured_output:
            return {"content": content, "isError": True} if result.is_error else {"content": content}
        middle = b',"isError":true,"structuredContent":' if result.is_error else b',"structuredContent":'
        if result.is_object:
            return Prepared(b'{"content":', to_bytes(content), middle, result.structured, b"}")
        return Prepared(b'{"content":', to_bytes(content), middle, b'{"result":', result.structured, b"}}")

    @property
    def log_level(self) -> str | None:
        return self.peer.session.log_level

    async def find_roots(self, question: Question[list[Root]]) -> list[Root]:
        followed = self.peer.roots
        if followed is None:
            return await self._ask_again(question)
        self._check(question)
        self.pause()
        try:
            known = await followed.wait()
        finally:
            self.go_on()
        if known is None:
            version = followed.version
            known = await self._ask_again(question)
            followed.learn(known, version)
        return list(known)

    async def _ask_again(self, question: Question[T]) -> T:
        """Ask a question whose key is free again if it fails."""
        try:
            return await self.ask(question)
        except (ToolError, asyncio.CancelledError):
            (self.asked or {}).pop(question.key, None)
            raise

    async def _ask(self, question: Question[T]) -> T:
        self.pause()
        try:
            for _ in range(_TRIES):
                result = await self._call(question)
                with contextlib.suppress(ValueError):  # no answer to this question: it is asked again
                    return question.read(result)
        finally:
            self.go_on()
        raise ToolError(f"The client's answers to {question.method} did not fit what was asked.")

    async def _call(self, question: Question[T]) -> JsonObject:
        if len(self.peer.calls) >= _MOST_QUESTIONS:
            raise ToolError("The client has too many questions open already. Answer some first.")
        waiter: asyncio.Future[Response | Failure] = self.peer.loop.create_future()
        if self.asked is not None:
            self.asked[question.key] = waiter
        identifier = self.peer.ask(question.method, self._lower_params(question.params), waiter, self)
        try:
            answer = await waiter
        except asyncio.CancelledError:
            if self.peer.calls.settle(identifier) is not None:
                self._withdraw(identifier)
            raise
        if isinstance(answer, Failure):
            raise ToolError(f"The client refused {question.method}: {answer.message}")
        return answer.result

    def _lower_params(self, params: JsonObject) -> JsonObject:
        if "messages" in params:
            messages = cast("list[JsonObject]", params["messages"])
            return {**params, "messages": legacy.lower_messages(messages, self.caller.revision)}
        if params.get("mode") != "url":
            return params
        # 2025-11-25 names each page; 2026-07-28 dropped the name.
        return {**params, "elicitationId": f"{self.request.id}-{self.peer.calls.count}"}

    def _withdraw(self, identifier: RequestId) -> None:
        """Tell the client that nobody waits for its answer any more, so that it closes its dialog."""
        reason = "The request that asked was cancelled"
        withdrawn = Notification("notifications/cancelled", {"requestId": identifier, "reason": reason})
        if self.ending is not Ending.CLOSED:
            self.peer.tell(withdrawn, self)
