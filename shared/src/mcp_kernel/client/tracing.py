"""Spans and durations of a client's calls, where its host has OpenTelemetry, by its conventions for MCP ("Client").

A host that does has imported the API; nobody else pays for it. The server is told the trace in `_meta` (SEP-414), and
nothing of the host's baggage, which is not for whoever is called. A session's id stands in spans as a digest, which is
the one that the server's spans have (`operations/tracing.py`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.client.failures import ServerRefused
from mcp_kernel.protocol.jsonrpc import JsonObject, Request
from mcp_kernel.protocol.modern import PROTOCOL_VERSION

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span

    from mcp_kernel.client.link import Carried, Link

_NAMED: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
_BOUNDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)  # seconds
_ONCE: Final = frozenset(("jsonrpc.request.id", "mcp.session.id", "mcp.resource.uri"))  # of a span and no figure
_PORTS: Final = {"http": 80, "https": 443}


class Call:
    """A call while it is made: the request as it is sent, and what is to be said of its end."""

    __slots__ = ("ends", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.ends: dict[str, str] = {}

    def end(self, result: JsonObject) -> JsonObject:
        """Take note of the result, and return it."""
        if self.request.method == "tools/call" and result.get("isError") is True:
            self.ends["error.type"] = "tool_error"
        return result

    def fail(self, error: Exception) -> None:
        """Take note of what went wrong."""
        if isinstance(error, ServerRefused):
            self.ends["rpc.response.status_code"] = str(error.code)
        self.ends["error.type"] = str(error.code) if isinstance(error, ServerRefused) else type(error).__qualname__


@contextmanager
def trace_call(request: Request, link: Link, revision: str | None) -> Generator[Call]:
    """Make a span of a call and measure it, if the host does so; the call's request has the trace in it then."""
    call = Call(request)
    if "opentelemetry.trace" not in sys.modules:
        yield call
        return
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    began = perf_counter()
    attributes = {**_describe(request, revision), **describe_network(link.carried)}
    target = next((attributes[name] for name in _NAMED.values() if name in attributes), "")
    with trace.get_tracer("mcp_kernel").start_as_current_span(
        f"{request.method} {target}".rstrip(),
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        call.request = _inject(request)
        try:
            yield call
        except asyncio.CancelledError:  # its caller does not want it any more
            raise
        except Exception as error:
            call.fail(error)
            _conclude(span, call, str(getattr(error, "message", "")) or None)
            raise
        else:
            _conclude(span, call, None)
        finally:
            session = _find_session(link.carried)  # which the answer to `initialize` may have named
            span.set_attributes(session)
            kept = {name: value for name, value in attributes.items() if name not in _ONCE}
            _record("mcp.client.operation.duration", perf_counter() - began, {**kept, **call.ends})


def record_session(seconds: float, link: Link, revision: str, error: Exception | None) -> None:
    """Measure a session that has ended, with what it ended with, if the host has OpenTelemetry."""
    if "opentelemetry.trace" in sys.modules:
        ends = {} if error is None else {"error.type": type(error).__qualname__}
        attributes = {"mcp.protocol.version": revision, **describe_network(link.carried), **ends}
        _record("mcp.client.session.duration", seconds, attributes)


def _describe(request: Request, revision: str | None) -> dict[str, str | int]:
    params = request.params
    meta = params.get("_meta")
    told = cast("JsonObject", meta).get(PROTOCOL_VERSION) if isinstance(meta, dict) else None
    found: dict[str, object] = {
        "mcp.method.name": request.method,
        "jsonrpc.request.id": str(request.id),
        "mcp.protocol.version": revision or told or params.get("protocolVersion"),
        "mcp.resource.uri": params.get("uri"),
    }
    if request.method in _NAMED:
        found[_NAMED[request.method]] = str(params.get("name"))
    if request.method == "tools/call":
        found["gen_ai.operation.name"] = "execute_tool"
    return {name: value for name, value in found.items() if isinstance(value, str)}


def describe_network(carried: Carried) -> dict[str, str | int]:
    """What carries the messages, and where to."""
    from urllib.parse import urlsplit

    found: dict[str, str | int] = {}
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


def _record(name: str, seconds: float, attributes: dict[str, str | int]) -> None:
    from opentelemetry import metrics

    _histogram(metrics.get_meter_provider(), name).record(seconds, attributes)


@cache
def _histogram(provider: MeterProvider, name: str) -> Histogram:
    """The instrument: while a host has no provider, the API keeps each that is made, for the day when it has one."""
    meter = provider.get_meter("mcp_kernel")
    return meter.create_histogram(name, unit="s", explicit_bucket_boundaries_advisory=_BOUNDS)


def _inject(request: Request) -> Request:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    given = request.params.get("_meta")
    meta: JsonObject = cast("JsonObject", given) if isinstance(given, dict) else {}
    if not carrier or "traceparent" in meta:
        return request
    return Request(request.id, request.method, {**request.params, "_meta": {**meta, **carrier}})


def _conclude(span: Span, call: Call, message: str | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(call.ends)
    if call.ends:
        span.set_status(Status(StatusCode.ERROR, message))
