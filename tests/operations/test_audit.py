"""What is written of each request: once, whatever its end; with `required` before it is done."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.operations.shop import audited, sound_calls
from tests.stage import MODERN, in_both_eras, scene

from mcp_kernel import Context, ToolError
from mcp_kernel.auth.policy import read_policy
from mcp_kernel.auth.resource.document import Document
from mcp_kernel.operations.limits import Allowance, LimitStage
from mcp_kernel.operations.rates import Rate
from mcp_kernel.server.access import Authorization
from mcp_kernel.server.principal import Principal
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage import Connect

    from mcp_kernel.protocol.jsonrpc import JsonObject


def test_a_line_says_who_asked_for_what_and_what_came_of_it(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with audited(path) as server, connect(server, MODERN, principal="ann") as client:
            await client.call_tool("echo", {"text": "x"})
            await client.call("resources/read", {"uri": "note://one"})

    play()
    call, read = sound_calls(path)
    assert call.pop("time")[:2] == "20" and call.pop("ms") >= 0 and call.pop("bytes") > 100  # noqa: PT018  # one line
    for name in ("seq", "prev", "hash", "call"):
        del call[name]
    assert call == {
        "event": "call",
        "principal": "ann",
        "client": "tester 1",
        "revision": MODERN,
        "method": "tools/call",
        "tool": "echo",
        "arguments": {"text": "x"},
        "decision": "allowed",
        "outcome": "ok",
    }
    assert (read["method"], read["uri"], read["outcome"]) == ("resources/read", "note://one", "ok")


ENDS: list[tuple[str, JsonObject, tuple[str, int | None]]] = [
    ("echo", {"text": "x"}, ("ok", None)),
    ("echo", {}, ("tool error", None)),
    ("fail", {"how": "told"}, ("tool error", None)),
    ("fail", {"how": "peer"}, ("error", -32602)),
    ("fail", {"how": "bug"}, ("internal error", -32603)),
    ("nothing", {}, ("error", -32602)),
    ("hang", {}, ("timed out", None)),
]


@in_both_eras
def test_every_end_leaves_one_line(connect: Connect, revision: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with audited(path) as server, connect(server, revision) as client:
            for tool, arguments, _ in ENDS:
                try:
                    await client.call_tool(tool, arguments)
                except Refused:
                    continue
            identifier = client.request("tools/call", {"name": "hang"})
            client.wire.cancel(identifier)
            await client.wire.quiet()
            client.request("tools/call", {"name": "hang"})

    play()
    said = [(record["tool"], (record["outcome"], record.get("code"))) for record in sound_calls(path)]
    assert said == [(tool, end) for tool, _, end in ENDS] + [("hang", ("cancelled", None)), ("hang", ("closed", None))]


@in_both_eras
def test_the_code_is_the_one_that_the_client_was_sent(connect: Connect, revision: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sent: list[int | None] = []

    @scene
    async def play() -> None:
        async with audited(path) as server:

            @server.tool()
            async def need(ctx: Context) -> str:
                """Ask who cannot answer."""
                return str(await ctx.roots())

            @server.resource("note://told")
            async def told() -> str:
                """Tell the model."""
                raise ToolError("Not today.")

            async with connect(server, revision) as client:
                for uri in ("note://nowhere", "note://told"):
                    with pytest.raises(Refused) as refused:
                        await client.call("resources/read", {"uri": uri})
                    sent.append(refused.value.code)
                try:
                    assert (await client.call("tools/call", {"name": "need"}))["isError"]
                    sent.append(None)
                except Refused as refusal:
                    sent.append(refusal.code)

    play()
    assert [record.get("code") for record in sound_calls(path)] == sent
    assert sent == ([-32602, -32602, -32021] if revision == MODERN else [-32002, -32602, None])


def test_a_handler_that_clings_to_its_work_leaves_one_line_too(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with audited(path) as server:
            free = asyncio.Event()

            @server.tool()
            async def cling() -> str:
                """Hear nothing."""
                while not free.is_set():
                    with suppress(asyncio.CancelledError):
                        await free.wait()
                return "done"

            async with connect(server, MODERN) as client:
                await client.call_tool("cling", {})
                free.set()
                await client.wire.quiet()

    play()
    assert [record["outcome"] for record in sound_calls(path)] == ["timed out"]


def test_a_parked_request_and_its_retry_are_a_line_each(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        def agree(method: str, params: JsonObject) -> JsonObject:
            return {"action": "accept", "content": {"sure": True}}

        forms: JsonObject = {"elicitation": {"form": {}}}
        async with audited(path) as server, connect(server, MODERN, capabilities=forms, answer=agree) as client:
            await client.call_tool("ask", {})

    play()
    assert [record["outcome"] for record in sound_calls(path)] == ["asked", "ok"]


def test_a_task_has_a_line_for_its_handle_and_one_for_its_end(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        tasks: JsonObject = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
        async with audited(path) as server, connect(server, MODERN, capabilities=tasks) as client:
            await client.call_tool("work", {})
            await client.wire.quiet()

    play()
    handle, end = sound_calls(path)
    assert (handle["outcome"], end["outcome"]) == ("task", "ok")
    assert handle["call"] == end["call"]
    assert handle["bytes"] > 0 == end["bytes"]


def test_each_member_of_a_batch_is_a_line(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with audited(path) as server, connect(server, "2025-03-26") as client:
            call = {"jsonrpc": "2.0", "method": "tools/call"}
            params = [{"name": "echo", "arguments": {"text": "x"}}, {"name": "fail", "arguments": {"how": "told"}}]
            client.wire.send([{**call, "id": f"b{number}", "params": each} for number, each in enumerate(params)])
            await client.wire.answer("b1")

    play()
    assert [record["outcome"] for record in sound_calls(path)] == ["ok", "tool error"]


@in_both_eras
def test_a_refusal_of_a_stage_is_told_from_a_failure(connect: Connect, revision: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        limit = LimitStage(Allowance(rate=Rate(1, 60.0)))
        async with audited(path, limit) as server, connect(server, revision) as client:
            await client.call_tool("echo", {"text": "x"})
            await client.call_tool("echo", {"text": "y"})

    play()
    assert [(record["decision"], record.get("refused_by")) for record in sound_calls(path)] == [
        ("allowed", None),
        ("refused", "limit"),
    ]


@in_both_eras
def test_what_a_policy_hides_is_told_in_the_log(connect: Connect, revision: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with audited(path, Authorization()) as server:
            document = Document(tmp_path / "auth.toml", '[roles.reader]\ntools = ["echo"]')
            server.govern(read_policy(document))
            async with connect(server, revision, principal=Principal("ann", ("reader",))) as client:
                await client.call_tool("echo", {"text": "x"})
                with pytest.raises(Refused):
                    await client.call_tool("hang", {})
                with pytest.raises(Refused):
                    await client.call_tool("nothing", {})

    play()
    said = [(record["tool"], record["decision"], record.get("refused_by")) for record in sound_calls(path)]
    assert said == [("echo", "allowed", None), ("hang", "refused", "policy"), ("nothing", "allowed", None)]
