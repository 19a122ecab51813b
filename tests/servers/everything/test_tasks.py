"""The tools that become tasks, for clients that know the tasks extension and for clients that do not."""

from __future__ import annotations

from typing import cast

import pytest
from tests.servers.everything.wires import Enter
from tests.stage import MODERN, Json, in_both_eras, scene, text_of

from mcp_kernel.testing.eras import Client
from mcp_kernel.testing.memory import Refused

TASKS: Json = {"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}
YES: Json = {"action": "accept", "content": {"confirm": True, "name": "Ada"}}


async def start(client: Client, tool: str, **arguments: object) -> str:
    """Call a tool that answers with a task; returns the task's id."""
    handle = await client.call_tool(tool, arguments)
    assert handle["resultType"] == "task", handle
    return str(handle["taskId"])


async def follow(client: Client, task: str, status: str) -> Json:
    """Listen to a task until it has a status; returns it as `tasks/get` has it."""
    client.request("subscriptions/listen", {"notifications": {"taskIds": [task]}})
    await client.wire.notification("notifications/subscriptions/acknowledged")
    found = await client.call("tasks/get", {"taskId": task})
    while found["status"] != status:
        await client.wire.notification("notifications/tasks")
        found = await client.call("tasks/get", {"taskId": task})
    return found


@scene
async def test_a_call_that_takes_long_becomes_a_task_and_a_quick_one_does_not(enter: Enter) -> None:
    async with enter(MODERN, capabilities=TASKS) as client:
        assert text_of(await client.call_tool("slow_compute", {"seconds": 0})) == "compute took 0 seconds."
        done = await follow(client, await start(client, "slow_compute", seconds=0.2, label="sum"), "completed")
        assert text_of(done["result"]) == "sum took 0.2 seconds."
        assert (await client.call_tool("greet", {"name": "Ada"}))["resultType"] == "complete"


@scene
async def test_a_job_that_fails_completes_and_one_that_breaks_fails(enter: Enter) -> None:
    async with enter(MODERN, capabilities=TASKS) as client:
        failed = await follow(client, await start(client, "failing_job"), "completed")
        assert failed["result"]["isError"] is True
        broken = await follow(client, await start(client, "protocol_error_job"), "failed")
        assert broken["error"]["code"] == -32603
        assert "incident" in broken["error"]["message"]
        assert "breaks" not in broken["error"]["message"]


@scene
async def test_questions_inside_a_task_are_answered_one_by_one(enter: Enter) -> None:
    async with enter(MODERN, capabilities=TASKS) as client:
        task = await start(client, "multi_input")
        asked = await follow(client, task, "input_required")
        assert list(asked["inputRequests"]) == ["name", "confirm"]
        await client.call("tasks/update", {"taskId": task, "inputResponses": {"name": YES}})
        left = await client.call("tasks/get", {"taskId": task})
        assert list(cast("Json", left["inputRequests"])) == ["confirm"]
        await client.call("tasks/update", {"taskId": task, "inputResponses": {"confirm": YES}})
        assert text_of((await follow(client, task, "completed"))["result"]) == "Ada said yes."


@scene
async def test_a_task_that_asks_can_be_cancelled(enter: Enter) -> None:
    async with enter(MODERN, capabilities=TASKS) as client:
        task = await start(client, "confirm_delete", filename="x.txt")
        await follow(client, task, "input_required")
        await client.call("tasks/cancel", {"taskId": task})
        assert "result" not in await follow(client, task, "cancelled")


@scene
async def test_a_question_comes_before_the_task(enter: Enter) -> None:
    def say_yes(method: str, params: Json) -> Json:
        return YES

    async with enter(MODERN, capabilities=TASKS, answer=say_yes) as client:
        task = await start(client, "test_tool_with_task")
        assert text_of((await follow(client, task, "completed"))["result"]) == "Hello, Ada, from a task."


@in_both_eras
@pytest.mark.parametrize("tool", ["failing_job", "test_tool_with_task"])
@scene
async def test_what_must_be_a_task_is_refused_to_clients_without_tasks(enter: Enter, revision: str, tool: str) -> None:
    async with enter(revision, capabilities={"elicitation": {}}) as client:
        if revision == MODERN:
            with pytest.raises(Refused) as refused:
                await client.call_tool(tool)
            extension: Json = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
            assert (refused.value.code, refused.value.data) == (-32021, {"requiredCapabilities": extension})
        else:
            result = await client.call_tool(tool)
            assert result["isError"] is True
            assert "io.modelcontextprotocol/tasks" in text_of(result)


@in_both_eras
@scene
async def test_a_job_that_breaks_is_an_internal_error_without_tasks(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        with pytest.raises(Refused) as refused:
            await client.call_tool("protocol_error_job")
        assert refused.value.code == -32603
