"""Spans of a client's calls, where its host makes spans with OpenTelemetry (gen-ai/mcp, "Client").

A host that does has imported the API; nobody else pays for it. The server is told the trace in `_meta` (SEP-414), and
nothing of the host's baggage, which is not for whoever is called.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.client.failures import ServerRefused
from mcp_kernel.protocol.jsonrpc import JsonObject, Request

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_NAMED: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}


@contextmanager
def trace_call(request: Request) -> Generator[Request]:
    """Make a span of a call, if the host makes spans; gives the request with the trace in it."""
    if "opentelemetry.trace" not in sys.modules:
        yield request
        return
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    attributes = {"mcp.method.name": request.method, "jsonrpc.request.id": str(request.id)}
    target = str(request.params.get("name")) if request.method in _NAMED else ""
    if target:
        attributes[_NAMED[request.method]] = target
    with trace.get_tracer("mcp_kernel").start_as_current_span(
        f"{request.method} {target}".rstrip(), kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as span:
        try:
            yield _inject(request)
        except ServerRefused as error:
            _refuse(span, error)
            raise


def _inject(request: Request) -> Request:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    given = request.params.get("_meta")
    meta: JsonObject = cast("JsonObject", given) if isinstance(given, dict) else {}
    if not carrier or "traceparent" in meta:
        return request
    return Request(request.id, request.method, {**request.params, "_meta": {**meta, **carrier}})


def _refuse(span: Span, error: ServerRefused) -> None:
    span.set_attribute("rpc.response.status_code", str(error.code))
    span.set_attribute("error.type", str(error.code))
