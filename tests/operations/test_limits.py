"""Limits of each caller: how often, how many at once, how long, how much; and what a refusal says."""

from __future__ import annotations

import asyncio
import tomllib
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.house.source import ROOT
from tests.stage import MODERN, in_both_eras, scene, scene_out_of_time
from tests.transports.guests import Member, Modern

from mcp_kernel import Server
from mcp_kernel.operations.limits import Allowance, Limits, LimitStage, read_limits
from mcp_kernel.operations.rates import Rate
from mcp_kernel.server.monitor import LastArrival
from mcp_kernel.server.principal import Principal
from mcp_kernel.testing.asgi import Site
from mcp_kernel.testing.memory import result_of
from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.stage import Connect

THRICE = Allowance(rate=Rate(3, 60.0))


class Clock:
    """Shows what the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_server(limits: Limits, clock: Clock | None = None) -> Server:
    server = Server("shop", "1", timeout=30.0)
    gate = asyncio.Event()

    @server.tool()
    async def echo(text: str) -> str:
        """Say it again."""
        return text

    @server.tool(timeout=2.0)
    async def wait() -> str:
        """Wait until `let_go` is called."""
        await gate.wait()
        return "done"

    @server.tool()
    async def let_go() -> str:
        """Let those that wait go."""
        gate.set()
        return "gone"

    @server.resource("note://one")
    async def note() -> str:
        return "a note"

    stage = LimitStage(clock=clock or Clock())
    stage.hold(limits)
    server.use([stage])
    return server


def said(result: Mapping[str, Any]) -> str:
    return cast("str", result["content"][0]["text"])


@in_both_eras
@scene
async def test_the_call_too_many_is_told_when_to_come_back(connect: Connect, revision: str) -> None:
    clock = Clock()
    async with connect(make_server(Limits(everybody=THRICE), clock), revision) as client:
        for _ in range(3):
            assert said(await client.call_tool("echo", {"text": "x"})) == "x"
        refused = await client.call_tool("echo", {"text": "x"})
        assert refused["isError"] is True
        assert said(refused) == "Too many calls: at most 3 in a minute are allowed. Try again in 20 seconds."
        clock.now = 20.0
        assert said(await client.call_tool("echo", {"text": "y"})) == "y"


@in_both_eras
@scene
async def test_lists_and_handshakes_do_not_count(connect: Connect, revision: str) -> None:
    async with connect(make_server(Limits(everybody=Allowance(rate=Rate(1, 60.0)))), revision) as client:
        for _ in range(5):
            await client.call("tools/list", {})
        assert said(await client.call_tool("echo", {"text": "x"})) == "x"


@pytest.mark.parametrize("guest", [Member, Modern])
@scene
async def test_over_http_a_refusal_has_its_header_and_a_request_its_status(guest: type[Member | Modern]) -> None:
    async with Site(HttpApp(make_server(Limits(everybody=Allowance(rate=Rate(1, 60.0)))))) as site:
        client = guest(site)
        if isinstance(client, Member):
            await client.open()
        first = client.ask_tool("echo", text="x")
        assert "retry-after" not in (await first.json() and first.headers)
        tool = client.ask_tool("echo", text="x")
        assert (await tool.started(), tool.headers["retry-after"]) == (200, "60")
        result: Any = (await tool.json())["result"]
        assert result["isError"] is True
        read = client.ask("resources/read", {"uri": "note://one"})
        assert (await read.started(), read.headers["retry-after"]) == (429, "60")
        error: Any = (await read.json())["error"]
        assert error["data"] == {"retryAfter": 60}


@scene
async def test_a_tool_has_a_bucket_of_its_own_beside_the_callers(connect: Connect) -> None:
    limits = Limits(everybody=THRICE, tools={"echo": Allowance(rate=Rate(1, 60.0))})
    async with connect(make_server(limits), MODERN) as client:
        assert said(await client.call_tool("echo", {"text": "x"})) == "x"
        assert "1 in a minute" in said(await client.call_tool("echo", {"text": "x"}))
        assert [said(await client.call_tool("let_go", {})) for _ in range(2)] == ["gone", "gone"]
        assert "3 in a minute" in said(await client.call_tool("let_go", {}))


@scene
async def test_callers_are_counted_apart(connect: Connect) -> None:
    server = make_server(Limits(everybody=Allowance(rate=Rate(1, 60.0))))
    for name in ("ann", "bob"):
        async with connect(server, MODERN, principal=name) as client:
            assert said(await client.call_tool("echo", {"text": name})) == name
    async with connect(server, "2025-11-25", principal="ann") as client:  # another connection and era
        assert "Too many" in said(await client.call_tool("echo", {"text": "x"}))


@scene
async def test_a_role_has_its_own_limit_and_of_several_the_most_generous_counts(connect: Connect) -> None:
    limits = Limits(
        everybody=Allowance(rate=Rate(1, 60.0)), roles={"staff": THRICE, "robot": Allowance(rate=Rate(2, 60.0))}
    )
    server = make_server(limits)
    for name, held, most in [("ann", ("staff", "robot"), 3), ("bob", ("robot",), 2), ("eve", ("other",), 1)]:
        async with connect(server, MODERN, principal=Principal(name, held)) as client:
            answers = [said(await client.call_tool("echo", {"text": "x"})) for _ in range(most + 1)]
            assert answers[:-1] == ["x"] * most, name
            assert "Too many" in answers[-1]


@in_both_eras
@scene
async def test_calls_at_once_are_capped_and_each_that_ends_makes_room(connect: Connect, revision: str) -> None:
    limits = Limits(tools={"wait": Allowance(concurrent=2)})
    async with connect(make_server(limits), revision) as client:
        waiting = [client.request("tools/call", {"name": "wait"}) for _ in range(2)]
        assert "2 calls of yours" in said(await client.call_tool("wait", {}))
        assert said(await client.call_tool("let_go", {})) == "gone"
        assert [said(result_of(await client.wire.answer(each))) for each in waiting] == ["done", "done"]
        assert said(await client.call_tool("wait", {})) == "done"


@in_both_eras
@scene
async def test_no_name_of_a_caller_is_another_s_tool(connect: Connect, revision: str) -> None:
    server = make_server(Limits(everybody=Allowance(rate=Rate(1, 60.0)), tools={"echo": Allowance(rate=Rate(1, 60.0))}))
    for name in ("jwt https://a.example ann echo", "jwt https://a.example ann"):
        async with connect(server, revision, principal=Principal(name)) as client:
            assert said(await client.call_tool("echo", {"text": "x"})) == "x", name


@in_both_eras
@scene
async def test_one_call_at_once_is_spoken_of_as_one(connect: Connect, revision: str) -> None:
    async with connect(make_server(Limits(everybody=Allowance(concurrent=1))), revision) as client:
        waiting = client.request("tools/call", {"name": "wait"})
        assert said(await client.call_tool("let_go", {})).startswith(
            "There is a call of yours in progress already. Try"
        )
        client.wire.notify("notifications/cancelled", {"requestId": waiting})


@in_both_eras
@scene_out_of_time
async def test_the_operators_time_counts_more_than_the_tools(connect: Connect, revision: str) -> None:
    loop = asyncio.get_running_loop()
    for limits, seconds in [
        (Limits(), 2.0),
        (Limits(everybody=Allowance(timeout=1.0)), 1.0),
        (Limits(everybody=Allowance(timeout=1.0), tools={"wait": Allowance(timeout=0.5)}), 0.5),
        (Limits(tools={"wait": Allowance(timeout=4.0)}), 4.0),
    ]:
        async with connect(make_server(limits), revision) as client:
            began = loop.time()
            assert "did not finish in time" in said(await client.call_tool("wait", {}))
            assert loop.time() - began == pytest.approx(seconds, abs=0.1)


class Far:
    """Buckets that are elsewhere, so that the call waits for them."""

    async def take(self, demands: Mapping[str, Rate], now: float) -> float:
        await asyncio.sleep(0)
        return 0.0


@in_both_eras
@scene_out_of_time
async def test_a_tool_has_its_own_time_also_when_a_stage_has_waited(connect: Connect, revision: str) -> None:
    server = make_server(Limits(everybody=THRICE))
    server.use([LimitStage(THRICE, Far())])
    began = asyncio.get_running_loop().time()
    async with connect(server, revision) as client:
        assert "did not finish in time" in said(await client.call_tool("wait", {}))
    assert asyncio.get_running_loop().time() - began == pytest.approx(2.0, abs=0.1)


@scene
async def test_a_result_is_cut_to_its_callers_size(connect: Connect) -> None:
    limits = Limits(everybody=Allowance(output_bytes=2000), tools={"echo": Allowance(output_bytes=500)})
    for chosen, most in [(Limits(), 9000), (Limits(everybody=limits.everybody), 2000), (limits, 500)]:
        async with connect(make_server(chosen), MODERN) as client:
            assert said(await client.call_tool("echo", {"text": "x" * 9000})).count("x") == most
    server = make_server(limits)
    server.max_output_bytes = 100
    async with connect(server, MODERN) as client:  # whoever starts the server has the last word
        assert said(await client.call_tool("echo", {"text": "x" * 9000})).count("x") == 100


@scene
async def test_addresses_are_callers_and_a_customer_of_ipv6_is_one(connect: Connect) -> None:
    server = make_server(Limits(everybody=Allowance(rate=Rate(1, 60.0))))
    for address, passes in [
        ("192.0.2.1", True),
        ("192.0.2.2", True),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", True),
        ("2001:db8::ffff", False),
        ("2001:db8:0:1::1", True),
        ("nobody", True),
    ]:
        async with connect(server, MODERN) as client:
            client.wire.peer.arrival = LastArrival(address, 1, "1.1", {})
            assert (said(await client.call_tool("echo", {"text": "x"})) == "x") is passes, address


class Faults:
    """Takes what is wrong with the settings."""

    def __init__(self) -> None:
        self.places: set[str] = set()

    def __call__(self, text: str, *keys: str) -> None:
        assert text.startswith(".".join(keys))
        self.places.add(".".join(keys))


def test_the_settings_are_read() -> None:
    table = {
        "rate": "60/minute",
        "concurrent": 8,
        "roles": {"robot": {"rate": "600/minute"}},
        "tools": {"query": {"timeout": 5, "output_bytes": 1000}},
    }
    faults = Faults()
    limits = read_limits(table, faults)
    assert faults.places == set()
    assert limits.everybody == Allowance(rate=Rate(60, 60.0), concurrent=8)
    assert limits.roles == {"robot": Allowance(rate=Rate(600, 60.0))}
    assert limits.tools == {"query": Allowance(timeout=5.0, output_bytes=1000)}


def test_every_mistake_of_the_settings_is_found_with_its_place() -> None:
    wrong = {"rate": 60, "burst": 1, "concurrent": True, "tools": {"query": {"timeout": 0, "tiemout": 1}}, "roles": [1]}
    faults = Faults()
    read_limits(wrong, faults)
    assert faults.places == {
        "limits.rate",
        "limits.burst",
        "limits.concurrent",
        "limits.tools.query.timeout",
        "limits.tools.query.tiemout",
        "limits.roles",
    }
    read_limits([], faults)
    assert "limits" in faults.places
    read_limits({"roles": {"everyone": {"concurrent": 1}}}, faults)  # the role of the file that nobody is given
    assert "limits.roles.everyone" in faults.places


def test_the_example_of_the_file_is_read() -> None:
    faults = Faults()
    limits = read_limits(tomllib.loads((ROOT / "docs" / "auth.toml").read_text("utf-8"))["limits"], faults)
    assert faults.places == set()
    assert (limits.everybody.rate, limits.tools["query"].timeout) == (Rate(600, 60.0), 5.0)
