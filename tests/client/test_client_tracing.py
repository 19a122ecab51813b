"""Spans of our client's calls, with the SDK of OpenTelemetry on both sides."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind, StatusCode
from tests.operations.watching import Shop
from tests.served import serve
from tests.stage import in_both_eras, scene

from mcp_kernel import Client
from mcp_kernel.client import ServerRefused, TimedOut
from mcp_kernel.operations.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


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


@scene
async def test_how_a_call_goes_is_in_its_span_and_in_the_figures(
    kept: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = InMemoryMetricReader()
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", MeterProvider([reader]))
    with serve([sys.executable, "-m", "mcp_server_everything"]) as url:
        async with Client(url, revision="2025-11-25") as client:
            await client.call_tool("test_error_handling")
            await client.read_resource("test://static-text")
            with pytest.raises(TimedOut):
                await client.call_tool("test_tool_with_progress", timeout=0.001)
    failed = find(kept, "tools/call test_error_handling", SpanKind.CLIENT)
    found = dict(failed.attributes or {})
    assert len(str(found.pop("jsonrpc.request.id"))) > 0
    assert len(str(found.pop("mcp.session.id"))) == 16
    assert found == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2025-11-25",
        "gen_ai.tool.name": "test_error_handling",
        "gen_ai.operation.name": "execute_tool",
        "error.type": "tool_error",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": int(url.split(":")[2].split("/")[0]),
    }
    assert failed.status.status_code is StatusCode.ERROR
    read = dict(find(kept, "resources/read", SpanKind.CLIENT).attributes or {})
    assert read["mcp.resource.uri"] == "test://static-text"
    late = find(kept, "tools/call test_tool_with_progress", SpanKind.CLIENT)
    assert dict(late.attributes or {})["error.type"] == "TimedOut"
    data = reader.get_metrics_data()
    assert data is not None
    measured = {each.name: each.data.data_points for each in data.resource_metrics[0].scope_metrics[0].metrics}
    assert len(measured["mcp.client.session.duration"]) == 1
    kinds = {str(dict(each.attributes or {}).get("error.type")) for each in measured["mcp.client.operation.duration"]}
    assert kinds == {"None", "tool_error", "TimedOut"}
    assert not any("mcp.session.id" in (each.attributes or {}) for points in measured.values() for each in points)


def test_a_client_alone_does_not_load_opentelemetry() -> None:
    program = "import sys, mcp_kernel.client.client; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
