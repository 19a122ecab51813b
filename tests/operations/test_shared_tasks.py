"""Tasks and changes among several processes on one Redis: begun at one, asked after and answered at another."""

from __future__ import annotations

import asyncio

from tests.operations.redis import RedisServer, turn
from tests.operations.replicas import capable, replicas
from tests.server.workshop import FINISHED, Workshop
from tests.stage import scene
from tests.transports.guests import Json, Modern, hear

from mcp_kernel.operations.redis_link import RedisLink
from mcp_kernel.server.store import GONE

SURE: Json = {"sure": {"action": "accept", "content": {"sure": True}}}


async def start(client: Modern, tool: str) -> str:
    made = await client.call(tool)
    assert made["resultType"] == "task"
    return str(made["taskId"])


async def ask(client: Modern, method: str, task: str, **more: object) -> Json:
    return dict(await client.ask(method, {"taskId": task, **more}, {"mcp-name": task}).json())


async def get(client: Modern, task: str) -> Json:
    return (await ask(client, "tasks/get", task))["result"]


async def until(client: Modern, task: str, *statuses: str) -> Json:
    """Ask until the task stands so."""
    async with asyncio.timeout(10):
        while (told := await get(client, task))["status"] not in statuses:
            await turn()
    return told


@scene
async def test_a_task_is_answered_for_by_the_process_that_did_not_begin_it() -> None:
    one, other = Workshop(), Workshop()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            task = await start(here, "work")
            assert (await get(there, task))["status"] == "working"
            one.go.set()
            told = await until(there, task, "completed")
            assert told["result"]["content"] == [{"type": "text", "text": "work done"}]
            assert other.trace == []


@scene
async def test_a_question_of_a_task_is_answered_at_another_process() -> None:
    with RedisServer() as store:
        async with replicas(store, [Workshop().server, Workshop().server]) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            task = await start(here, "ask")
            asked = await until(there, task, "input_required")
            assert list(asked["inputRequests"]) == ["sure"]
            assert (await ask(there, "tasks/update", task, inputResponses=SURE))["result"] is not None
            assert (await until(there, task, "completed"))["result"]["content"][0]["text"] == "sure: True"


@scene
async def test_a_task_is_cancelled_from_another_process() -> None:
    one = Workshop()
    with RedisServer() as store:
        async with replicas(store, [one.server, Workshop().server]) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            task = await start(here, "work")
            assert "result" in await ask(there, "tasks/cancel", task)
            await until(there, task, "cancelled")
            assert one.trace == ["work began", "work cancelled"]


@scene
async def test_who_listens_at_another_process_hears_of_a_task_and_of_changes() -> None:
    one, other = Workshop(), Workshop()
    for shop in (one, other):
        shop.server.resource("note://one")(lambda: "a note")
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            task = await start(here, "work")
            listened: Json = {"taskIds": [task], "resourceSubscriptions": ["note://one"], "toolsListChanged": True}
            stream, granted = await there.listen(**listened)
            assert granted["params"]["notifications"] == listened
            one.server.changed("note://one")
            assert (await hear(stream))["params"]["uri"] == "note://one"
            one.server.list_changed("tools")
            assert (await hear(stream))["method"] == "notifications/tools/list_changed"
            one.go.set()
            assert (await hear(stream))["params"]["status"] == "completed"
            stream.hang_up()
            await stream.over()


@scene
async def test_the_task_of_a_process_that_died_fails_and_its_listeners_hear_so() -> None:
    one, other = Workshop(), Workshop()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server], lease=0.6) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            task, asking = await start(here, "work"), await start(here, "ask")
            await until(there, asking, "input_required")
            stream, _ = await there.listen(taskIds=[task])
            assert isinstance(one.server.store, RedisLink)
            await one.server.store.close()  # what a killed process leaves behind: nobody hears, the lease is over
            heard = (await hear(stream))["params"]
            assert (heard["status"], heard["error"]["code"]) == ("failed", -32603)
            failed = await get(there, asking)
            assert "ended before it had a result" in failed["error"]["message"]
            assert "inputRequests" not in failed
            assert "result" in await ask(there, "tasks/update", asking, inputResponses=SURE)
            stream.hang_up()
            await stream.over()


@scene
async def test_a_process_that_ends_says_of_its_tasks_that_they_have_failed() -> None:
    one, other = Workshop(), Workshop()
    with RedisServer() as store:
        async with replicas(store, [other.server]) as (site,):
            there = capable(site, 100)
            async with replicas(store, [one.server]) as (leaving,):
                task = await start(capable(leaving, 0), "work")
            assert one.trace == ["work began", "work cancelled"]
            assert (await get(there, task))["status"] == "failed"


@scene
async def test_without_the_store_calls_go_on_and_tasks_fail_clearly_until_it_is_back() -> None:
    one, other = Workshop(), Workshop()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server]) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            task = await start(here, "work")
            assert (await get(there, task))["status"] == "working"
            store.kill()
            assert (await here.call("plain"))["content"][0]["text"] == "plain"
            assert (await get(here, task))["status"] == "working", "its own process knows it without the store"
            for visit in (
                there.ask("tasks/get", {"taskId": task}, {"mcp-name": task}),
                here.ask_tool("work", label="second"),
            ):
                assert GONE in str((await visit.json())["error"])
                assert visit.status == 503
                assert visit.headers["retry-after"] == "5"
            store.start()
            async with asyncio.timeout(10):
                while (await there.ask("tasks/get", {"taskId": task}, {"mcp-name": task}).json()).get("error"):
                    await turn()  # until its process has noticed, and has written it down again
            one.go.set()
            await until(there, task, *FINISHED)
            assert (await until(there, await start(here, "work"), "completed"))["status"] == "completed"
