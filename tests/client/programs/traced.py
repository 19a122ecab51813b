"""A server that asks, and tells which spans OpenTelemetry's SDK has recorded of it: run it with --trace."""

from __future__ import annotations

import json

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from mcp_kernel import Context, Server, run

server = Server("traced", "1")
kept = InMemorySpanExporter()


class Sure(BaseModel):
    sure: bool


@server.tool()
async def confirm(ctx: Context) -> str:
    """Ask, then change something."""
    await ctx.elicit("sure", "Sure?", Sure)
    ctx.list_changed("tools")
    return "done"


@server.tool(read_only=True)
def recorded() -> str:
    """Return the spans as JSON: name, kind, trace, id, parent."""
    spans = [
        [
            span.name,
            span.kind.name,
            f"{span.context.trace_id:032x}",
            f"{span.context.span_id:016x}",
            f"{span.parent.span_id:016x}" if span.parent else "",
        ]
        for span in kept.get_finished_spans()
        if span.context
    ]
    return json.dumps(spans)


if __name__ == "__main__":
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    run(server)
