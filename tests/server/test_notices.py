"""Log messages and progress: to whom they go, when they begin and when they stop."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from tests.stage import META, MODERN, Connect, Dial, Json, in_both_eras, in_every_revision, modern, scene, shake_hands

from mcp_kernel import Context, Server
from mcp_kernel.testing.memory import Refused

LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LOG_LEVEL = "io.modelcontextprotocol/logLevel"


def make_server() -> Server:
    server = Server("s", "1")

    @server.tool()
    async def log_all(ctx: Context) -> str:
        for level in LEVELS:
            await ctx.log(level, {"at": level}, "tests")  # pyright: ignore[reportArgumentType]  # one of the eight
        return "done"

    @server.tool()
    async def report(ctx: Context, steps: list[float], total: float | None = None) -> str:
        for step in steps:
            await ctx.progress(step, total, f"at {step}")
        return "done"

    @server.tool()
    async def leave_behind(ctx: Context) -> str:
        async def late() -> None:
            await asyncio.sleep(0)
            await ctx.progress(99)
            await ctx.log("emergency", "late")

        background.append(asyncio.create_task(late()))
        return "done"

    background: list[asyncio.Task[None]] = []
    return server


def logged(messages: list[Json]) -> list[str]:
    return [each["params"]["level"] for each in messages if each["method"] == "notifications/message"]


@in_every_revision
@pytest.mark.parametrize("level", LEVELS)
@scene
async def test_a_client_hears_from_the_level_that_it_set(connect: Connect, revision: str, level: str) -> None:
    async with connect(make_server(), revision) as client:
        await client.set_log_level(level)
        await client.call_tool("log_all")
        assert logged(client.wire.notifications()) == LEVELS[LEVELS.index(level) :]
        first: Any = client.wire.notifications()[0]
        assert first["params"] == {"level": level, "data": {"at": level}, "logger": "tests"}


@scene
async def test_a_stateless_request_that_names_no_level_hears_no_log(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire)
        await wire.call("logging/setLevel", {"level": "debug"})
        with_level = {**META, LOG_LEVEL: "alert"}
        await wire.call("tools/call", {"name": "log_all", "_meta": with_level})
        assert logged(wire.notifications()) == ["alert", "emergency"]
        await wire.call("tools/call", modern(name="log_all"))
        assert len(logged(wire.notifications())) == 2
        await wire.call("tools/call", {"name": "log_all"})
        assert len(logged(wire.notifications())) == 10


@pytest.mark.parametrize("level", ["loud", "", "INFO", None, 3])
@scene
async def test_a_level_that_does_not_exist_is_invalid(dial: Dial, level: object) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire)
        for method, params in (
            ("logging/setLevel", {"level": level}),
            ("tools/list", {"_meta": {**META, LOG_LEVEL: level}}),
        ):
            answer: Any = await wire.answer(wire.request(method, params, malformed=True))
            assert answer["error"]["code"] == -32602


@in_both_eras
@scene
async def test_anything_may_be_logged(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def log(ctx: Context) -> str:
        for data in ("text", None, [1, {"a": math.nan}], {"o": object}, "a\udcff", Server):
            await ctx.log("error", data)
        return "done"

    async with connect(server, revision) as client:
        await client.set_log_level("debug")
        await client.call_tool("log")
        shown: list[Any] = [each["params"]["data"] for each in client.wire.notifications()]  # type: ignore[index]  # objects
        assert shown[:3] == ["text", None, [1, {"a": None}]]
        assert shown[4] == "a\\udcff"


def progress(messages: list[Json]) -> list[tuple[Any, Any]]:
    return [(each["params"]["progressToken"], each["params"]["progress"]) for each in messages]


@in_every_revision
@pytest.mark.parametrize("token", ["p", "", 0, 1, -5, 2**60])
@scene
async def test_progress_bears_the_token_of_its_request(connect: Connect, revision: str, token: int | str) -> None:
    async with connect(make_server(), revision) as client:
        arguments: Json = {"steps": [1, 2.5], "total": 4}
        await client.call("tools/call", {"name": "report", "arguments": arguments, "_meta": {"progressToken": token}})
        reports: list[Any] = client.wire.notifications()
        assert progress(reports) == [(token, 1), (token, 2.5)]
        assert all(type(each["params"]["progressToken"]) is type(token) for each in reports)
        assert reports[0]["params"]["total"] == 4
        assert reports[0]["params"]["message"] == "at 1.0"


@in_both_eras
@scene
async def test_progress_only_ever_rises(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        arguments: Json = {"steps": [-3, -3, 0, 2, 1, 2, 2.5, -1, 10]}
        await client.call("tools/call", {"name": "report", "arguments": arguments, "_meta": {"progressToken": 1}})
        assert [done for _, done in progress(client.wire.notifications())] == [-3, 0, 2, 2.5, 10]


@in_both_eras
@scene
async def test_progress_that_is_no_number_is_not_told(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def report(ctx: Context) -> str:
        await ctx.progress(math.nan)
        await ctx.progress(1, math.inf)
        await ctx.progress(math.inf)
        await ctx.progress(2)
        return "done"

    async with connect(server, revision) as client:
        await client.call("tools/call", {"name": "report", "_meta": {"progressToken": 1}})
        told = [each["params"] for each in client.wire.notifications()]
        assert told == [{"progressToken": 1, "progress": 1}, {"progressToken": 1, "progress": 2}]


@in_both_eras
@pytest.mark.parametrize("token", [None, True, 1.5, [], {}])
@scene
async def test_without_a_token_there_is_no_progress(dial: Dial, revision: str, token: object) -> None:
    async with dial(make_server()) as wire:
        meta: Json = dict(META)
        if revision != MODERN:
            meta = {}
            await shake_hands(wire)
        params: Json = {"name": "report", "arguments": {"steps": [1]}, "_meta": {**meta, "progressToken": token}}
        answer = await wire.answer(wire.request("tools/call", params, malformed=True))
        assert "result" in answer
        await wire.call(
            "tools/call", {"name": "report", "arguments": {"steps": [1]}, **({"_meta": meta} if meta else {})}
        )
        assert wire.notifications() == []


@in_both_eras
@scene
async def test_nothing_follows_the_answer(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        await client.set_log_level("debug")
        await client.call("tools/call", {"name": "leave_behind", "_meta": {"progressToken": 1}})
        assert await client.wire.quiet() == []


@in_both_eras
@scene
async def test_two_calls_report_each_under_its_token(connect: Connect, revision: str) -> None:
    server, gate = Server("s", "1"), asyncio.Event()

    @server.tool()
    async def report(by: float, ctx: Context) -> str:
        for step in range(3):
            await ctx.progress(step * by)
            await asyncio.sleep(0)
        await gate.wait()
        return "done"

    async with connect(server, revision) as client:
        ids = [
            client.request("tools/call", {"name": "report", "arguments": {"by": by}, "_meta": {"progressToken": token}})
            for by, token in ((1, "a"), (10, "b"))
        ]
        gate.set()
        for identifier in ids:
            await client.wire.answer(identifier)
        reports = progress(client.wire.notifications())
        assert [done for token, done in reports if token == "a"] == [0, 1, 2]
        assert [done for token, done in reports if token == "b"] == [0, 10, 20]


@in_both_eras
@scene
async def test_a_level_that_a_handler_made_up_is_an_incident(
    connect: Connect, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server("s", "1")

    @server.tool()
    async def log(ctx: Context) -> str:
        await ctx.log("loud", "x")  # pyright: ignore[reportArgumentType]  # what is tested
        return "done"

    async with connect(server, revision) as client:
        await client.set_log_level("debug")
        with pytest.raises(Refused, match="incident"):
            await client.call_tool("log")


@in_both_eras
@scene
async def test_a_handler_waits_while_the_client_does_not_read(connect: Connect, revision: str) -> None:
    server, sent = Server("s", "1"), list[int]()

    @server.tool()
    async def flood(ctx: Context) -> str:
        for number in range(50):
            await ctx.progress(number)
            sent.append(number)
        return "done"

    async with connect(server, revision) as client:
        client.wire.stop_reading()
        identifier = client.request("tools/call", {"name": "flood", "_meta": {"progressToken": 1}})
        await client.wire.quiet()
        assert sent == []
        client.wire.read_on()
        assert "result" in await client.wire.answer(identifier)
        assert len(sent) == 50
