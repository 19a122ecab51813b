"""Who ends a task: its client, its time, the server; and who does not."""

from __future__ import annotations

import asyncio

import pytest
from tests.server.workshop import ABLE, TASKS, Workshop, finish, get, meta, pass_time, refusal, start, text, update, yes
from tests.stage import Connect, Dial, modern, scene, scene_out_of_time, text_of

from mcp_kernel import Context, Server
from mcp_kernel.testing.memory import result_of

# --- who does not ---


@scene
async def test_the_end_of_the_connection_does_not_end_the_work(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "work")
    assert shop.trace == ["work began"]
    async with connect(shop.server, capabilities=TASKS) as client:
        assert (await get(client, task))["status"] == "working"
        shop.go.set()
        assert await text(client, task) == "work done"


@scene
async def test_taking_the_request_back_does_not_end_the_work(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        request = client.request("tools/call", {"name": "work"})
        task = result_of(await client.wire.answer(request))["taskId"]
        client.wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request}})
        await client.wire.quiet()
        assert shop.trace == ["work began"]
        shop.go.set()
        assert await text(client, str(task)) == "work done"


@scene
async def test_the_id_of_the_request_is_free_again_and_its_new_owner_safe(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client, connect(shop.server) as plain:
        client.wire.request("tools/call", {"name": "work", "_meta": meta(client)}, id="same")
        first = result_of(await client.wire.answer("same"))["taskId"]
        call = {"name": "work", "arguments": {"label": "call"}, "_meta": meta(plain)}
        client.wire.request("tools/call", call, id="same")
        await client.wire.quiet()
        await client.call("tasks/cancel", {"taskId": first})
        await client.wire.quiet()
        client.wire.cancel("same")  # the task's end did not take the call off the list
        await client.wire.quiet()
        assert shop.trace == ["work began", "call began", "work cancelled", "call cancelled"]


@scene_out_of_time
async def test_a_task_outlives_the_time_of_a_call(connect: Connect) -> None:
    shop = Workshop(timeout=60.0)
    async with connect(shop.server, capabilities=TASKS) as client:
        client.wire.patience = 10_000.0
        task = await start(client, "work")
        await pass_time(1000)
        assert (await get(client, task))["status"] == "working"
        late = await start(client, "late")
        await pass_time(1000)
        assert (await get(client, late))["status"] == "working"


# --- its client ---


@scene
async def test_a_cancelled_task_is_acknowledged_stopped_and_says_so(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "work")
        acknowledged = await client.call("tasks/cancel", {"taskId": task})
        assert acknowledged.keys() == {"resultType", "_meta"}
        told = await finish(client, task)
        assert told["status"] == "cancelled"
        assert shop.trace == ["work began", "work cancelled"]


@scene
async def test_a_task_that_asks_can_be_cancelled(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        task = await start(client, "ask")
        await client.call("tasks/cancel", {"taskId": task})
        assert (await finish(client, task))["status"] == "cancelled"
        await update(client, task, sure=yes(sure=True))
        assert (await get(client, task))["status"] == "cancelled"


@scene
async def test_cancelling_a_finished_task_changes_nothing(connect: Connect) -> None:
    shop = Workshop()
    shop.go.set()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "work")
        before = await finish(client, task)
        assert (await client.call("tasks/cancel", {"taskId": task})).keys() == {"resultType", "_meta"}
        assert await get(client, task) == before
        await client.call("tasks/cancel", {"taskId": await start(client, "ask_two")})


@scene_out_of_time
async def test_work_that_will_not_stop_is_cancelled_all_the_same(connect: Connect) -> None:
    server, go = Server("s", "1"), asyncio.Event()

    @server.tool(task="allowed")
    async def stubborn() -> str:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return "done all the same"

    async with connect(server, capabilities=TASKS) as client:
        task = await start(client, "stubborn")
        await client.call("tasks/cancel", {"taskId": task})
        assert (await get(client, task))["status"] == "working"  # it has its time to tidy up
        await pass_time(2)
        assert (await get(client, task))["status"] == "cancelled"
        go.set()
        await client.wire.quiet()
        assert (await get(client, task))["status"] == "cancelled"


# --- its time ---


@scene_out_of_time
async def test_work_that_takes_too_long_is_stopped_and_the_model_told(connect: Connect) -> None:
    shop = Workshop(task_timeout=100.0)
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "work")
        await pass_time(99)
        assert (await get(client, task))["status"] == "working"
        await pass_time(2)
        told = await get(client, task)
        assert told["status"] == "completed"
        assert told["result"]["isError"] is True
        assert "did not finish in time" in text_of(told["result"])
        assert shop.trace == ["work began", "work cancelled"]


@scene_out_of_time
async def test_a_tool_with_a_timeout_of_its_own_has_it_as_a_task(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool(task="allowed", timeout=7.0)
    async def short() -> str:
        return str(await asyncio.Event().wait())

    async with connect(server, capabilities=TASKS) as client:
        task = await start(client, "short")
        await pass_time(6.9)
        assert (await get(client, task))["status"] == "working"
        await pass_time(0.2)
        assert (await get(client, task))["status"] == "completed"


@scene_out_of_time
async def test_a_call_that_becomes_a_task_has_the_whole_time_from_then_on(connect: Connect) -> None:
    shop = Workshop(task_timeout=100.0)
    async with connect(shop.server, capabilities=TASKS) as client:
        client.wire.patience = 10_000.0
        task = await start(client, "late")  # five seconds
        await pass_time(99)
        assert (await get(client, task))["status"] == "working"
        await pass_time(2)
        assert (await get(client, task))["status"] == "completed"


@pytest.mark.parametrize("finished", [True, False])
@scene_out_of_time
async def test_a_task_is_forgotten_when_its_time_to_live_is_over(connect: Connect, finished: bool) -> None:
    shop = Workshop(task_ttl=50.0, task_timeout=None)
    if finished:
        shop.go.set()
    async with connect(shop.server, capabilities=TASKS) as client:
        made = await client.call_tool("work")
        assert made["ttlMs"] == 50_000
        await pass_time(49)
        assert (await get(client, str(made["taskId"])))["status"] == ("completed" if finished else "working")
        await pass_time(2)
        assert (await refusal(client, "tasks/get", taskId=made["taskId"])).code == -32602
        assert shop.trace == (["work began"] if finished else ["work began", "work cancelled"])


# --- their number ---


@scene
async def test_the_oldest_finished_task_makes_room(connect: Connect) -> None:
    shop = Workshop(max_tasks=3)
    async with connect(shop.server, capabilities=TASKS) as client:
        working = await start(client, "work")
        shop.go.set()
        old = await start(client, "must")
        young = await start(client, "must")
        await finish(client, young)
        await start(client, "must")
        assert (await refusal(client, "tasks/get", taskId=old)).code == -32602
        assert (await get(client, young))["status"] == "completed"
        assert (await get(client, working))["taskId"] == working
        assert len(shop.server.tasks) == 3


@scene
async def test_too_many_tasks_at_work_refuse_the_next_and_it_does_nothing(connect: Connect) -> None:
    shop = Workshop(max_tasks=2)
    async with connect(shop.server, capabilities=TASKS) as client:
        first, _ = await start(client, "work"), await start(client, "work")
        shop.trace.clear()
        result = await client.call_tool("work")
        assert result["isError"] is True
        assert "Try again" in text_of(result)
        assert shop.trace == []
        await client.call("tasks/cancel", {"taskId": first})
        await finish(client, first)
        await start(client, "work")


@scene
async def test_one_principal_takes_neither_all_the_work_nor_the_results_of_another(connect: Connect) -> None:
    shop = Workshop(max_tasks=4)
    async with (
        connect(shop.server, capabilities=TASKS, principal="ann") as ann,
        connect(shop.server, capabilities=TASKS, principal="eve") as eve,
    ):
        await start(eve, "work")
        await start(eve, "work")
        refused = await eve.call_tool("work")
        assert "2 tasks of yours" in text_of(refused)
        first = await start(ann, "must")
        shop.go.set()
        await finish(ann, first)
        for _ in range(5):
            await finish(eve, await start(eve, "must"))
        assert (await get(ann, first))["status"] == "completed"


@scene_out_of_time
async def test_a_call_that_finds_no_room_stays_a_call(connect: Connect) -> None:
    shop = Workshop(max_tasks=1)
    async with connect(shop.server, capabilities=TASKS) as client:
        client.wire.patience = 10_000.0
        await start(client, "work")
        asyncio.get_running_loop().call_later(20, shop.go.set)
        assert text_of(await client.call_tool("late")) == "late"


@scene_out_of_time
async def test_a_task_that_made_room_before_its_time_is_not_missed_when_that_comes(connect: Connect) -> None:
    shop = Workshop(max_tasks=1, task_ttl=100.0)
    shop.go.set()
    unmet: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unmet.append(context))
    async with connect(shop.server, capabilities=TASKS) as client:
        client.wire.patience = 10_000.0
        await finish(client, await start(client, "must"))
        await start(client, "must")
        await pass_time(150)
        assert (unmet, len(shop.server.tasks)) == ([], 0)


# --- the server ---


@scene
async def test_the_end_of_the_server_ends_the_work(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        await start(client, "work")
    await shop.server.close()
    assert shop.trace == ["work began", "work cancelled"]
    assert len(shop.server.tasks) == 0


@scene
async def test_work_goes_on_when_its_client_does_not_read(dial: Dial) -> None:
    server, began = Server("s", "1"), asyncio.Event()

    @server.tool(task="allowed")
    async def busy(ctx: Context) -> str:
        began.set()
        for step in range(5):
            await ctx.progress(step)
            await ctx.log("info", step)
        return "busy no more"

    async with dial(server) as wire:
        wire.stop_reading()
        params = modern(name="busy")
        params["_meta"] = {**params["_meta"], "io.modelcontextprotocol/clientCapabilities": TASKS}
        task = result_of(await wire.answer(wire.request("tools/call", params)))["taskId"]
        await wire.quiet()
        told = await wire.call("tasks/get", {"taskId": task, "_meta": params["_meta"]})
        assert told["status"] == "completed"
