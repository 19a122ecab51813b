"""Spans and durations of requests for OpenTelemetry, by its semantic conventions for MCP (`protocol/spans.py`).

What passes beside the requests that a client is served is in `tracing_messages.py`. Three things are as we take them: a
session's id stands in spans as a digest, since the id opens the session; the name of a tool or prompt that is not there
is left out, since names of spans must be few; what was asked and answered, which is for whoever opts in, is never
recorded.

Spans and figures go to the providers of the process: `opentelemetry-instrument` sets them up, or the program that
embeds the server. Without them, the API's own do nothing. Importing this imports the API.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from mcp_kernel.errors import ProtocolError
from mcp_kernel.operations.correlation import find_session, read_meta
from mcp_kernel.operations.hiding import hide
from mcp_kernel.operations.outcomes import Outcome, of_answer, of_error
from mcp_kernel.protocol import spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, SpanContext, TracerProvider

    from mcp_kernel.protocol.jsonrpc import JsonObject
    from mcp_kernel.protocol.spans import Attributes
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.monitor import Arrival
    from mcp_kernel.server.pipeline import Answer, Proceed


class Tracing:
    """The stage that makes a span of each request and measures it.

    The span's parent is what the message names in `_meta` (SEP-414), else the span around it, else what the HTTP
    headers name; of the last two, what is not the parent is linked.
    """

    def __init__(self, provider: TracerProvider | None = None, figures: MeterProvider | None = None) -> None:
        self._tracer = trace.get_tracer("mcp_kernel", tracer_provider=provider)
        self._seconds = make_histogram("mcp.server.operation.duration", figures)
        self._lives = make_histogram("mcp.server.session.duration", figures)

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """See `Stage.run`."""
        attributes = _describe(exchange)
        method, began = exchange.request.method, perf_counter()
        parent, links = find_parent(exchange.request.params, exchange.arrival)
        with self._tracer.start_as_current_span(
            spans.name_span(attributes),
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
                ends = conclude(span, of_error(exchange, error), error)
                raise
            else:
                ends = conclude(span, of_answer(exchange, answer), None)
                if method == "initialize":  # the revision is agreed on only now
                    attributes["mcp.protocol.version"] = exchange.peer.session.revision.name
                    span.set_attributes(attributes)
                    exchange.peer.on_end = partial(self._end_session, began, attributes)
                return answer
            finally:
                self._seconds.record(perf_counter() - began, {**spans.keep(attributes), **ends})

    def _end_session(self, began: float, opening: Attributes) -> None:
        kept = {name: value for name, value in spans.keep(opening).items() if name != "mcp.method.name"}
        self._lives.record(perf_counter() - began, kept)


def make_histogram(name: str, figures: MeterProvider | None) -> Histogram:
    """One of the conventions' figures; a second of the same name is the first."""
    return metrics.get_meter("mcp_kernel", meter_provider=figures).create_histogram(
        name, unit="s", description=spans.FIGURES[name], explicit_bucket_boundaries_advisory=spans.BOUNDS
    )


def find_parent(params: JsonObject, arrival: Arrival | None) -> tuple[Context | None, list[Link]]:
    """What the span of a message is below, None being the span around it, and the spans that it is linked with."""
    around = trace.get_current_span().get_span_context()
    carried = propagate.extract({} if arrival is None else arrival.trace)
    named = propagate.extract(read_meta(params))
    if not _span_of(named).is_remote:
        return (None, []) if around.is_valid else (carried, [])
    transport = around if around.is_valid else _span_of(carried)
    return named, [Link(transport)] if transport.is_valid else []


def _span_of(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _describe(exchange: Exchange) -> Attributes:
    found = spans.describe(exchange.request)
    found["mcp.protocol.version"] = exchange.caller.revision.name
    named = spans.NAMED.get(exchange.request.method)
    if named is not None and _is_declared(exchange):
        found[named] = str(exchange.request.params.get("name"))
    session = find_session(exchange.peer)
    if session is not None:
        found["mcp.session.id"] = session
    return {**found, **describe_network(exchange.arrival)}


def describe_network(arrival: Arrival | None) -> Attributes:
    """What carries the messages, and where from."""
    if arrival is None:
        return {"network.transport": "pipe"}
    carried: Attributes = {"network.protocol.name": "http", "network.protocol.version": arrival.version}
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


def spell(text: str) -> str:
    """What the other end is told, as a span shows it: without secrets, which may be quoted from an argument."""
    return spans.spell(hide(text))


def conclude(span: Span, outcome: Outcome, error: BaseException | None) -> dict[str, str]:
    """Write down how a request ended, and return what a figure says of it.

    Of what a handler raised unforeseen its class is told and no text; of what the client is told, the text is the
    status's.
    """
    ends: dict[str, str] = {}
    if outcome.code is not None:
        ends["rpc.response.status_code"] = str(outcome.code)
    if not outcome.is_failure and outcome.word != "ok":
        span.set_attribute("mcp_kernel.outcome", outcome.word)
    if outcome.is_failure and outcome.code not in spans.OF_THE_CALLER:
        failed = outcome.kind == "internal" and error is not None
        ends["error.type"] = type(error).__qualname__ if failed else str(outcome.code or outcome.word)
        if failed:
            span.add_event("exception", {"exception.type": ends["error.type"]})
        span.set_status(Status(StatusCode.ERROR, spell(error.message) if isinstance(error, ProtocolError) else None))
    span.set_attributes(ends)
    return ends
