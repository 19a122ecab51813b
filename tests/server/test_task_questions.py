"""What a task asks: `inputRequests` of `tasks/get`, answered by `tasks/update`."""

from __future__ import annotations

import asyncio

import pytest
from tests.server.workshop import (
    ABLE,
    TASKS,
    Confirm,
    Workshop,
    finish,
    get,
    meta,
    pass_time,
    start,
    text,
    update,
    yes,
)
from tests.stage import Connect, Json, scene, scene_out_of_time, text_of

from mcp_kernel import Context, Server, Unsupported


@scene
async def test_a_question_travels_in_the_task_and_its_answer_resumes_the_work(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        task = await start(client, "ask")
        told = await get(client, task)
        assert told["status"] == "input_required"
        assert told["inputRequests"]["sure"]["method"] == "elicitation/create"
        assert told["inputRequests"]["sure"]["params"]["message"] == "Sure?"
        await update(client, task, sure=yes(sure=True))
        assert await text(client, task) == "sure: True"


@scene
async def test_a_partial_answer_leaves_the_rest_open(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        task = await start(client, "ask_two")
        await client.wire.quiet()
        assert (await get(client, task))["inputRequests"].keys() == {"one", "two"}
        await update(client, task, one=yes(sure=True))
        told = await get(client, task)
        assert told["status"] == "input_required"
        assert told["inputRequests"].keys() == {"two"}
        await update(client, task, one=yes(sure=False), two=yes(sure=False))  # what was answered stays answered
        assert await text(client, task) == "True False"


@scene
async def test_unknown_keys_are_ignored(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        task = await start(client, "ask")
        await update(client, task, other=yes(sure=True))
        assert (await get(client, task))["inputRequests"].keys() == {"sure"}
        await update(client, task, other=yes(sure=True), sure=yes(sure=True))
        assert await text(client, task) == "sure: True"
        await update(client, task, sure=yes(sure=False))
        assert await text(client, task) == "sure: True"


@pytest.mark.parametrize("answer", [yes(), yes(sure="yes"), {"action": "perhaps"}, {}])
@scene
async def test_an_answer_that_does_not_fit_leaves_the_question_open(connect: Connect, answer: Json) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        task = await start(client, "ask")
        params: Json = {"taskId": task, "inputResponses": {"sure": answer}, "_meta": meta(client)}
        client.wire.request("tasks/update", params, id="ill", malformed=True)
        assert "result" in await client.wire.answer("ill")
        told = await get(client, task)
        assert told["status"] == "input_required"
        assert told["inputRequests"].keys() == {"sure"}
        await update(client, task, sure=yes(sure=True))
        assert await text(client, task) == "sure: True"


@scene
async def test_a_declined_question_ends_the_work_and_tells_the_model(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        task = await start(client, "ask")
        await update(client, task, sure={"action": "decline"})
        told = await finish(client, task)
        assert told["result"]["isError"] is True
        assert "declined" in text_of(told["result"])


@scene
async def test_a_key_is_never_asked_twice_in_a_task(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool(task="allowed")
    async def again(ctx: Context) -> str:
        await ctx.elicit("sure", "Sure?", Confirm)
        try:
            await ctx.elicit("sure", "Really?", Confirm)
        except RuntimeError as error:
            return str(error)
        return "asked twice"

    async with connect(server, capabilities=ABLE) as client:
        task = await start(client, "again")
        await update(client, task, sure=yes(sure=True))
        assert "asked twice; give each" in await text(client, task)


@scene
async def test_a_key_of_the_call_is_not_asked_again_in_its_task(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool(task="allowed", task_after=None)
    async def again(ctx: Context) -> str:
        await ctx.elicit("sure", "Sure?", Confirm)
        await ctx.become_task()
        try:
            await ctx.elicit("sure", "Really?", Confirm)
        except RuntimeError as error:
            return str(error)
        return "asked twice"

    def answer(method: str, params: Json) -> Json:
        return yes(sure=True)

    async with connect(server, capabilities=ABLE, answer=answer) as client:
        task = await start(client, "again")
        assert "asked twice; give each" in await text(client, task)


@scene
async def test_questions_before_and_after_the_handle_go_their_own_ways(connect: Connect) -> None:
    shop = Workshop()
    shop.go.set()

    def answer(method: str, params: Json) -> Json:
        return yes(sure=True)

    async with connect(shop.server, capabilities=ABLE, answer=answer) as client:
        task = await start(client, "ask_first")
        assert (await get(client, task))["inputRequests"].keys() == {"after"}
        await update(client, task, after=yes(sure=False))
        assert await text(client, task) == "True False"
        assert len(client.asked) == 1


@scene
async def test_an_answer_sent_with_the_call_counts_in_the_task(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=ABLE) as client:
        params = {"name": "ask", "inputResponses": {"sure": yes(sure=True)}}
        made = await client.call("tools/call", params)
        assert await text(client, str(made["taskId"])) == "sure: True"


@scene
async def test_a_question_that_the_client_cannot_answer_fails_the_task(connect: Connect) -> None:
    async with connect(Workshop().server, capabilities=TASKS) as client:
        told = await finish(client, await start(client, "ask"))
        assert told["status"] == "failed"
        assert told["error"]["code"] == -32021
        assert told["error"]["data"] == {"requiredCapabilities": {"elicitation": {}}}


@scene
async def test_a_task_may_do_without_what_the_client_cannot(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool(task="allowed")
    async def either(ctx: Context) -> str:
        try:
            return (await ctx.sample("poem", "A poem")).text
        except Unsupported:
            return "no poem"

    async with connect(server, capabilities=TASKS) as client:
        assert await text(client, await start(client, "either")) == "no poem"


@scene
async def test_a_question_that_is_given_up_disappears(connect: Connect) -> None:
    server, give_up = Server("s", "1"), asyncio.Event()

    @server.tool(task="allowed")
    async def impatient(ctx: Context) -> str:
        asking = asyncio.ensure_future(ctx.elicit("sure", "Sure?", Confirm))
        await give_up.wait()
        asking.cancel()
        await asyncio.wait([asking])
        give_up.clear()
        await give_up.wait()
        return "went on"

    async with connect(server, capabilities=ABLE) as client:
        task = await start(client, "impatient")
        await client.wire.quiet()
        assert (await get(client, task))["status"] == "input_required"
        give_up.set()
        await client.wire.quiet()
        assert (await get(client, task))["status"] == "working"
        await update(client, task, sure=yes(sure=True))
        give_up.set()
        assert await text(client, task) == "went on"


@pytest.mark.parametrize("tool", ["ask", "ask_two"])  # one asks before the clock runs, one when it does
@scene_out_of_time
async def test_waiting_for_a_person_does_not_count(connect: Connect, tool: str) -> None:
    shop = Workshop(task_timeout=10.0)
    async with connect(shop.server, capabilities=ABLE) as client:
        task = await start(client, tool)
        await pass_time(1000)
        told = await get(client, task)
        assert told["status"] == "input_required"
        await update(client, task, **dict.fromkeys(told["inputRequests"], yes(sure=True)))
        assert "True" in await text(client, task)
