"""`notifications/tasks`, on listen streams that asked for the task by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from tests.server.workshop import ABLE, TASKS, Workshop, finish, get, refusal, start, update, yes
from tests.stage import Connect, Json, scene

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Client

STREAM = "io.modelcontextprotocol/subscriptionId"


async def listen(client: Client, *tasks: object, **others: object) -> Json:
    """Open a listen stream; returns what was granted, and its id."""
    identifier = client.request("subscriptions/listen", {"notifications": {"taskIds": list(tasks), **others}})
    said = await client.wire.notification("notifications/subscriptions/acknowledged")
    params = cast("Json", said["params"])
    assert params["_meta"][STREAM] == identifier
    return params["notifications"]


async def notices(client: Client) -> list[Json]:
    """What the client was told of tasks, without the mark of the stream."""
    await client.wire.quiet()
    told = [cast("Json", each["params"]) for each in client.wire.notifications("notifications/tasks")]
    return [{name: value for name, value in params.items() if name != "_meta"} for params in told]


@scene
async def test_each_change_of_status_is_told_as_get_would_tell_it(connect: Connect) -> None:
    shop = Workshop()

    def answer(method: str, params: Json) -> Json:
        return yes(sure=True)

    async with connect(shop.server, capabilities=ABLE, answer=answer) as client:
        task = await start(client, "ask_first")
        assert await listen(client, task) == {"taskIds": [task]}
        shop.go.set()
        await client.wire.quiet()
        asked = await get(client, task)
        await update(client, task, after=yes(sure=True))
        ended = await finish(client, task)
        told = await notices(client)
        assert [each["status"] for each in told] == ["input_required", "working", "completed"]
        extra = {"resultType", "_meta"}
        assert told[0] == {name: value for name, value in asked.items() if name not in extra}
        assert told[2] == {name: value for name, value in ended.items() if name not in extra}


@pytest.mark.parametrize(("how", "status"), [("tool", "completed"), ("protocol", "failed")])
@scene
async def test_failures_are_told_whole(connect: Connect, how: str, status: str) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "fail", how=how)
        await listen(client, task)
        shop.go.set()
        (told,) = await notices(client)
        assert told["status"] == status
        assert told.keys() & {"result", "error"}


@scene
async def test_a_cancellation_is_told(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=TASKS) as client:
        task = await start(client, "work")
        await listen(client, task)
        await client.call("tasks/cancel", {"taskId": task})
        assert [each["status"] for each in await notices(client)] == ["cancelled"]


@scene
async def test_a_second_question_is_told_too(connect: Connect) -> None:
    shop = Workshop()

    def answer(method: str, params: Json) -> Json:
        return yes(sure=True)

    async with connect(shop.server, capabilities=ABLE, answer=answer) as client:
        task = await start(client, "ask_two")
        await listen(client, task)
        told = await notices(client)
        assert told[-1]["inputRequests"].keys() == {"one", "two"}


@scene
async def test_only_the_streams_that_asked_for_the_task_hear_of_it(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client, connect(shop.server, capabilities=TASKS) as other:
        mine, yours = await start(client, "work"), await start(client, "work")
        await listen(client, mine)
        await other.subscribe()
        shop.go.set()
        await finish(client, yours)
        assert [each["taskId"] for each in await notices(client)] == [mine]
        assert await notices(other) == []


@scene
async def test_unknown_and_foreign_tasks_are_left_out_of_the_acknowledgement(connect: Connect) -> None:
    shop = Workshop()
    async with (
        connect(shop.server, capabilities=TASKS, principal="ann") as ann,
        connect(shop.server, capabilities=TASKS, principal="bob") as bob,
    ):
        task, own = await start(ann, "work"), await start(bob, "work")
        assert await listen(bob, "unknown", task, own, toolsListChanged=True) == {
            "toolsListChanged": True,
            "taskIds": [own],
        }
        assert await listen(bob, task) == {}
        shop.go.set()
        await finish(ann, task)
        assert [each["taskId"] for each in await notices(bob)] == [own]


@scene
async def test_listening_to_tasks_needs_the_extension(connect: Connect) -> None:
    shop = Workshop()
    async with connect(shop.server, capabilities=TASKS) as client:
        task = await start(client, "work")
    async with connect(shop.server) as plain:
        refused = await refusal(plain, "subscriptions/listen", notifications={"taskIds": [task]})
        assert refused.code == -32021
        assert refused.data == {"requiredCapabilities": TASKS}
        await plain.wire.quiet()
        assert plain.wire.notifications() == []
