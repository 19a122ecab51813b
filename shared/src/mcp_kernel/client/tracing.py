"""Spans and durations of what a client sends and takes, where its host has OpenTelemetry, by its conventions for MCP.

A host that does has imported the API; nobody else pays for it (the names are those of `protocol/spans.py`). The span of
a call or a notification that is sent is of the kind CLIENT, that of what the server asks or tells of the kind SERVER.
The trace is told in `_meta` (SEP-414), and nothing of the host's baggage, which is not for whoever is called; from the
server a trace is taken, and no baggage either. Progress and log messages have no spans: they come by the thousand. A
session's id stands in spans as a digest, which is the one that the server's spans have (`operations/tracing.py`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from mcp_kernel.client.failures import ServerRefused
from mcp_kernel.protocol import spans
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject, Notification, Request, Response
from mcp_kernel.protocol.modern import PROTOCOL_VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Link as SpanLink
    from opentelemetry.trace import Span

    from mcp_kernel.client.link import Carried, Link
    from mcp_kernel.protocol.spans import Attributes

M = TypeVar("M", Request, Notification)

_PORTS: Final = {"http": 80, "https": 443}


class Sent(Generic[M]):
    """A call while it is made, or a notification: as it is sent, and what is to be said of its end."""

    __slots__ = ("ends", "message")

    def __init__(self, message: M) -> None:
        self.message = message
        self.ends: dict[str, str] = {}

    def end(self, result: JsonObject) -> JsonObject:
        """Take note of the result, and return it."""
        if self.message.method == "tools/call" and result.get("isError") is True:
            self.ends["error.type"] = "tool_error"
        return result

    def fail(self, error: Exception) -> None:
        """Take note of what went wrong."""
        if isinstance(error, ServerRefused):
            self.ends["rpc.response.status_code"] = str(error.code)
        self.ends["error.type"] = str(error.code) if isinstance(error, ServerRefused) else type(error).__qualname__


@contextmanager
def trace_sent(message: M, link: Link, revision: str | None) -> Generator[Sent[M]]:
    """Make a span of what is sent and measure it, if the host does so; the message has the trace in it then."""
    sent = Sent(message)
    if "opentelemetry.trace" not in sys.modules:
        yield sent
        return
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    began = perf_counter()
    attributes = {**_describe(message, revision), **describe_network(link.carried)}
    with trace.get_tracer("mcp_kernel").start_as_current_span(
        spans.name_span(attributes),
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        sent.message = _inject(message)
        try:
            yield sent
        except asyncio.CancelledError:  # its caller does not want it any more
            raise
        except Exception as error:
            sent.fail(error)
            _conclude(span, sent.ends, str(getattr(error, "message", "")) or None)
            raise
        else:
            _conclude(span, sent.ends, None)
        finally:
            session = _find_session(link.carried)  # which the answer to `initialize` may have named
            span.set_attributes(session)
            _record("mcp.client.operation.duration", perf_counter() - began, {**spans.keep(attributes), **sent.ends})


class Heard:
    """What the server asks or tells, while it is taken: how that ends."""

    __slots__ = ("failure",)

    def __init__(self) -> None:
        self.failure: Failure | None = None

    def answer(self, answer: Response | Failure) -> Response | Failure:
        """Take note of the answer, and return it."""
        self.failure = answer if isinstance(answer, Failure) else None
        return answer


def trace_heard(
    message: Request | Notification, link: Link, revision: str | None
) -> AbstractContextManager[Heard, bool | None]:
    """Make a span of what came from the server while it is taken, and measure it, if the host does so."""
    if "opentelemetry.trace" not in sys.modules or message.method in spans.UNTRACED:
        return nullcontext(Heard())
    return _trace_heard(message, link, revision)


@contextmanager
def _trace_heard(message: Request | Notification, link: Link, revision: str | None) -> Generator[Heard]:
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    heard, ends, began = Heard(), dict[str, str](), perf_counter()
    network = describe_network(link.carried).items()
    attributes = {name: value for name, value in network if name.startswith("network.")}
    attributes |= {**_describe(message, revision), **_find_session(link.carried)}
    parent, links = _find_parent(message.params)
    with trace.get_tracer("mcp_kernel").start_as_current_span(
        spans.name_span(attributes),
        context=parent,
        kind=SpanKind.SERVER,
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield heard
        finally:
            if heard.failure is not None:
                ends = _blame(heard.failure)
                _conclude(span, ends, heard.failure.message)
            _record("mcp.server.operation.duration", perf_counter() - began, {**spans.keep(attributes), **ends})


def record_session(seconds: float, link: Link, revision: str, error: Exception | None) -> None:
    """Measure a session that has ended, with what it ended with, if the host has OpenTelemetry."""
    if "opentelemetry.trace" in sys.modules:
        ends = {} if error is None else {"error.type": type(error).__qualname__}
        attributes = {"mcp.protocol.version": revision, **describe_network(link.carried), **ends}
        _record("mcp.client.session.duration", seconds, attributes)


def _describe(message: Request | Notification, revision: str | None) -> Attributes:
    params = message.params
    meta = params.get("_meta")
    told = cast("JsonObject", meta).get(PROTOCOL_VERSION) if isinstance(meta, dict) else None
    found = spans.describe(message)
    version = revision or told or params.get("protocolVersion")
    if isinstance(version, str):
        found["mcp.protocol.version"] = version
    if message.method in spans.NAMED:
        found[spans.NAMED[message.method]] = spans.spell(str(params.get("name")))
    return found


def describe_network(carried: Carried) -> Attributes:
    """What carries the messages, and where to."""
    from urllib.parse import urlsplit

    found: Attributes = {}
    if carried.transport is not None:
        found["network.transport"] = carried.transport
    if carried.url is not None:
        parts = urlsplit(carried.url)
        found |= {"network.protocol.name": "http", "network.protocol.version": "1.1"}
        found |= {"server.address": parts.hostname or "", "server.port": parts.port or _PORTS[parts.scheme]}
    return found


def _find_session(carried: Carried) -> dict[str, str]:
    from hashlib import sha256

    if carried.session is None:
        return {}
    return {"mcp.session.id": sha256(carried.session.encode("utf-8", "replace")).hexdigest()[:16]}


def _record(name: str, seconds: float, attributes: Attributes) -> None:
    from opentelemetry import metrics

    _histogram(metrics.get_meter_provider(), name).record(seconds, attributes)


@cache
def _histogram(provider: MeterProvider, name: str) -> Histogram:
    """The instrument: while a host has no provider, the API keeps each that is made, for the day when it has one."""
    meter = provider.get_meter("mcp_kernel")
    return meter.create_histogram(
        name, unit="s", description=spans.FIGURES[name], explicit_bucket_boundaries_advisory=spans.BOUNDS
    )


def _inject(message: M) -> M:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    meta = _read_meta(message.params)
    if not carrier or "traceparent" in meta:
        return message
    params = {**message.params, "_meta": {**meta, **carrier}}
    return cast(
        "M",
        Request(message.id, message.method, params)
        if isinstance(message, Request)
        else Notification(message.method, params),
    )


def _read_meta(params: JsonObject) -> JsonObject:
    meta = params.get("_meta")
    return cast("JsonObject", meta) if isinstance(meta, dict) else {}


def _find_parent(params: JsonObject) -> tuple[Context, list[SpanLink]]:
    """What the server names in `_meta`, with a link to the span around; else the span around, or nothing.

    Around is what the host does while it takes the message. Where that runs beside the host's work, it may be the span
    in which the connection was opened, which counts only as long as it lasts.
    """
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link as SpanLink
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    current = trace.get_current_span()
    around = current if current.is_recording() else None
    carrier = {name: value for name, value in _read_meta(params).items() if isinstance(value, str)}
    named = TraceContextTextMapPropagator().extract(carrier)
    if trace.get_current_span(named).get_span_context().is_remote:
        return named, [] if around is None else [SpanLink(around.get_span_context())]
    return Context() if around is None else set_span_in_context(around, Context()), []


def _blame(failure: Failure) -> dict[str, str]:
    """What is said of an answer that is an error: not every code says that something failed here."""
    ends = {"rpc.response.status_code": str(failure.code)}
    return ends if failure.code in spans.OF_THE_CALLER else {**ends, "error.type": str(failure.code)}


def _conclude(span: Span, ends: dict[str, str], message: str | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(ends)
    if "error.type" in ends:
        span.set_status(Status(StatusCode.ERROR, message and spans.spell(message)))
