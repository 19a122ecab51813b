"""Spans and durations of what no stage sees: notifications, the server's questions, requests that were refused at once.

By the conventions (`protocol/spans.py`) whoever begins has a span of the kind CLIENT, and whoever is told or asked one
of the kind SERVER, so a server that asks is the client of its client. The context travels in `_meta` (SEP-414), and
nothing of the baggage, which is not for whoever is asked. Progress and log messages have no spans: they come by the
thousand, and say to what they belong.

A notification that is sent is not answered, so that its span is a moment. A question is a request in the legacy era
alone; in the modern one it is part of an answer, and travels with the span of the call that is made again.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, cast

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mcp_kernel.operations.correlation import find_session
from mcp_kernel.operations.outcomes import Outcome
from mcp_kernel.operations.tracing import conclude, describe_network, find_parent, make_histogram, spell
from mcp_kernel.protocol import spans
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject, Notification, Request, Response
from mcp_kernel.protocol.modern import PROTOCOL_VERSION
from mcp_kernel.protocol.revisions import KNOWN

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from mcp_kernel.errors import ProtocolError
    from mcp_kernel.protocol.spans import Attributes
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.peer import Peer


class MessageTracing:
    """The server's `Tracer`."""

    def __init__(self, provider: TracerProvider | None = None, figures: MeterProvider | None = None) -> None:
        self._tracer = trace.get_tracer("mcp_kernel", tracer_provider=provider)
        self._served = make_histogram("mcp.server.operation.duration", figures)
        self._called = make_histogram("mcp.client.operation.duration", figures)

    # --- what the client begins ---

    def hear(self, peer: Peer, notification: Notification) -> AbstractContextManager[object]:
        """See `Tracer.hear`."""
        return nullcontext() if notification.method in spans.UNTRACED else self._hear(peer, notification)

    @contextmanager
    def _hear(self, peer: Peer, notification: Notification) -> Generator[None]:
        attributes = {**_describe(peer, notification, None), **describe_network(peer.arrival)}
        parent, links = find_parent(notification.params, peer.arrival)
        name, began = spans.name_span(attributes), perf_counter()
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            links=links,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ):
            yield
        self._served.record(perf_counter() - began, spans.keep(attributes))

    def refuse(self, peer: Peer, error: ProtocolError, request: Request | None) -> None:
        """See `Tracer.refuse`."""
        attributes = describe_network(peer.arrival)
        if request is None:
            attributes["mcp.method.name"] = spans.OTHER
        else:
            attributes |= _describe(peer, request, None)
        parent, links = find_parent({} if request is None else request.params, peer.arrival)
        name, began = spans.name_span(attributes), perf_counter()
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes, links)
        ends = conclude(span, Outcome("error", code=error.code), error)
        span.end()
        self._served.record(perf_counter() - began, {**spans.keep(attributes), **ends})

    # --- what the server begins ---

    def tell(self, peer: Peer, notification: Notification, exchange: Exchange | None) -> Notification:
        """See `Tracer.tell`."""
        if notification.method in spans.UNTRACED:
            return notification
        span, attributes = self._begin(peer, notification, exchange)
        dressed = Notification(notification.method, _inject(notification.params, span))
        span.end()
        self._called.record(0.0, spans.keep(attributes))
        return dressed

    def ask(
        self, peer: Peer, question: Request, answer: asyncio.Future[Response | Failure], exchange: Exchange | None
    ) -> Request:
        """See `Tracer.ask`."""
        span, attributes = self._begin(peer, question, exchange)
        answer.add_done_callback(partial(self._end, span, attributes, perf_counter()))
        return Request(question.id, question.method, _inject(question.params, span))

    def _begin(self, peer: Peer, message: Request | Notification, exchange: Exchange | None) -> tuple[Span, Attributes]:
        network = describe_network(peer.arrival).items()
        attributes = {name: value for name, value in network if name.startswith("network.")}
        attributes |= _describe(peer, message, exchange)
        span = self._tracer.start_span(spans.name_span(attributes), kind=SpanKind.CLIENT, attributes=attributes)
        return span, attributes

    def _end(
        self, span: Span, attributes: Attributes, began: float, answer: asyncio.Future[Response | Failure]
    ) -> None:
        """End the span of a question: with its answer, or because nobody waits for one any more."""
        said = None if answer.cancelled() else answer.result()
        ends: Attributes = {}
        if isinstance(said, Failure):
            ends = {"rpc.response.status_code": str(said.code), "error.type": str(said.code)}
            span.set_attributes(ends)
            span.set_status(Status(StatusCode.ERROR, spell(said.message)))
        span.end()
        self._called.record(perf_counter() - began, {**spans.keep(attributes), **ends})


def _describe(peer: Peer, message: Request | Notification, exchange: Exchange | None) -> Attributes:
    found = spans.describe(message)
    revision, session = _find_revision(peer, message, exchange), find_session(peer)
    if revision is not None:
        found["mcp.protocol.version"] = revision
    if session is not None:
        found["mcp.session.id"] = session
    return found


def _find_revision(peer: Peer, message: Request | Notification, exchange: Exchange | None) -> str | None:
    """What the message is of: the request that it belongs to, what it names itself, the session, what is in flight."""
    if exchange is not None:
        return exchange.caller.revision.name
    meta = message.params.get("_meta")
    named = cast("JsonObject", meta).get(PROTOCOL_VERSION) if isinstance(meta, dict) else None
    if isinstance(named, str) and named in KNOWN:
        return named
    if peer.session.is_open:
        return peer.session.revision.name
    return next((each.caller.revision.name for each in peer.exchanges.values()), None)


def _inject(params: JsonObject, span: Span) -> JsonObject:
    """The params of a message with the context of its span, where it has one."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
    meta = cast("JsonObject", params.get("_meta") or {})
    return {**params, "_meta": {**meta, **carrier}} if carrier else params
