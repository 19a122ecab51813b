"""Figures at `/metrics`, read as Prometheus reads them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from tests.operations.pages import figure, read
from tests.operations.watching import Shop
from tests.stage import LEGACY, MODERN, scene, scene_out_of_time
from tests.transports.guests import Member, Modern

from mcp_kernel.auth.policy import read_policy
from mcp_kernel.auth.resource.document import Document
from mcp_kernel.operations.exposition import Family, Histogram
from mcp_kernel.operations.figures import MOST_SERIES
from mcp_kernel.operations.metrics import Metrics
from mcp_kernel.server.principal import Knock, Principal, Refusal
from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage import Connect


async def read_page(metrics: Metrics) -> bytes:
    page = await metrics.page()
    assert page is not None
    return page


class Doorman:
    """A gate that knows one word."""

    def __init__(self, *roles: str) -> None:
        self._roles = roles

    async def admit(self, knock: Knock) -> Principal | Refusal:
        if knock.values(b"authorization") == [b"Bearer open"]:
            return Principal("ann", self._roles)
        return Refusal(401, "Say the word")

    def document(self, knock: Knock) -> bytes | None:
        return None

    async def close(self) -> None:
        """It holds nothing."""


def watch(shop: Shop) -> Metrics:
    metrics = Metrics(shop.server)
    shop.server.use([metrics])
    return metrics


@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
@scene
async def test_each_call_is_counted_by_its_end(connect: Connect, revision: str) -> None:
    shop = Shop()
    metrics = watch(shop)
    async with connect(shop.server, revision) as client:
        await client.call_tool("echo", {"text": "x"})
        await client.call_tool("echo", {"text": "y"})
        await client.call_tool("work", {})
        for tool in ("refuse", "echo"):
            assert (await client.call_tool(tool, {}))["isError"] is True
        for tool in ("limit", "fail", "made-up"):
            with pytest.raises(Exception, match=r"Too many|Internal error|Unknown tool"):
                await client.call_tool(tool, {})
    page = await read_page(metrics)

    def count(tool: str, outcome: str) -> float:
        return figure(page, "mcp_requests_total", method="tools/call", tool=tool, outcome=outcome)

    assert [count("echo", "ok"), count("echo", "tool_error"), count("work", "ok")] == [2.0, 1.0, 1.0]
    assert [count("refuse", "tool_error"), count("fail", "error"), count("unknown", "error")] == [1.0, 1.0, 1.0]
    expected = {"tool": 2.0, "limited": 1.0, "internal": 1.0, "invalid_params": 1.0}
    assert {kind: figure(page, "mcp_errors_total", kind=kind) for kind in expected} == expected
    assert figure(page, "mcp_refusals_total", by="pipeline", status="429") == 1.0
    assert figure(page, "mcp_request_duration_seconds_count", method="tools/call", tool="echo") == 3.0
    assert figure(page, "mcp_requests_in_flight") == 0.0
    assert b"made-up" not in page


@scene
async def test_a_question_and_a_call_taken_back_are_no_failures(connect: Connect) -> None:
    shop = Shop()
    metrics = watch(shop)
    async with Site(HttpApp(shop.server, HttpOptions(monitor=metrics))) as site:
        guest = Modern(site)
        guest.capabilities = {"elicitation": {}}
        await guest.ask_tool("confirm").whole()
        waiting = guest.ask_tool("wait")
        await shop.entered.wait()
        assert figure(await read_page(metrics), "mcp_requests_in_flight") == 1.0
        waiting.hang_up()
        await waiting.over()
        await asyncio.sleep(0)
    page = await read_page(metrics)
    for tool, outcome in (("confirm", "asked"), ("wait", "cancelled")):
        assert figure(page, "mcp_requests_total", method="tools/call", tool=tool, outcome=outcome) == 1.0
    assert "mcp_errors_total" not in {name for name, _ in read(page)}
    assert figure(page, "mcp_requests_in_flight") == 0.0


@scene_out_of_time
async def test_a_call_that_takes_too_long_is_in_the_last_bucket(connect: Connect) -> None:
    shop = Shop()
    loop = asyncio.get_running_loop()
    metrics = Metrics(shop.server, loop.time)
    shop.server.use([metrics])
    shop.server.timeout = 61.0
    async with connect(shop.server, MODERN) as client:
        client.wire.patience = 100.0
        assert (await client.call_tool("wait", {}))["isError"] is True
    page, labels = await read_page(metrics), {"method": "tools/call", "tool": "wait"}
    assert figure(page, "mcp_errors_total", kind="timed_out") == 1.0
    assert figure(page, "mcp_request_duration_seconds_bucket", le="60", **labels) == 0.0
    assert figure(page, "mcp_request_duration_seconds_bucket", le="+Inf", **labels) == 1.0
    assert figure(page, "mcp_request_duration_seconds_sum", **labels) == pytest.approx(61.0)


@scene
async def test_what_passes_at_the_door_is_counted() -> None:
    shop = Shop()
    metrics = watch(shop)
    options = HttpOptions(monitor=metrics, gate=Doorman())
    async with Site(HttpApp(shop.server, options)) as site:
        for headers, status in (({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403), ({}, 401)):
            assert await site.post("{}", headers).started() == status
        refused = site.get("/metrics")
        assert await refused.started() == 401
        asked = site.get("/metrics", {"authorization": "Bearer open"})
        page = await asked.whole()
        assert asked.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert figure(page, "mcp_refusals_total", by="admission", status="421") == 1.0
    assert figure(page, "mcp_refusals_total", by="admission", status="403") == 1.0
    assert figure(page, "mcp_refusals_total", by="gate", status="401") == 2.0
    assert figure(page, "mcp_http_responses_total", status="401") == 2.0
    assert figure(page, "mcp_server_info", name="shop", version="1.2") == 1.0
    assert figure(page, "mcp_http_sent_bytes_total") > 100.0


ROLES = """
[roles.user]
tools = ["echo"]
[roles.scraper]
metrics = true
[roles.admin]
tools = ["*"]
[roles.admin-without]
tools = ["*"]
metrics = false
"""


@pytest.mark.parametrize(
    ("role", "status"), [("user", 403), ("nobody", 403), ("scraper", 200), ("admin", 200), ("admin-without", 403)]
)
@scene
async def test_figures_are_for_whom_a_role_shows_them(role: str, status: int, tmp_path: Path) -> None:
    shop = Shop()
    document = Document(tmp_path, ROLES)
    shop.server.govern(read_policy(document))
    document.require_sound()
    async with Site(HttpApp(shop.server, HttpOptions(monitor=watch(shop), gate=Doorman(role)))) as site:
        asked = site.get("/metrics", {"authorization": "Bearer open"})
        assert await asked.started() == status
        assert (b"mcp_server_info" in await asked.whole()) is (status == 200)


@scene
async def test_sessions_streams_and_bytes_are_counted() -> None:
    shop = Shop()
    metrics = watch(shop)
    async with Site(HttpApp(shop.server, HttpOptions(monitor=metrics))) as site:
        member = Member(site)
        await member.open()
        stream = member.get()
        assert await stream.started() == 200
        page = await read_page(metrics)
        assert [figure(page, name) for name in ("mcp_sessions", "mcp_http_streams")] == [1.0, 1.0]
        before = figure(page, "mcp_http_received_bytes_total")
        await member.ask_tool("echo", text="x" * 1000).whole()
        assert figure(await read_page(metrics), "mcp_http_received_bytes_total") - before > 1000.0
        assert await member.delete().started() == 204
        await stream.over()
        page = await read_page(metrics)
        assert [figure(page, name) for name in ("mcp_sessions", "mcp_http_streams")] == [0.0, 0.0]


@scene
async def test_a_server_without_figures_shows_none() -> None:
    async with Site(HttpApp(Shop().server)) as site:
        assert await site.get("/metrics").started() == 404


def test_any_label_survives_being_written() -> None:
    family = Family("x_total", "A text.", "counter", ("value",))
    values = ['a"b', "a\\b", "a\nb", "", "ü", "a\\nb", "\ud800", "{}"]
    for value in values:
        family.add(1.0, value)
    page = "".join(f"{line}\n" for line in family.lines(family.series)).encode()
    assert {dict(labels)["value"] for _, labels in read(page)} == {*values} - {"\ud800"} | {"?"}


def test_what_clients_make_up_cannot_grow_a_family_without_end() -> None:
    family, histogram = Family("x_total", "A text.", "counter", ("a",)), Histogram("y", "A text.", ("a",))
    for number in range(MOST_SERIES + 500):
        family.add(1.0, str(number))
        histogram.observe(1.0, str(number))
    for each in (family, histogram):
        page = "".join(f"{line}\n" for line in each.lines(each.series)).encode()
        assert len({dict(labels)["a"] for _, labels in read(page)}) == MOST_SERIES + 1
    assert figure("".join(f"{line}\n" for line in family.lines(family.series)).encode(), "x_total", a="other") == 500.0


@pytest.mark.parametrize("own_port", [False, True])
def test_a_served_program_shows_its_figures(own_port: bool) -> None:
    options = ["--metrics-port", "0"] if own_port else ["--metrics"]
    command = [sys.executable, "-m", "mcp_server_everything", "--transport", "http", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        served = re.findall(r"http://\S+", process.stderr.readline())[0].removesuffix("/mcp")
        aside = re.findall(r"http://\S+/metrics", process.stderr.readline())[0] if own_port else f"{served}/metrics"
        try:
            with urllib.request.urlopen(aside, timeout=10) as answer:
                assert figure(answer.read(), "mcp_server_info", name="mcp-server-everything", version="0.1.0") == 1.0
            for where in (f"{served}/metrics", aside.replace("/metrics", "/mcp")) if own_port else ():
                with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                    urllib.request.urlopen(where, timeout=10)
                refused.value.close()
        finally:
            process.terminate()
            assert process.wait(10) == 0


def test_figures_over_stdio_are_refused_with_what_to_do() -> None:
    command = [sys.executable, "-m", "mcp_server_everything", "--metrics"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "add --transport http" in done.stderr


def test_a_bucket_holds_what_the_smaller_ones_hold() -> None:
    histogram = Histogram("y", "A text.", (), (0.1, 1.0))
    for value in (0.1, 0.05, 0.5, 7.0):
        histogram.observe(value)
    page = "".join(f"{line}\n" for line in histogram.lines(histogram.series)).encode()
    assert [figure(page, "y_bucket", le=bound) for bound in ("0.1", "1", "+Inf")] == [2.0, 3.0, 4.0]
    assert [figure(page, "y_count"), figure(page, "y_sum")] == [4.0, pytest.approx(7.65)]
