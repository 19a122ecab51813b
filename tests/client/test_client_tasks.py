"""Calls that become tasks: waited for, held as handles, asked back, cancelled, taken up by another client."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from tests.client.origin import TEXT
from tests.client.puppet import Answer, Refusal, play
from tests.client.ways import Open
from tests.stage import MODERN, scene, scene_out_of_time

from mcp_kernel.client import Elicitation, InvalidAnswer, ServerRefused, TaskCancelled, TaskHandle

Json = dict[str, Any]
MADE: Json = {
    "resultType": "task",
    "taskId": "t1",
    "status": "working",
    "pollIntervalMs": 2000,
    "ttlMs": None,
    "createdAt": "2026-07-28T00:00:00Z",
    "lastUpdatedAt": "2026-07-28T00:00:00Z",
}

SLOW = [pytest.param(way, marks=pytest.mark.slow) for way in ("memory", "stdio", "http")]
in_every_way_with_tasks = pytest.mark.parametrize("way", ["codec", *SLOW])


def looked(status: str, **more: object) -> Json:
    return {**MADE, "resultType": "complete", "status": status, **more}


def confirm(form: Elicitation) -> Json:
    """Answer the forms of the everything server's tasks."""
    known = {"confirm": True, "name": "Ada"}
    return {name: value for name, value in known.items() if name in str(form.schema["properties"])}


@in_every_way_with_tasks
@scene
async def test_a_task_is_waited_for_as_if_it_were_a_call(reach: Open, way: str) -> None:
    async with reach(way, MODERN, elicit=confirm) as client:
        answers = await asyncio.gather(
            client.call_tool("slow_compute", {"seconds": 0.2, "label": "it"}),
            client.call_tool("confirm_delete", {"filename": "x"}),
            client.call_tool("multi_input"),
            client.call_tool("test_tool_with_task"),
            client.call_tool("failing_job"),
        )
        assert [answer.text for answer in answers] == [
            "it took 0.2 seconds.",
            "x would be deleted now.",
            "Ada said yes.",
            "Hello, Ada, from a task.",
            "This job intentionally fails, after a while.",
        ]
        assert [answer.is_error for answer in answers] == [False] * 4 + [True]


@in_every_way_with_tasks
@scene
async def test_a_task_is_held_and_cancelled(reach: Open, way: str) -> None:
    async with reach(way, MODERN) as client:
        task = await client.start_tool("slow_compute", {"seconds": 60})
        assert isinstance(task, TaskHandle)
        assert await task.refresh() == "working"
        again = client.resume_task(task.id)
        assert await again.refresh() == "working"
        await again.cancel()
        with pytest.raises(TaskCancelled):
            await task.result()
        with pytest.raises(ServerRefused):
            await client.resume_task("no-such-task").refresh()


@scene
async def test_a_task_that_breaks_is_an_error_of_the_protocol(reach: Open) -> None:
    async with reach("codec", MODERN) as client:
        with pytest.raises(ServerRefused, match="Internal error"):
            await client.call_tool("protocol_error_job")


@scene
async def test_a_call_that_is_done_at_once_is_no_task(reach: Open) -> None:
    async with reach("codec", MODERN) as client:
        done = await client.start_tool("greet", {"name": "Ada"})
        assert not isinstance(done, TaskHandle)
        assert done.text == "Hello, Ada!"


@pytest.mark.contrary
@scene_out_of_time
async def test_a_task_is_looked_at_as_often_as_the_server_suggests() -> None:
    moments: list[float] = []
    pauses = [2000, 1, 10**9, "soon"]

    def look(request: Json) -> Json:
        moments.append(asyncio.get_running_loop().time())
        at = len(moments) - 1
        return looked("working", pollIntervalMs=pauses[at]) if at < 4 else looked("completed", result=TEXT)

    async with play({"tools/call": MADE, "tasks/get": look}) as (client, _):
        assert (await client.call_tool("x")).text == "done"
    waited = [round(to - at, 2) for at, to in pairwise(moments)]
    assert waited == [2.0, 0.05, 30.0, 1.0], "never in a rush, never asleep"


@pytest.mark.contrary
@scene_out_of_time
async def test_each_question_of_a_task_is_answered_once() -> None:
    ask: Json = {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": {"type": "object"}}}
    turns: list[Answer] = [
        looked("input_required", inputRequests={"a": ask}),
        looked("input_required", inputRequests={"a": ask, "b": ask}),
        looked("working"),
        looked("completed", result=TEXT),
    ]

    def look(request: Json) -> Answer:
        return turns.pop(0)

    answers = {"tools/call": MADE, "tasks/get": look, "tasks/update": {"resultType": "complete"}}
    async with play(answers, elicit=lambda form: "accept") as (client, puppet):
        assert (await client.call_tool("x")).text == "done"
        assert [list(told["inputResponses"]) for told in puppet.sent("tasks/update")] == [["a"], ["b"]]
        assert all(told["taskId"] == "t1" for told in puppet.sent("tasks/update"))


@pytest.mark.contrary
@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        (looked("failed", error={"code": -32050, "message": "broke", "data": 1}), ServerRefused, "broke"),
        (looked("failed", statusMessage="went wrong"), ServerRefused, "went wrong"),
        (looked("cancelled", statusMessage="by the user"), TaskCancelled, "by the user"),
        (looked("completed"), InvalidAnswer, "without a result"),
        (looked("completed", result={}), InvalidAnswer, "content"),
        (Refusal(-32602), ServerRefused, "-32602"),
    ],
)
@scene
async def test_a_task_that_ends_otherwise_says_how(end: Answer, kind: type[Exception], said: str) -> None:
    async with play({"tools/call": MADE, "tasks/get": end}) as (client, _):
        with pytest.raises(kind, match=said):
            await client.call_tool("x")


@pytest.mark.contrary
@scene
async def test_a_task_without_an_id_is_no_answer() -> None:
    async with play({"tools/call": {**MADE, "taskId": 7}}) as (client, _):
        with pytest.raises(InvalidAnswer, match="without an id"):
            await client.call_tool("x")


@scene
async def test_the_extension_is_declared_beside_the_hosts_own() -> None:
    mine = {"extensions": {"com.example/mine": {"a": 1}}}
    async with play({}, capabilities=mine) as (_, puppet):
        meta = puppet.sent("server/discover")[0]["_meta"]
        declared = meta["io.modelcontextprotocol/clientCapabilities"]["extensions"]
        assert declared == {"io.modelcontextprotocol/tasks": {}, "com.example/mine": {"a": 1}}


@scene_out_of_time
async def test_whoever_stops_waiting_for_a_call_cancels_the_task_that_it_became() -> None:
    cancelled = asyncio.Event()

    def cancel(request: Json) -> Json:
        cancelled.set()
        return {"resultType": "complete"}

    async with play({"tools/call": MADE, "tasks/get": looked("working"), "tasks/cancel": cancel}) as (client, puppet):
        call = asyncio.ensure_future(client.call_tool("x"))
        await puppet.hear("tasks/get")
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        await cancelled.wait()
