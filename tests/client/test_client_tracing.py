"""Spans of our client's calls, with the SDK of OpenTelemetry on both sides."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.operations.watching import Shop
from tests.stage import in_both_eras, scene

from mcp_kernel import Client
from mcp_kernel.client import ServerRefused
from mcp_kernel.operations.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What the process's provider has recorded."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


def find(kept: InMemorySpanExporter, name: str, kind: SpanKind) -> ReadableSpan:
    (found,) = [span for span in kept.get_finished_spans() if (span.name, span.kind) == (name, kind)]
    return found


@in_both_eras
@scene
async def test_the_servers_span_is_below_the_clients(kept: InMemorySpanExporter, revision: str) -> None:
    shop, heard = Shop(), list[bytes]()
    shop.server.use([Tracing()])
    token = context.attach(baggage.set_baggage("user", "hush-7741"))
    try:
        with trace.get_tracer("host").start_as_current_span("host"):
            async with Client(
                shop.server, revision=revision, on_message=lambda who, data: heard.append(data)
            ) as client:
                await client.call_tool("echo", {"text": "x"})
    finally:
        context.detach(token)
    ours, theirs = (find(kept, "tools/call echo", kind) for kind in (SpanKind.CLIENT, SpanKind.SERVER))
    assert theirs.parent is not None
    assert ours.parent is not None
    assert theirs.parent.span_id == ours.context.span_id  # pyright: ignore[reportOptionalMemberAccess]  # it was recorded
    assert ours.parent.span_id == find(kept, "host", SpanKind.INTERNAL).context.span_id  # pyright: ignore[reportOptionalMemberAccess]  # as above
    assert dict(ours.attributes or {})["gen_ai.tool.name"] == "echo"
    assert not any(b"hush-7741" in data for data in heard)


@in_both_eras
@scene
async def test_a_refusal_is_recorded_with_its_code(kept: InMemorySpanExporter, revision: str) -> None:
    async with Client(Shop().server, revision=revision) as client:
        with pytest.raises(ServerRefused):
            await client.call_tool("limit")
    span = find(kept, "tools/call limit", SpanKind.CLIENT)
    assert dict(span.attributes or {})["error.type"] == "-32000"
    assert span.status.status_code is StatusCode.ERROR


def test_a_client_alone_does_not_load_opentelemetry() -> None:
    program = "import sys, mcp_kernel.client.client; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
