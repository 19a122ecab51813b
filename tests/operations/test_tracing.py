"""Spans, as OpenTelemetry's own SDK records them."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, get_tracer
from tests.operations.recorder import PARENT, SPAN, TRACE, Recorder, attributes
from tests.operations.watching import SECRET, Shop
from tests.stage import LEGACY, META, MODERN, in_both_eras, scene
from tests.transports.guests import Member, Modern

from mcp_kernel import Context, ToolError
from mcp_kernel.operations.logs import write_lines
from mcp_kernel.testing.asgi import Site
from mcp_kernel.testing.memory import Refused
from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from tests.stage import Connect


@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
@scene
async def test_a_call_is_a_span_by_the_conventions(connect: Connect, revision: str) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with connect(shop.server, revision) as client:
        await client.call_tool("echo", {"text": "x"})
        await client.call("prompts/get", {"name": "greet", "arguments": {"name": "ann"}})
        await client.call("resources/read", {"uri": "shop://tea"})
    span = recorder.named("tools/call echo")
    assert (span.kind, span.status.status_code, span.parent) == (SpanKind.SERVER, StatusCode.UNSET, None)
    found = attributes(span)
    assert str(found.pop("jsonrpc.request.id"))
    assert found == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": revision,
        "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool",
        "network.transport": "pipe",
    }
    assert attributes(recorder.named("prompts/get greet"))["gen_ai.prompt.name"] == "greet"
    assert attributes(recorder.named("resources/read"))["mcp.resource.uri"] == "shop://tea"


@scene
async def test_a_failure_is_recorded_without_its_text(connect: Connect) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with connect(shop.server, MODERN) as client:
        await client.call_tool("refuse", {})
        for tool in ("limit", "fail", "made-up"):
            with pytest.raises(Exception, match=r"Too many|Internal error|Unknown tool"):
                await client.call_tool(tool, {})
    expected = {
        "tools/call refuse": ("tool_error", None, None),
        "tools/call limit": ("-32000", "-32000", "Too many"),
        "tools/call fail": ("LookupError", "-32603", None),
        "tools/call": (None, "-32602", None),  # the name of a tool that is not there is no name for a span
    }
    for name, (kind, code, said) in expected.items():
        span = recorder.named(name)
        found = attributes(span)
        assert (found.get("error.type"), found.get("rpc.response.status_code")) == (kind, code)
        failed = kind is not None  # a request that nobody could serve is its caller's failure
        assert span.status.status_code is (StatusCode.ERROR if failed else StatusCode.UNSET)
        assert span.status.description == said
        assert SECRET not in span.to_json()
        assert "made-up" not in span.to_json()


@in_both_eras
@scene
async def test_the_status_of_a_failure_is_the_code_that_was_sent(connect: Connect, revision: str) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)

    @shop.server.prompt()
    async def poll(ctx: Context) -> str:
        """Ask whoever cannot be asked."""
        await ctx.sample("vote", "Well?")
        return "never"

    @shop.server.prompt()
    async def grumble() -> str:
        """Find fault with the request."""
        raise ToolError("No such day")

    asked: dict[str, dict[str, object]] = {
        "resources/read": {"uri": "none://here"},
        "prompts/get greet": {"name": "greet", "arguments": {}},
        "prompts/get grumble": {"name": grumble.__name__},
        "prompts/get poll": {"name": poll.__name__},
    }
    sent: dict[str, str] = {}
    async with connect(shop.server, revision) as client:
        for name, params in asked.items():
            with pytest.raises(Refused) as refused:
                await client.call(name.partition(" ")[0], params)
            sent[name] = str(refused.value.code)
    found = {name: attributes(recorder.named(name)) for name in asked}
    assert {name: each["rpc.response.status_code"] for name, each in found.items()} == sent
    assert [name for name, each in found.items() if "error.type" in each] == ["prompts/get poll"]


@pytest.mark.parametrize("parent", ["", "00-0-0-0", PARENT.replace(TRACE, "0" * 32), "x" * 10_000, 17])
@scene
async def test_a_span_is_the_child_of_the_clients_and_of_no_nonsense(connect: Connect, parent: object) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with connect(shop.server, MODERN) as client:
        for name, given in (("echo", {"traceparent": PARENT, "tracestate": "a=b"}), ("work", {"traceparent": parent})):
            arguments = {"text": "x"} if name == "echo" else {}
            await client.call("tools/call", {"name": name, "arguments": arguments, "_meta": {**META, **given}})
    span = recorder.named("tools/call echo")
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == f"{TRACE}-{SPAN}"
    assert span.parent.trace_state.get("a") == "b"
    assert recorder.named("tools/call work").parent is None


@scene
async def test_over_http_the_headers_name_the_parent_unless_the_message_does() -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    other = PARENT.replace(SPAN, "00f067aa0ba902b7")
    async with Site(HttpApp(shop.server)) as site:
        guest, member = Modern(site), Member(site)
        await guest.ask("tools/list", headers={"traceparent": PARENT}).whole()
        meta = {**META, "traceparent": other}
        call = {"name": "work", "arguments": {}, "_meta": meta}
        await guest.ask("tools/call", call, {"traceparent": PARENT}).whole()
        await member.open()
        await member.ask("prompts/list").whole()
    listed, called = recorder.named("tools/list"), recorder.named("tools/call work")
    assert [f"{span.parent.span_id:016x}" for span in (listed, called) if span.parent] == [SPAN, "00f067aa0ba902b7"]
    found = attributes(recorder.named("prompts/list"))
    assert (found["network.transport"], found["network.protocol.name"]) == ("tcp", "http")
    assert found["network.protocol.version"] == "1.1"
    assert len(str(found["mcp.session.id"])) == 16
    assert found["client.address"] == "127.0.0.1"
    assert isinstance(found["client.port"], int)
    assert [f"{link.context.span_id:016x}" for link in called.links] == [SPAN]  # what carried it
    assert not listed.links


@scene
async def test_the_span_around_is_the_parent_unless_the_message_names_one(connect: Connect) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    tracer = get_tracer("host", tracer_provider=recorder.spans)
    with tracer.start_as_current_span("host") as host:
        async with connect(shop.server, MODERN) as client:
            await client.call_tool("work", {})
            call = {"name": "echo", "arguments": {"text": "x"}, "_meta": {**META, "traceparent": PARENT}}
            await client.call("tools/call", call)
    around = host.get_span_context()
    inside, linked = recorder.named("tools/call work"), recorder.named("tools/call echo")
    assert inside.parent is not None
    assert linked.parent is not None
    assert (inside.parent.span_id, inside.links) == (around.span_id, ())
    assert f"{linked.parent.span_id:016x}" == SPAN
    assert [link.context.span_id for link in linked.links] == [around.span_id]


@scene
async def test_each_request_is_measured_and_no_series_is_of_one_request(connect: Connect) -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    async with connect(shop.server, MODERN) as client:
        for _ in range(3):
            await client.call_tool("echo", {"text": "x"})
        await client.call_tool("refuse", {})
        await client.call("resources/read", {"uri": "shop://tea"})
    points = {str(dict(each.attributes or {}).get("gen_ai.tool.name")): each for each in recorder.durations()}
    assert [points[name].count for name in ("echo", "refuse")] == [3, 1]
    assert points["echo"].explicit_bounds == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
    assert dict(points["refuse"].attributes or {}) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": MODERN,
        "gen_ai.tool.name": "refuse",
        "gen_ai.operation.name": "execute_tool",
        "network.transport": "pipe",
        "error.type": "tool_error",
    }
    assert not any("mcp.resource.uri" in (each.attributes or {}) for each in recorder.durations())


@scene
async def test_a_handler_and_the_log_are_inside_the_span(connect: Connect) -> None:
    shop, stream = Shop(), io.StringIO()
    recorder = Recorder(shop.server)
    seen: list[int] = []

    @shop.server.tool()
    def look() -> str:
        """Look at the span, from a thread."""
        seen.append(get_current_span().get_span_context().span_id)
        logging.getLogger("shop").warning("looking")
        return "done"

    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        write_lines(as_json=True)
        async with connect(shop.server, MODERN) as client:
            await client.call_tool(look.__name__, {})
    finally:
        logging.getLogger().removeHandler(handler)
    context = recorder.named("tools/call look").get_span_context()
    assert context is not None
    assert seen == [context.span_id]
    assert json.loads(stream.getvalue())["trace"] == f"{context.trace_id:032x}"
    assert not get_current_span().get_span_context().is_valid


@scene
async def test_a_session_is_measured_when_it_ends_and_opened_with_the_revision_that_was_agreed_on() -> None:
    shop = Shop()
    recorder = Recorder(shop.server)
    app = HttpApp(shop.server)
    async with Site(app) as site:
        member = Member(site, "2025-06-18")
        await member.open()
        await member.delete().whole()
    await app.close(0)
    assert attributes(recorder.named("initialize"))["mcp.protocol.version"] == "2025-06-18"
    (life,) = recorder.durations("mcp.server.session.duration")
    assert life.count == 1
    assert dict(life.attributes or {}) == {
        "mcp.protocol.version": "2025-06-18",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
    }


def test_without_opentelemetry_the_program_says_what_to_install() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; from mcp_server_everything.cli import main; main()"
    command = [sys.executable, "-c", program, "--trace"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2
    assert "install mcp-kernel[otel]" in done.stderr
