"""Spans of requests for OpenTelemetry, by its semantic conventions for MCP (gen-ai/mcp, "Server").

Spans go to the tracer provider of the process: `opentelemetry-instrument` sets one up, or the program that embeds the
server. Without one, the API's own does nothing. Importing this imports the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from mcp_kernel.operations.correlation import find_session, read_parent
from mcp_kernel.operations.outcomes import Outcome, of_answer, of_error

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed

_NAMED: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}


class Tracing:
    """The stage that makes a span of each request; its parent is what the client says, in `_meta` or by HTTP."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("mcp_kernel", tracer_provider=provider)

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """See `Stage.run`."""
        attributes = _describe(exchange)
        target = next((attributes[name] for name in _NAMED.values() if name in attributes), None)
        method = exchange.request.method
        with self._tracer.start_as_current_span(
            f"{method} {target}" if target else method,
            context=propagate.extract(read_parent(exchange)),
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,  # its text is for the log alone, as it is when there are no spans
            set_status_on_exception=False,
        ) as span:
            if span.get_span_context().is_valid:
                exchange.trace_id = f"{span.get_span_context().trace_id:032x}"
            try:
                answer = await proceed(exchange)
            except BaseException as error:
                _conclude(span, of_error(exchange, error), error)
                raise
            _conclude(span, of_answer(exchange, answer), None)
            return answer


def _describe(exchange: Exchange) -> dict[str, str]:
    params, method = exchange.request.params, exchange.request.method
    found = {
        "mcp.method.name": method,
        "jsonrpc.request.id": str(exchange.request.id),
        "mcp.protocol.version": exchange.caller.revision.name,
    }
    if method in _NAMED and _is_declared(exchange):
        found[_NAMED[method]] = str(params.get("name"))
    if method == "tools/call":
        found["gen_ai.operation.name"] = "execute_tool"
    if isinstance(params.get("uri"), str):
        found["mcp.resource.uri"] = cast("str", params["uri"])
    if exchange.trace is None:
        found["network.transport"] = "pipe"
        return found
    found |= {"network.transport": "tcp", "network.protocol.name": "http"}
    session = find_session(exchange)
    if session is not None:
        found["mcp.session.id"] = session
    if exchange.address is not None:
        found["client.address"] = exchange.address
    return found


def _is_declared(exchange: Exchange) -> bool:
    """Whether what is named is there: the names of spans must be few, and a client can make up any."""
    server, name = exchange.peer.server, str(exchange.request.params.get("name"))
    registry = server.tools if exchange.request.method == "tools/call" else server.prompts
    return registry.get(name) is not None


def _conclude(span: Span, outcome: Outcome, error: BaseException | None) -> None:
    """Write down how a request ended; of what a handler raised unforeseen, its class and no text."""
    if outcome.code is not None:
        span.set_attribute("rpc.response.status_code", str(outcome.code))
    if not outcome.is_failure:
        if outcome.word != "ok":
            span.set_attribute("mcp_kernel.outcome", outcome.word)
        return
    failed = outcome.kind == "internal" and error is not None
    kind = type(error).__qualname__ if failed else str(outcome.code or outcome.word)
    span.set_attribute("error.type", kind)
    if failed:
        span.add_event("exception", {"exception.type": kind})
    span.set_status(Status(StatusCode.ERROR))
