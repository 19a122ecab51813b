"""Calls that become tasks: who may have one, what it says of itself, what it ends with."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from tests.server.workshop import (
    ABLE,
    TASKS,
    Confirm,
    Workshop,
    finish,
    get,
    refusal,
    start,
    text,
)
from tests.stage import META, Connect, Dial, Json, in_both_eras, in_every_session, scene, scene_out_of_time, text_of

from mcp_kernel import Context, Server
from mcp_kernel.protocol.jsonrpc import Request
from mcp_kernel.server import dispatch
from mcp_kernel.testing.memory import Refused, result_of

METHODS = pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
NOBODYS: Json = {"taskId": "nobody's", "inputResponses": {}}


# --- who may have one ---


@scene
async def test_the_server_declares_tasks_when_a_tool_has_them(connect: Connect) -> None:
    async with connect(Workshop().server) as client:
        declared = (await client.open())["capabilities"]
        assert isinstance(declared, dict)
        assert declared["extensions"] == TASKS["extensions"]
        assert "tasks" not in declared
    async with connect(Server("none", "1")) as client:
        assert "extensions" not in str(await client.open())


@scene
async def test_an_allowed_call_is_answered_with_a_handle_at_once(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        made = await client.call_tool("work")
        assert made["resultType"] == "task"
        assert made["status"] == "working"
        assert made["ttlMs"] == 3_600_000
        assert made["pollIntervalMs"] == 1000
        assert shop.trace == ["work began"]
        assert (await get(client, str(made["taskId"])))["status"] == "working"
        shop.go.set()
        assert await text(client, str(made["taskId"])) == "work done"


@in_both_eras
@scene
async def test_an_allowed_call_runs_as_a_call_without_the_extension(connect: Connect, revision: str) -> None:
    shop = Workshop()
    shop.go.set()
    async with connect(shop.server, revision) as client:
        assert text_of(await client.call_tool("work")) == "work done"
        assert len(shop.server.tasks) == 0


@scene
async def test_a_required_task_is_refused_without_the_extension(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server) as client:
        refused = await refusal(client, "tools/call", name="must", arguments={})
        assert refused.code == -32021
        assert refused.data == {"requiredCapabilities": TASKS}


@scene
async def test_a_refusal_for_want_of_the_extension_has_the_status_400(dial: Dial) -> None:
    async with dial(Workshop().server) as wire:
        said: list[int] = []
        for method, params in (("tasks/get", NOBODYS), ("tools/call", {"name": "must"})):
            request = Request(1, method, {**params, "_meta": META})
            dispatch.take(wire.peer, request, lambda _, status, headers=(): said.append(status))
        assert said == [400, 400]


@in_every_session
@scene
async def test_a_session_has_no_tasks_whatever_it_declares(connect: Connect, revision: str) -> None:
    shop = Workshop()
    shop.go.set()
    async with connect(shop.server, revision, capabilities=TASKS) as client:
        asked = {"name": "work", "arguments": {}, "task": {"ttl": 60_000}}
        assert text_of(await client.call("tools/call", asked)) == "work done"
        refused = await client.call_tool("must")
        assert refused["isError"] is True
        assert "io.modelcontextprotocol/tasks" in text_of(refused)
        client.wire.request("tasks/get", {"taskId": "1"}, id="unknown", malformed=True)
        with pytest.raises(Refused, match="-32601"):
            result_of(await client.wire.answer("unknown"))


@scene
async def test_a_tool_without_tasks_ignores_a_task_parameter(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=TASKS) as client:
        result = await client.call("tools/call", {"name": "plain", "arguments": {}, "task": {"ttl": 60_000}})
        assert text_of(result) == "plain"


@METHODS
@scene
async def test_task_methods_are_refused_without_the_extension(connect: Connect, method: str) -> None:
    async with connect(Workshop().server, capabilities={"extensions": {}}) as client:
        refused = await refusal(client, method, **NOBODYS)
        assert refused.code == -32021
        assert refused.data == {"requiredCapabilities": TASKS}


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
@scene
async def test_methods_of_the_older_tasks_are_unknown(dial: Dial, method: str) -> None:
    async with dial(Workshop().server) as wire:
        wire.request(method, {"_meta": META}, id=1, malformed=True)
        with pytest.raises(Refused, match="-32601"):
            result_of(await wire.answer(1))


# --- whose it is ---


@METHODS
@scene
async def test_unknown_foreign_and_finished_with_look_the_same(connect: Connect, method: str) -> None:
    shop = Workshop(task_ttl=3600.0)
    async with connect(shop.server, capabilities=TASKS, principal="ann") as ann:
        task = await start(ann, "work")
        async with connect(shop.server, capabilities=TASKS, principal="bob") as bob:
            foreign = await refusal(bob, method, taskId=task, inputResponses={})
            unknown = await refusal(bob, method, taskId="0" * 32, inputResponses={})
        async with connect(shop.server, capabilities=TASKS) as nobody:
            anonymous = await refusal(nobody, method, taskId=task, inputResponses={})
        assert (await get(ann, task))["status"] == "working"
        told = {(each.code, each.message, str(each.data)) for each in (foreign, unknown, anonymous)}
        assert len(told) == 1
        assert foreign.code == -32602


@scene
async def test_another_connection_of_the_same_principal_has_the_task(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS, principal="ann") as first:
        task = await start(first, "work")
    async with connect(shop.server, capabilities=TASKS, principal="ann") as second:
        shop.go.set()
        assert await text(second, task) == "work done"


@scene
async def test_ids_are_long_and_never_the_same(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=TASKS) as client:
        ids = {await start(client, "work") for _ in range(20)}
        assert len(ids) == 20
        assert min(map(len, ids)) >= 32


# --- what it ends with ---


@scene
async def test_the_result_is_exactly_that_of_the_call(connect: Connect) -> None:
    shop = Workshop()
    shop.go.set()
    async with connect(shop.server) as plain, connect(shop.server, capabilities=TASKS) as client:
        told = await finish(client, await start(client, "work"))
        assert told["result"] == await plain.call_tool("work")
        told = await finish(client, await start(client, "must"))
        assert told["result"]["structuredContent"] == {"answer": 42}
        assert told["result"]["resultType"] == "complete"


@scene
async def test_a_tool_error_completes_the_task(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "fail", how="tool")
        shop.go.set()
        told = await finish(client, task)
        assert told["status"] == "completed"
        assert told["result"]["isError"] is True
        assert text_of(told["result"]) == "no paper left"


@scene
async def test_a_protocol_error_fails_the_task(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "fail", how="protocol")
        shop.go.set()
        told = await finish(client, task)
        assert told["status"] == "failed"
        assert told["error"] == {"code": -32050, "message": "out of tune", "data": {"string": 4}}
        assert told["statusMessage"] == "out of tune"
        assert "result" not in told


@scene
async def test_an_incident_fails_the_task_and_keeps_its_secret(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "fail", how="crash")
        shop.go.set()
        told = await finish(client, task)
        assert told["error"]["code"] == -32603
        assert "secret" not in str(told)


@scene
async def test_arguments_that_do_not_fit_make_no_task(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        result = await client.call_tool("fail", {"how": 5})
        assert result["resultType"] == "complete"
        assert result["isError"] is True
        assert len(shop.server.tasks) == 0


@scene
async def test_a_handler_that_never_waits_becomes_a_finished_task(connect: Connect) -> None:
    shop = Workshop()
    shop.go.set()
    async with connect(shop.server, capabilities=TASKS) as client:
        made = await client.call_tool("work")
        assert made["status"] == "working"  # the handle comes before the work
        assert (await get(client, str(made["taskId"])))["status"] == "completed"


# --- what it says meanwhile ---


@scene
async def test_progress_becomes_the_status_message_and_log_is_dropped(connect: Connect) -> None:
    server, go = Server("s", "1"), asyncio.Event()

    @server.tool(task="allowed")
    async def count(ctx: Context) -> str:
        await ctx.progress(1, 4)
        await ctx.log("error", "not for a task")
        await go.wait()
        await ctx.progress(2, None, "half way")
        go.clear()
        await go.wait()
        return "counted"

    async with connect(server, capabilities=TASKS) as client:
        await client.set_log_level("debug")
        made = await client.call("tools/call", {"name": "count", "_meta": {"progressToken": 0}})
        task = str(made["taskId"])
        assert (await get(client, task))["statusMessage"] == "1 of 4"
        go.set()
        await client.wire.quiet()
        assert (await get(client, task))["statusMessage"] == "half way"
        go.set()
        told = await finish(client, task)
        assert "statusMessage" not in told
        assert client.wire.notifications() == []


@scene
async def test_times_are_of_the_clock_and_rise(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        made = await client.call_tool("work")
        shop.go.set()
        told = await finish(client, str(made["taskId"]))
        created, updated = (datetime.fromisoformat(told[name]) for name in ("createdAt", "lastUpdatedAt"))
        assert made["createdAt"] == told["createdAt"]
        assert created <= updated
        assert created.utcoffset() is not None
        assert abs((datetime.now(created.tzinfo) - created).total_seconds()) < 60


# --- when it becomes one ---


@scene_out_of_time
async def test_a_quick_call_is_answered_before_it_would_become_a_task(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        asyncio.get_running_loop().call_later(4.9, shop.go.set)
        assert text_of(await client.call_tool("late")) == "late"
        assert len(shop.server.tasks) == 0


@scene_out_of_time
async def test_a_call_that_outlives_its_seconds_becomes_a_task(connect: Connect) -> None:
    shop = Workshop()
    loop = asyncio.get_running_loop()
    async with connect(shop.server, capabilities=TASKS) as client:
        client.wire.patience = 100.0
        began = loop.time()
        task = await start(client, "late")
        assert loop.time() - began == pytest.approx(5.0)
        shop.go.set()
        assert await text(client, task) == "late"
    async with connect(shop.server) as client:
        shop.go.clear()
        client.wire.patience = 100.0
        loop.call_later(30, shop.go.set)
        assert text_of(await client.call_tool("late")) == "late"


@scene
async def test_a_handler_may_ask_first_and_then_become_a_task(connect: Connect) -> None:
    shop = Workshop()

    def answer(method: str, params: Json) -> Json:
        return {"action": "accept", "content": {"sure": True}}

    async with connect(shop.server, capabilities=ABLE, answer=answer) as client:
        made = await client.call_tool("ask_first")  # the client answers the round and calls again
        assert [params["message"] for _, params in client.asked] == ["Before?"]
        assert made["resultType"] == "task"
        assert made.keys().isdisjoint({"requestState", "inputRequests"})
        assert made["statusMessage"] == "At work"


@scene
async def test_become_task_does_nothing_where_the_client_has_none(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool(task="allowed", task_after=None)
    async def go(ctx: Context) -> str:
        await ctx.become_task("on my way")
        return "gone"

    for revision in ("2025-11-25", "2026-07-28"):
        async with connect(server, revision) as client:
            assert text_of(await client.call_tool("go")) == "gone"


@in_both_eras
@scene
async def test_become_task_is_for_tools_that_said_so(connect: Connect, revision: str) -> None:
    server, raised = Server("s", "1"), list[str]()

    @server.tool()
    async def go(ctx: Context) -> str:
        try:
            await ctx.become_task()
        except RuntimeError as error:
            raised.append(str(error))
        return "gone"

    async with connect(server, revision, capabilities=TASKS) as client:
        assert text_of(await client.call_tool("go")) == "gone"
        assert "task=" in raised[0]


@scene
async def test_a_call_that_asks_becomes_no_task_before_it_has_its_answer(connect: Connect) -> None:
    server, acted = Server("s", "1"), list[str]()

    @server.tool(task="allowed", task_after=None)
    async def hasty(ctx: Context) -> str:
        async def act() -> None:
            await ctx.become_task()
            acted.append("acted")

        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.elicit("sure", "Sure?", Confirm))
            group.create_task(act())
        return "done"

    async with connect(server, capabilities=ABLE) as client:
        params: Json = {"name": "hasty", "arguments": {}}
        first = result_of(await client.wire.answer(client.request("tools/call", params)))
        assert first["resultType"] == "input_required"
        assert acted == []
        answers = {"sure": {"action": "accept", "content": {"sure": True}}}
        assert (await client.call("tools/call", {**params, "inputResponses": answers}))["resultType"] == "task"
        assert acted == ["acted"]
