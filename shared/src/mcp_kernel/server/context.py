"""The handler's view of the request that it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from mcp_kernel.protocol.jsonrpc import JsonObject, RequestId
from mcp_kernel.server import questions
from mcp_kernel.server.content import Message
from mcp_kernel.server.exchange import Exchange
from mcp_kernel.server.questions import Root, Sampled, Sampling

if TYPE_CHECKING:
    from mcp_kernel.server.principal import Principal

T = TypeVar("T")

LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Context:
    """What a handler may know and do beyond its arguments; a parameter annotated with it receives one.

    Ask first, act last: in the stateless era a question ends the request, and the handler runs again from its top
    when the answer comes. Each question has a key of its own within the call.
    """

    __slots__ = ("_asking", "_exchange", "_roots")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._roots: list[Root] | None = None
        self._asking: asyncio.Lock | None = None

    @property
    def request_id(self) -> RequestId:
        """The id that the client gave to the request."""
        return self._exchange.request.id

    @property
    def principal(self) -> Principal | None:
        """Who is authenticated; None where nobody is, as over stdio."""
        return self._exchange.principal

    @property
    def denied_tables(self) -> frozenset[str]:
        """Names of tables that do not exist for whoever asks, as the roles of a policy have them."""
        return self._exchange.denied_tables

    @property
    def client(self) -> JsonObject:
        """What the client says of itself (the shape of `Implementation`): for display, never for decisions."""
        return self._exchange.caller.info or {}

    def supports(self, **capability: JsonObject) -> bool:
        """Tell whether the client declared a capability: `supports(elicitation={"url": {}})`."""
        return self._exchange.caller.supports(dict(capability))

    @overload
    async def elicit(self, key: str, message: str, form: type[T]) -> T: ...
    @overload
    async def elicit(self, key: str, message: str, form: Mapping[str, object]) -> JsonObject: ...
    async def elicit(self, key: str, message: str, form: type[T] | Mapping[str, object]) -> T | JsonObject:
        """Ask the user to fill in a form: a model of flat primitives, or the form's schema as it shall travel.

        Raises `Declined` when the user says no, which ends the call if it is not caught, and `Unsupported` when the
        client cannot show forms.
        """
        if isinstance(form, type):
            return await self._exchange.ask(questions.ask_form(key, message, form))
        return await self._exchange.ask(questions.ask_schema(key, message, form))

    async def elicit_url(self, key: str, message: str, url: str) -> None:
        """Ask the user to open a page, for what must not pass through the client.

        Returns when the user agreed to, which does not say that the page was finished with. Raises as `elicit`.
        """
        await self._exchange.ask(questions.ask_url(key, message, url))

    async def sample(self, key: str, messages: str | Sequence[Message], sampling: Sampling | None = None) -> Sampled:
        """Ask the host's model; raises `Unsupported` when the client has none to offer."""
        return await self._exchange.ask(questions.ask_sample(key, messages, sampling or Sampling()))

    async def roots(self) -> list[Root]:
        """Ask for the directories and files that the client works on; asked once in a call.

        Of a server that was made with `follow_roots`, a session's client is asked when they change instead.
        """
        self._asking = self._asking or asyncio.Lock()
        async with self._asking:  # two who ask at once share one question
            if self._roots is None:
                self._roots = await self._exchange.find_roots(questions.ask_roots("roots"))
        return self._roots

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress, where the client asked for it; a value that does not rise is not sent.

        Of a task it becomes the status message.
        """
        self._exchange.report(done, total, message)
        await self._exchange.drain()

    async def log(self, level: LogLevel, data: object, logger: str | None = None) -> None:
        """Send the client a log message, where it wants to hear of this level; `data` is any JSON value.

        A task has nobody to send it to.
        """
        self._exchange.log(level, data, logger)
        await self._exchange.drain()

    async def become_task(self, message: str | None = None) -> None:
        """Answer the call with a task, and go on as its work; `message` is shown as its status.

        Questions asked before are questions of the call, those asked after it travel in the task. Where the client
        has no tasks nothing happens and the call goes on as a call; in a task `message` is its new status.
        Raises `RuntimeError` in a tool that was declared without `task`, `ToolError` when there are too many tasks.
        """
        await self._exchange.become_task(message)

    def release_stream(self, retry_ms: int) -> None:
        """Let the client go while the work goes on: it comes back for the rest after so many milliseconds.

        Only where the client can do that (HTTP sessions of 2025-11-25); elsewhere nothing happens.
        """
        self._exchange.peer.outlet.release(self._exchange, retry_ms)

    def changed(self, uri: str) -> None:
        """Tell those who subscribed to a resource that it changed."""
        self._exchange.peer.server.changed(uri)

    def list_changed(self, kind: Literal["tools", "resources", "prompts"]) -> None:
        """Tell the clients that a list changed."""
        self._exchange.peer.server.list_changed(kind)
