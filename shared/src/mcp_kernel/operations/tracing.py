"""Spans and durations of requests for OpenTelemetry, by its semantic conventions for MCP.

The conventions are open-telemetry/semantic-conventions-genai, docs/gen-ai/mcp.md and model/mcp. Three things are as we
take them: a session's id stands in spans as a digest, since the id opens the session; the name of a tool or prompt that
is not there is left out, since names of spans must be few; what was asked and answered, which is for whoever opts in,
is never recorded.

Spans and figures go to the providers of the process: `opentelemetry-instrument` sets them up, or the program that
embeds the server. Without them, the API's own do nothing. Importing this imports the API.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from mcp_kernel.errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RESOURCE_NOT_FOUND,
    ProtocolError,
)
from mcp_kernel.operations.correlation import find_session, read_meta
from mcp_kernel.operations.outcomes import Outcome, of_answer, of_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, SpanContext, TracerProvider

    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed

_NAMED: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
_OF_THE_CALLER: Final = frozenset((PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, RESOURCE_NOT_FOUND))
"""Codes that say what was wrong with the request, and so of no failure here (model/mcp, "mcp.server.status")."""

_BOUNDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)  # seconds
_ONCE: Final = frozenset(
    ("jsonrpc.request.id", "mcp.session.id", "mcp.resource.uri", "client.address", "client.port")
)  # of a span and no figure: each would be a series of its own


class Tracing:
    """The stage that makes a span of each request and measures it.

    The span's parent is what the message names in `_meta` (SEP-414), else the span around it, else what the HTTP
    headers name; of the last two, what is not the parent is linked.
    """

    def __init__(self, spans: TracerProvider | None = None, figures: MeterProvider | None = None) -> None:
        self._tracer = trace.get_tracer("mcp_kernel", tracer_provider=spans)
        meter = metrics.get_meter("mcp_kernel", meter_provider=figures)
        self._seconds = meter.create_histogram(
            "mcp.server.operation.duration",
            unit="s",
            description="From the arrival of a request to its answer.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )

        self._lives = meter.create_histogram(
            "mcp.server.session.duration",
            unit="s",
            description="From the handshake of a session to its end.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """See `Stage.run`."""
        attributes = _describe(exchange)
        target = next((attributes[name] for name in _NAMED.values() if name in attributes), None)
        method, began = exchange.request.method, perf_counter()
        parent, links = _find_parent(exchange)
        with self._tracer.start_as_current_span(
            f"{method} {target}" if target else method,
            context=parent,
            links=links,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,  # its text is for the log alone, as it is when there are no spans
            set_status_on_exception=False,
        ) as span:
            if span.get_span_context().is_valid:
                exchange.trace_id = f"{span.get_span_context().trace_id:032x}"
            ends: dict[str, str] = {}
            try:
                answer = await proceed(exchange)
            except BaseException as error:
                ends = _conclude(span, of_error(exchange, error), error)
                raise
            else:
                ends = _conclude(span, of_answer(exchange, answer), None)
                if method == "initialize":  # the revision is agreed on only now
                    attributes["mcp.protocol.version"] = exchange.peer.session.revision.name
                    span.set_attributes(attributes)
                    exchange.peer.on_end = partial(self._end_session, began, attributes)
                return answer
            finally:
                kept = {name: value for name, value in attributes.items() if name not in _ONCE}
                self._seconds.record(perf_counter() - began, {**kept, **ends})

    def _end_session(self, began: float, opening: Mapping[str, str | int]) -> None:
        kept = {name: value for name, value in opening.items() if name not in (*_ONCE, "mcp.method.name")}
        self._lives.record(perf_counter() - began, kept)


def _find_parent(exchange: Exchange) -> tuple[Context | None, list[Link]]:
    """What the span is below, None being the span around it, and the spans that it is linked with."""
    around = trace.get_current_span().get_span_context()
    carried = propagate.extract({} if exchange.arrival is None else exchange.arrival.trace)
    named = propagate.extract(read_meta(exchange))
    if not _span_of(named).is_remote:
        return (None, []) if around.is_valid else (carried, [])
    transport = around if around.is_valid else _span_of(carried)
    return named, [Link(transport)] if transport.is_valid else []


def _span_of(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _describe(exchange: Exchange) -> dict[str, str | int]:
    params, method = exchange.request.params, exchange.request.method
    found: dict[str, str | int] = {
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
    session = find_session(exchange)
    if session is not None:
        found["mcp.session.id"] = session
    return {**found, **_describe_network(exchange)}


def _describe_network(exchange: Exchange) -> dict[str, str | int]:
    arrival = exchange.arrival
    if arrival is None:
        return {"network.transport": "pipe"}
    carried: dict[str, str | int] = {"network.protocol.name": "http", "network.protocol.version": arrival.version}
    if arrival.address is None or arrival.port is None:
        return {"network.transport": "unix", **carried}
    return {
        "network.transport": "tcp",
        **carried,
        "client.address": arrival.address,
        "client.port": arrival.port,
    }


def _is_declared(exchange: Exchange) -> bool:
    """Whether what is named is there: the names of spans must be few, and a client can make up any."""
    server, name = exchange.peer.server, str(exchange.request.params.get("name"))
    registry = server.tools if exchange.request.method == "tools/call" else server.prompts
    return registry.get(name) is not None


def _conclude(span: Span, outcome: Outcome, error: BaseException | None) -> dict[str, str]:
    """Write down how a request ended, and return what a figure says of it.

    Of what a handler raised unforeseen its class is told and no text; of what the client is told, the text is the
    status's.
    """
    ends: dict[str, str] = {}
    if outcome.code is not None:
        ends["rpc.response.status_code"] = str(outcome.code)
    if not outcome.is_failure and outcome.word != "ok":
        span.set_attribute("mcp_kernel.outcome", outcome.word)
    if outcome.is_failure and outcome.code not in _OF_THE_CALLER:
        failed = outcome.kind == "internal" and error is not None
        ends["error.type"] = type(error).__qualname__ if failed else str(outcome.code or outcome.word)
        if failed:
            span.add_event("exception", {"exception.type": ends["error.type"]})
        span.set_status(Status(StatusCode.ERROR, error.message if isinstance(error, ProtocolError) else None))
    span.set_attributes(ends)
    return ends
