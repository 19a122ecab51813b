"""What became of a request, in a word: for whoever counts, traces or writes down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from mcp_kernel.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    RESOURCE_NOT_FOUND,
    ProtocolError,
    ResourceNotFound,
    ToolError,
    Unsupported,
)
from mcp_kernel.server.dispatch import blame
from mcp_kernel.server.results import ToolResult

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer

_ENDINGS: Final = {"PARKED": "asked", "TIMED_OUT": "timed_out", "CANCELLED": "cancelled", "CLOSED": "closed"}
_KINDS: Final = {
    INVALID_REQUEST: "invalid_request",
    METHOD_NOT_FOUND: "method_not_found",
    INVALID_PARAMS: "invalid_params",
    INTERNAL_ERROR: "internal",
    RESOURCE_NOT_FOUND: "not_found",
    MISSING_CAPABILITY: "missing_capability",
}
_STATUSES: Final = {401: "unauthenticated", 403: "forbidden", 429: "limited", 503: "unavailable"}


class Outcome(NamedTuple):
    """How a request ended.

    `word` is ok, asked (the client was asked something, and will come again), tool_error (told to the model), error
    (JSON-RPC), timed_out, cancelled (by its client) or closed (with the connection). `kind` says more of an error, and
    `code` is that of JSON-RPC. `is_failure` is what an operator would call so.
    """

    word: str
    kind: str = ""
    code: int | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the client did not get what it asked for, and did not take the request back."""
        return self.word in ("tool_error", "error", "timed_out")


def of_answer(exchange: Exchange, answer: Answer) -> Outcome:
    """The outcome of a request whose method returned."""
    if exchange.ending is not None:
        return _ended(exchange)
    if isinstance(answer, ToolResult) and answer.is_error:
        return Outcome("tool_error", "tool")
    return Outcome("ok")


def of_error(exchange: Exchange, error: BaseException) -> Outcome:
    """The outcome of a request whose method raised."""
    if exchange.ending is not None:
        return _ended(exchange)
    while isinstance(error, BaseExceptionGroup):  # of several the first is told, where all of them are told
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, ResourceNotFound):
        return Outcome("error", "not_found", exchange.lower(error).code)
    if isinstance(error, ProtocolError):
        kind = _STATUSES.get(error.status) or _KINDS.get(error.code, "other")
        return Outcome("error", kind, error.code)
    if isinstance(error, Unsupported):
        told = exchange.describe_lack(error)
        word, code = ("error", told.code) if isinstance(told, ProtocolError) else ("tool_error", None)
        return Outcome(word, "missing_capability", code)
    if isinstance(error, (ToolError, *exchange.peer.server.tool_errors)):
        if exchange.request.method == "tools/call":
            return Outcome("tool_error", "limited" if _is_limited(exchange) else "tool")
        return Outcome("error", "tool", blame(exchange, error))
    return Outcome("error", "internal", INTERNAL_ERROR)


def _ended(exchange: Exchange) -> Outcome:
    assert exchange.ending is not None  # noqa: S101  # both callers have looked
    word = _ENDINGS[exchange.ending.name]
    return Outcome(word, word if word == "timed_out" else "")


def _is_limited(exchange: Exchange) -> bool:
    """Whether a refusal that a model is told says when to come again: it was one of a limit."""
    return any(name.lower() == b"retry-after" for name, _ in exchange.headers)
