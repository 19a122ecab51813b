"""What OpenTelemetry's own SDK records of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mcp_kernel.operations.tracing import Tracing
from mcp_kernel.operations.tracing_messages import MessageTracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind
    from opentelemetry.util.types import AttributeValue

    from mcp_kernel import Server

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Recorder:
    """A provider of our own, and what it has recorded of a server that is traced as `--trace` does it."""

    def __init__(self, server: Server) -> None:
        self._kept = InMemorySpanExporter()
        self.spans = TracerProvider()
        self.spans.add_span_processor(SimpleSpanProcessor(self._kept))
        self._reader = InMemoryMetricReader()
        figures = MeterProvider([self._reader])
        server.use([Tracing(self.spans, figures)])
        server.tracer = MessageTracing(self.spans, figures)

    def durations(self, name: str = "mcp.server.operation.duration") -> list[HistogramDataPoint]:
        """What was measured, by what is said of it."""
        data = self._reader.get_metrics_data()
        assert data is not None
        found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
        metric = found[name]
        assert metric.unit == "s"
        return [point for point in metric.data.data_points if isinstance(point, HistogramDataPoint)]

    def all(self, name: str, kind: SpanKind | None = None) -> list[ReadableSpan]:
        """The spans of that name, the first that ended first."""
        return [span for span in self._kept.get_finished_spans() if span.name == name and kind in (None, span.kind)]

    def named(self, name: str, kind: SpanKind | None = None) -> ReadableSpan:
        """The one span of that name."""
        (found,) = self.all(name, kind)
        return found

    def names(self) -> list[str]:
        """The names of all spans, in the order in which they ended."""
        return [span.name for span in self._kept.get_finished_spans()]


def attributes(span: ReadableSpan) -> dict[str, AttributeValue]:
    """What a span says."""
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> str | None:
    """What a span is below, spelled as `traceparent`; None for the first of its trace."""
    return None if span.parent is None else _spell(span.parent)


def spell(span: ReadableSpan) -> str:
    """A span as `traceparent` names it, and so whatever is below it."""
    context = span.get_span_context()
    assert context is not None
    return _spell(context)


def _spell(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
