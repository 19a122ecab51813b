"""Spans of what a client tells, and of what the server asks and tells it; and one trace through both."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind, StatusCode
from tests.client.puppet import play
from tests.served import serve
from tests.stage import MODERN, in_both_eras, scene

from mcp_kernel import Client
from mcp_kernel.client import TimedOut

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from mcp_kernel.client.answers import Elicitation

Json = dict[str, Any]
LATEST = "2025-11-25"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
UNTRACED = [sys.executable, str(Path(__file__).parent / "programs" / "traced.py")]
PROGRAM = [*UNTRACED, "--trace"]


class Seen(NamedTuple):
    """A span, wherever it was recorded; what has no parent has none of our two sides'."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str

    @property
    def label(self) -> str:
        return f"{self.kind} {self.name}"


def seen(spans: Iterable[ReadableSpan]) -> list[Seen]:
    found: list[Seen] = []
    for span in spans:
        where, parent = span.get_span_context(), span.parent
        assert where is not None
        above = f"{parent.span_id:016x}" if parent else ""
        found.append(Seen(span.name, span.kind.name, f"{where.trace_id:032x}", f"{where.span_id:016x}", above))
    return found


def line_of(label: str, spans: list[Seen]) -> list[str]:
    """The last span of that label, and what it is below, up to the first of its trace."""
    by_id = {each.id: each for each in spans}
    at: Seen | None = [each for each in spans if each.label == label][-1]
    line: list[str] = []
    while at is not None:
        line.append(at.label)
        at = by_id.get(at.parent)
    return line


def one(kept: InMemorySpanExporter, name: str, kind: SpanKind) -> ReadableSpan:
    (found,) = [span for span in kept.get_finished_spans() if (span.name, span.kind) == (name, kind)]
    return found


def attributes(span: ReadableSpan) -> Json:
    return dict(span.attributes or {})


# --- one trace ---


@contextmanager
def target(way: str) -> Generator[str | list[str]]:
    if way == "stdio":
        yield PROGRAM
    else:
        with serve(PROGRAM) as url:
            yield url


@pytest.mark.parametrize("way", ["stdio", "http"])
@in_both_eras
@scene
async def test_one_trace_goes_from_the_host_to_the_server_its_question_and_the_hosts_answer(
    kept: InMemorySpanExporter, way: str, revision: str
) -> None:
    tracer = trace.get_tracer("host")

    async def answer(form: Elicitation) -> Json:
        with tracer.start_as_current_span("person"):
            return {"sure": True}

    with target(way) as where:
        async with Client(where, revision=revision, elicit=answer) as client:
            with tracer.start_as_current_span("host") as host:
                assert (await client.call_tool("confirm")).text == "done"
            told: list[list[str]] = json.loads((await client.call_tool("recorded")).text)
    spans = [*seen(kept.get_finished_spans()), *(Seen(*each) for each in told)]
    call = ["SERVER tools/call confirm", "CLIENT tools/call confirm", "INTERNAL host"]
    question = ["SERVER elicitation/create", "CLIENT elicitation/create", *call]
    assert line_of("INTERNAL person", spans) == [
        "INTERNAL person",
        *(["INTERNAL host"] if revision == MODERN else question),
    ]
    assert line_of(call[0], spans) == call
    assert len([each for each in spans if each.label == call[0]]) == (2 if revision == MODERN else 1)
    ours = f"{host.get_span_context().trace_id:032x}"
    labels = [*call, "INTERNAL person", *([] if revision == MODERN else question)]
    assert {each.trace for each in spans if each.label in labels} == {ours}
    if revision != MODERN:
        change = "CLIENT notifications/tools/list_changed"
        assert line_of(change, spans) == [change, *call]
        heard = "SERVER notifications/tools/list_changed"
        assert line_of(heard, spans) == [heard, change, *call]


@scene
async def test_a_question_without_a_trace_is_not_of_the_span_in_which_the_connection_was_opened(
    kept: InMemorySpanExporter,
) -> None:
    async with AsyncExitStack() as stack:
        with trace.get_tracer("host").start_as_current_span("opening"):
            opening = Client(UNTRACED, revision=LATEST, elicit=lambda form: {"sure": True})
            client = await stack.enter_async_context(opening)
        assert (await client.call_tool("confirm")).text == "done"
    asked = one(kept, "elicitation/create", SpanKind.SERVER)
    assert (asked.parent, asked.links) == (None, ())


# --- what the client tells ---


@scene
async def test_what_a_client_tells_is_a_span_and_carries_its_trace(kept: InMemorySpanExporter) -> None:
    token = context.attach(baggage.set_baggage("user", "hush-7741"))
    try:
        async with play({"tools/call": None}, LATEST, revision=LATEST, roots=["/work"]) as (client, puppet):
            with pytest.raises(TimedOut):
                await client.call_tool("x", timeout=0.001)
            await client.tell_roots_changed()
            await puppet.hear("notifications/roots/list_changed")
    finally:
        context.detach(token)
    for name in ("notifications/initialized", "notifications/cancelled", "notifications/roots/list_changed"):
        span = one(kept, name, SpanKind.CLIENT)
        where = span.get_span_context()
        assert where is not None
        (params,) = puppet.sent(name)
        assert params["_meta"]["traceparent"].split("-")[1:3] == [f"{where.trace_id:032x}", f"{where.span_id:016x}"]
        assert attributes(span) == {"mcp.method.name": name, "mcp.protocol.version": LATEST}
    assert "hush-7741" not in str(puppet.seen)
    spans = seen(kept.get_finished_spans())
    assert line_of("CLIENT notifications/cancelled", spans)[1:] == ["CLIENT tools/call x"]


# --- what the server asks and tells ---


@pytest.mark.contrary
@scene
async def test_what_the_server_asks_is_a_span_with_its_status(
    kept: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = InMemoryMetricReader()
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", MeterProvider([reader]))

    def break_down(params: Json) -> str:
        raise LookupError("hush-7741")

    async with play({}, LATEST, revision=LATEST, sample=break_down, roots=["/work"]) as (_, puppet):
        for method in ("ping", "roots/list", "sampling/createMessage", "no/such-7741"):
            params: Json = {"_meta": {"traceparent": PARENT}} if method == "ping" else {}
            puppet.say({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
            await puppet.answer(method)
    found = {span.name: span for span in kept.get_finished_spans() if span.kind is SpanKind.SERVER}
    ends = {name: (span.status.status_code, attributes(span).get("error.type")) for name, span in found.items()}
    fine = (StatusCode.UNSET, None)
    failed = (StatusCode.ERROR, "-32603")
    assert ends == {"ping": fine, "roots/list": fine, "sampling/createMessage": failed, "_OTHER": fine}
    assert attributes(found["_OTHER"])["rpc.response.status_code"] == "-32601"
    assert attributes(found["_OTHER"])["rpc.method_original"] == "no/such-7741"
    assert "hush" not in str([span.to_json() for span in found.values()])
    parents = {name: span.parent and f"{span.parent.span_id:016x}" for name, span in found.items()}
    assert parents == {**dict.fromkeys(found), "ping": SPAN}
    data = reader.get_metrics_data()
    assert data is not None
    measured = {each.name: each.data.data_points for each in data.resource_metrics[0].scope_metrics[0].metrics}
    points = measured["mcp.server.operation.duration"]
    methods = {str(dict(each.attributes or {})["mcp.method.name"]) for each in points}
    assert methods == set(found)


@pytest.mark.contrary
@scene
async def test_what_the_server_tells_is_a_span_around_the_hosts_callback(kept: InMemorySpanExporter) -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()

    async def note(kind: str) -> None:
        await asyncio.sleep(0)
        heard.put_nowait(trace.get_current_span().get_span_context().span_id)

    async with play({}, LATEST, revision=LATEST, on_list_changed=note) as (_, puppet):
        puppet.notify("notifications/message", level="error", data="x")
        puppet.notify("notifications/progress", progressToken=1, progress=1)
        puppet.notify("notifications/tools/list_changed", _meta={"traceparent": PARENT})
        inside = await heard.get()
    span = one(kept, "notifications/tools/list_changed", SpanKind.SERVER)
    where = span.get_span_context()
    assert where is not None
    assert (where.span_id, f"{where.trace_id:032x}") == (inside, TRACE)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert not {"notifications/message", "notifications/progress"} & {each.name for each in kept.get_finished_spans()}
