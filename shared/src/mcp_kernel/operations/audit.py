"""The audit log: who asked for what, whether he was let, and what came of it; one line for each request.

A request that becomes a task has two lines with the same `call`: one with its handle, one with its end. With `required`
a request that runs a handler has one more, `opened`, which is on the disk before the handler runs; while the log cannot
be written, such requests are refused. Requests that are refused before they are one in flight have a line `refused`
(`audit_refusals.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from binascii import hexlify
from collections.abc import Callable
from os import urandom
from typing import TYPE_CHECKING, Final

from mcp_kernel.errors import INTERNAL_ERROR, ProtocolError, ToolError
from mcp_kernel.operations.audit_file import write_time
from mcp_kernel.operations.audit_writer import AuditWriter, Unwritable
from mcp_kernel.operations.outcomes import of_error
from mcp_kernel.operations.redaction import Redaction, cut, cut_uri
from mcp_kernel.server.results import ToolResult

if TYPE_CHECKING:
    from mcp_kernel.protocol.jsonrpc import JsonObject
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed
    from mcp_kernel.server.principal import Headers

UNAVAILABLE: Final = -32000
"""The error code of a refusal because the log cannot be written."""

_UNAVAILABLE_STATUS: Final = 503  # HTTP
_FREE: Final = frozenset(
    {
        "initialize",
        "server/discover",
        "ping",
        "logging/setLevel",
        "tools/list",
        "prompts/list",
        "resources/templates/list",
    }
)
"""What runs no handler, and is answered though the log cannot be written: a client may look around."""


class AuditStage:
    """Writes down every request; the outermost stage but for what observes.

    Args:
        log: What writes.
        redaction: What is kept of arguments.
        required: Do nothing that is not in the log before.
        clock: The time of day, in seconds since 1970.
    """

    def __init__(
        self,
        log: AuditWriter,
        redaction: Redaction | None = None,
        *,
        required: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.log = log
        self.redaction = redaction or Redaction()
        self.clock = clock
        self._required = required
        self._run = hexlify(urandom(4)).decode()  # tells the calls of one process from those of another
        self._count = itertools.count(1)

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """Let a request through, and write down what came of it."""
        entry = _Entry(self, exchange, f"{self._run}-{next(self._count)}")
        try:
            if self._required and exchange.request.method not in _FREE:
                await self._open(exchange, entry)
            answer = await proceed(exchange)
        except BaseException as error:
            entry.end(*_read_failure(exchange, error))
            raise
        entry.end("tool error" if type(answer) is ToolResult and answer.is_error else "ok")
        return answer

    async def _open(self, exchange: Exchange, entry: _Entry) -> None:
        try:
            await self.log.secure({**entry.describe("opened"), "arguments": entry.arguments})
        except Unwritable:
            exchange.refusal = "audit"
            text = "The audit log cannot be written, and nothing is done without it. Tell the operator, and try later."
            if exchange.request.method == "tools/call":
                raise ToolError(text) from None
            raise ProtocolError(UNAVAILABLE, text, status=_UNAVAILABLE_STATUS) from None

    def redact(self, redaction: Redaction) -> None:
        """Keep other parts of arguments from now on."""
        self.redaction = redaction


class _Entry:
    """One request: takes the place of its sink, which is called once, and writes the line."""

    __slots__ = ("_began", "_call", "_exchange", "_noted", "_outcome", "_sink", "_stage", "_started", "arguments")

    def __init__(self, stage: AuditStage, exchange: Exchange, call: str) -> None:
        self._stage = stage
        self._exchange = exchange
        self._call = call
        self._started = stage.clock()
        self._began = time.perf_counter()
        self._outcome: tuple[str, int | None] | None = None
        self._noted: str | None = None  # the outcome of the line that is written
        self.arguments = stage.redaction.apply(exchange.request.params.get("arguments"))
        self._sink = exchange.sink
        exchange.sink = self._answer

    def end(self, outcome: str, code: int | None = None) -> None:
        """The handler and the stages inside have ended; where that was a task's work, this is its second line."""
        self._outcome = (outcome, code)
        if self._noted == "task":
            self._note(outcome, code, None)

    def _answer(self, data: bytes | None, status: int, headers: Headers = (), /) -> None:
        self._sink(data, status, headers)
        if self._outcome is not None:
            self._note(*self._outcome, data)
        elif self._exchange.ending is not None:  # answered for, while the handler clings to its work
            self._note(*_read_ending(self._exchange), data)
        else:
            self._note("task", None, data)

    def _note(self, outcome: str, code: int | None, data: bytes | None) -> None:
        self._noted = outcome
        record = self.describe("call")
        if self.arguments is not None:
            record["arguments"] = self.arguments
        refusal = self._exchange.refusal
        record["decision"] = "allowed" if refusal is None else "refused"
        if refusal is not None:
            record["refused_by"] = refusal
        record["outcome"] = outcome
        if code is not None:
            record["code"] = code
        record["ms"] = round((time.perf_counter() - self._began) * 1000, 3)
        record["bytes"] = 0 if data is None else len(data)
        self._stage.log.note(record)

    def describe(self, event: str) -> JsonObject:
        """Who asks for what; the time is that of the request's arrival."""
        exchange = self._exchange
        info = exchange.caller.info or {}
        record: JsonObject = {"time": write_time(self._started), "event": event, "call": self._call}
        record["principal"] = None if exchange.principal is None else exchange.principal.name
        record["client"] = cut(f"{info.get('name', '')} {info.get('version', '')}".strip())
        if exchange.address is not None:
            record["address"] = exchange.address
        record["revision"] = exchange.caller.revision.name
        record["method"] = exchange.request.method
        record.update(_find_target(exchange))
        return record


def _find_target(exchange: Exchange) -> JsonObject:
    """What the request names: a tool, a prompt, a resource."""
    params, method = exchange.request.params, exchange.request.method
    target: JsonObject = {}
    if isinstance(name := params.get("name"), str):
        target["prompt" if method == "prompts/get" else "tool"] = cut(name)
    if isinstance(uri := params.get("uri"), str):
        target["uri"] = cut_uri(uri)
    return target


def _read_failure(exchange: Exchange, error: BaseException) -> tuple[str, int | None]:
    """What a request came to that ended with an exception, and the code of its error."""
    if isinstance(error, asyncio.CancelledError) or exchange.ending is not None:
        return _read_ending(exchange)
    outcome = of_error(exchange, error)
    return "internal error" if outcome.kind == "internal" else outcome.word.replace("_", " "), outcome.code


def _read_ending(exchange: Exchange) -> tuple[str, int | None]:
    if exchange.ending is None:  # the handler cancelled itself
        return "internal error", INTERNAL_ERROR
    return ("asked" if exchange.ending.value == "parked" else exchange.ending.value), None
