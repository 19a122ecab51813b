"""Every call that only tells, in every revision and over every way there is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.client.origin import NO_PROMPTS, NOTHING, TEXT
from tests.client.puppet import Refusal, play
from tests.client.ways import Open, in_every_way
from tests.stage import MODERN, scene, scene_out_of_time

from mcp_kernel.client import Client, InvalidAnswer, Prompt, ServerRefused, TimedOut

Json = dict[str, Any]


@in_every_way
@scene
async def test_everything_that_is_listed_can_be_used(reach: Open, way: str, revision: str) -> None:
    async with reach(way, revision) as client:
        assert (client.server.name, client.server.revision) == ("mcp-server-everything", revision)
        assert client.server.supports("tools", "listChanged")
        assert client.server.instructions is not None
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert len(tools) > 40, "the second page is missing"
        assert tools["greet"].input_schema["required"] == ["name"]
        assert (await client.call_tool("greet", {"name": "Ada"})).text == "Hello, Ada!"
        await check_reading(client, revision)
        await check_prompts(client)
        await client.ping()


async def check_reading(client: Client, revision: str) -> None:
    uris = [resource.uri for resource in await client.list_resources()]
    assert uris[:2] == ["test://static-text", "test://static-binary"]
    (text,) = await client.read_resource("test://static-text")
    assert (text.text, text.data, text.mime_type) == (
        "This is the content of the static text resource.",
        None,
        "text/plain",
    )
    (binary,) = await client.read_resource("test://static-binary")
    assert binary.data is not None
    assert binary.data.startswith(b"\x89PNG")
    (template,) = await client.list_resource_templates()
    assert (await client.complete(template, "id", "1")).values == ["1", "10", "123"]
    with pytest.raises(ServerRefused) as caught:
        await client.read_resource("test://nowhere")
    assert caught.value.code == (-32602 if revision == MODERN else -32002)


async def check_prompts(client: Client) -> None:
    prompts = {prompt.name: prompt for prompt in await client.list_prompts()}
    asking = prompts["test_prompt_with_arguments"]
    assert [argument["name"] for argument in asking.arguments] == ["arg1", "arg2"]
    filled = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    assert filled.messages[0]["content"] == {
        "type": "text",
        "text": "Prompt with arguments: arg1='a', arg2='b'",
    }
    countries = await client.complete(asking, "arg1", "fr")
    assert [country.lower() for country in countries.values] == ["france"]
    assert not countries.has_more


@in_every_way
@scene
async def test_results_come_as_they_are_in_their_revision(reach: Open, way: str, revision: str) -> None:
    async with reach(way, revision) as client:
        failed = await client.call_tool("test_error_handling")
        assert failed.is_error
        assert failed.text == "This tool intentionally returns an error for testing"
        weather = await client.call_tool("test_structured_content", {"city": "Bern"})
        known = revision >= "2025-06-18"
        assert weather.structured == ({"city": "Bern", "temperature": 21.5, "conditions": "clear"} if known else None)
        assert "Bern" in weather.text
        (picture,) = (await client.call_tool("test_image_content")).content
        assert (picture["type"], picture["mimeType"]) == ("image", "image/png")
        assert (await client.call_tool("test_header_mirroring", {"region": "wést", "priority": 7})).text == (
            "region=wést, priority=7"
        )
        with pytest.raises(ServerRefused) as caught:
            await client.call_tool("no_such_tool")
        assert caught.value.code == -32602


@in_every_way
@scene
async def test_progress_is_told_and_two_calls_at_once_do_not_mix(reach: Open, way: str, revision: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    def hear(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async with reach(way, revision) as client:
        told, silent = await asyncio.gather(
            client.call_tool("test_tool_with_progress", on_progress=hear),
            client.call_tool("test_tool_with_progress"),
        )
    assert told.text == silent.text == "Progress was reported three times."
    assert heard == [(0, 100, "Starting"), (50, 100, "Half way"), (100, 100, "Done")]


@in_every_way
@scene
async def test_a_call_that_takes_too_long_is_given_up_and_the_next_one_is_answered(
    reach: Open, way: str, revision: str
) -> None:
    async with reach(way, revision) as client:
        with pytest.raises(TimedOut, match=r"tools/call was not answered in 0.3 s"):
            await client.call_tool("test_cancellation", {"seconds": 30}, timeout=0.3)
        assert (await client.call_tool("greet", {"name": "Ada"})).text == "Hello, Ada!"


# --- with a server that is wrong ---


@scene
async def test_pages_are_read_to_the_last_and_a_circle_is_noticed() -> None:
    pages: dict[object, Json] = {None: {"nextCursor": ""}, "": {"nextCursor": "b"}, "b": {}}

    def turn(request: Json) -> Json:
        cursor = request["params"].get("cursor")
        return {**NO_PROMPTS, "prompts": [{"name": f"at {cursor}"}], **pages[cursor]}

    async with play({"prompts/list": turn}) as (client, puppet):
        assert [prompt.name for prompt in await client.list_prompts()] == ["at None", "at ", "at b"]
        pages["b"] = {"nextCursor": ""}
        with pytest.raises(InvalidAnswer, match="in circles"):
            await client.list_prompts()
        assert len(puppet.sent("prompts/list")) == 6


@pytest.mark.contrary
@pytest.mark.parametrize("kind", ["partial", "", None, 1, [], {"complete": 1}, "input_required"])
@scene
async def test_a_result_of_an_unknown_type_is_no_answer(kind: object) -> None:
    async with play({"tools/list": {"resultType": kind, "tools": []}}) as (client, _):
        with pytest.raises(InvalidAnswer, match="unknown type"):
            await client.list_tools()


@pytest.mark.contrary
@scene
async def test_the_members_of_a_batch_are_each_an_answer() -> None:
    def answer(request: Json) -> bytes:
        told = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        good = {"jsonrpc": "2.0", "id": request["id"], "result": TEXT}
        return json.dumps([told, 7, good if request["params"]["name"] == "good" else {**good, "result": 7}]).encode()

    async with play({"tools/call": answer}, "2025-03-26", timeout=5) as (client, _):
        assert (await client.call_tool("good")).text == "done"
        with pytest.raises(InvalidAnswer, match="no answer"):
            await client.call_tool("bad")


@pytest.mark.contrary
@scene
async def test_a_result_without_a_type_is_complete_and_a_session_has_no_types() -> None:
    async with play({"tools/call": {"content": []}}) as (client, _):
        assert (await client.call_tool("x")).content == []
    async with play({"tools/call": {"content": [], "resultType": "partial"}}, "2025-11-25") as (client, _):
        assert (await client.call_tool("x")).content == []


@scene
async def test_an_error_of_the_server_is_passed_on_with_its_code_and_data() -> None:
    async with play({"tools/call": Refusal(-32099, {"why": [1]})}) as (client, _):
        with pytest.raises(ServerRefused, match=r"no \(-32099\)") as caught:
            await client.call_tool("x")
        assert (caught.value.code, caught.value.data) == (-32099, {"why": [1]})


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene_out_of_time
async def test_a_server_is_told_that_nobody_waits_any_more(revision: str) -> None:
    async with play({"tools/call": None}, revision, timeout=5) as (client, puppet):
        with pytest.raises(TimedOut):
            await client.call_tool("x")
        waiting = asyncio.ensure_future(client.call_tool("y"))
        await puppet.hear("tools/call", 2)
        waiting.cancel()
        await asyncio.wait({waiting})
        await puppet.hear("notifications/cancelled", 2)
        calls = [message["id"] for message in puppet.seen if message["method"] == "tools/call"]
        assert [params["requestId"] for params in puppet.sent("notifications/cancelled")] == calls


@scene
async def test_a_schema_is_passed_on_untouched_and_its_references_are_not_followed() -> None:
    schema = {"type": "object", "$ref": "http://127.0.0.1:9/x.json", "x-odd": [None, {"$dynamicRef": "#y"}]}
    tool = {"name": "odd", "inputSchema": schema, "outputSchema": {"$ref": "http://127.0.0.1:9/y.json"}}
    answers: Json = {"tools/list": {**NOTHING, "tools": [tool]}, "tools/call": TEXT}
    async with play(answers) as (client, _):
        (listed,) = await client.list_tools()
        assert listed.wire == tool
        assert (await client.call_tool("odd")).text == "done"
    async with play({**answers, "tools/call": {**TEXT, "structuredContent": {}}}, validate=True) as (client, _):
        await client.list_tools()
        with pytest.raises(InvalidAnswer, match=r"http://127\.0\.0\.1:9/y\.json"):
            await client.call_tool("odd")


@scene
async def test_a_completion_carries_what_is_filled_in_already() -> None:
    answer = {"resultType": "complete", "completion": {"values": ["x"], "total": 9, "hasMore": True}}
    prompt = Prompt.read({"name": "p"})
    async with play({"completion/complete": answer}) as (client, puppet):
        completed = await client.complete(prompt, "b", "v", {"a": "1"})
        assert (completed.values, completed.total, completed.has_more) == (["x"], 9, True)
        (params,) = puppet.sent("completion/complete")
        assert params["context"] == {"arguments": {"a": "1"}}
        assert params["ref"] == {"type": "ref/prompt", "name": "p"}


@scene
async def test_answers_may_be_used_again_until_the_list_changes() -> None:
    listed: Json = {"resultType": "complete", "tools": [], "ttlMs": 60_000, "cacheScope": "private"}
    async with play({"tools/list": listed, "prompts/list": {**listed, "prompts": []}}) as (client, puppet):
        for _ in range(3):
            await client.list_tools()
            await client.list_prompts()
        assert (len(puppet.sent("tools/list")), len(puppet.sent("prompts/list"))) == (1, 1)
        puppet.notify("notifications/tools/list_changed")
        await client.list_tools()
        await client.list_prompts()
        assert (len(puppet.sent("tools/list")), len(puppet.sent("prompts/list"))) == (2, 1)
