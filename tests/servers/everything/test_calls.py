"""Every tool, resource and prompt, called in both eras over both transports, with a client that answers everything."""

from __future__ import annotations

from typing import Any, cast

import pytest
from tests.servers.everything.wires import Enter
from tests.stage import MODERN, Connect, Json, in_both_eras, in_every_revision, scene, scene_out_of_time, text_of

from mcp_kernel.testing.eras import ModernClient
from mcp_kernel.testing.memory import Refused
from mcp_server_everything.server import build

ABLE: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
_KINDS: Json = {"string": "Ada", "integer": 1, "number": 2, "boolean": True}  # the schemas take no fraction


def answer(method: str, params: Json) -> Json:
    """Say yes to everything, and the first of what there is to choose from."""
    if method == "roots/list":
        return {"roots": [{"uri": "file:///work"}]}
    if method == "sampling/createMessage":
        return {"role": "assistant", "model": "test-model", "content": {"type": "text", "text": "Paris"}}
    if params.get("mode") == "url":
        return {"action": "accept"}
    fields = cast("dict[str, Json]", params["requestedSchema"]["properties"])
    return {"action": "accept", "content": {name: _fill_in(field) for name, field in fields.items()}}


def _fill_in(field: Json) -> object:
    if field["type"] == "array":
        return [_fill_in({"type": "string", **field["items"]})]
    choices = field.get("oneOf") or field.get("anyOf")
    return choices[0]["const"] if choices else field.get("enum", [_KINDS[field["type"]]])[0]


def tell(result: Json) -> list[str]:
    """What a result says, a block in a line; text as it is."""
    return [block.get("text") or block["type"] for block in result["content"]]


_NAME = {"name": "Ada"}
CALLS: dict[str, tuple[Json, list[str]]] = {
    "test_simple_text": ({}, ["This is a simple text response for testing."]),
    "test_image_content": ({}, ["image"]),
    "test_audio_content": ({}, ["audio"]),
    "test_embedded_resource": ({}, ["resource"]),
    "test_multiple_content_types": ({}, ["Multiple content types test:", "image", "resource"]),
    "test_tool_with_logging": ({}, ["Three messages were logged."]),
    "test_tool_with_progress": ({}, ["Progress was reported three times."]),
    "test_error_handling": ({}, ["This tool intentionally returns an error for testing"]),
    "test_sampling": ({"prompt": "Which city?"}, ["LLM response: Paris"]),
    "test_elicitation": (
        {"message": "Who?"},
        ["User response: action=accept, content={'username': 'Ada', 'email': 'Ada'}"],
    ),
    "test_elicitation_sep1034_defaults": (
        {},
        [
            "Elicitation completed: action=accept, content="
            "{'name': 'Ada', 'age': 1, 'score': 2, 'status': 'active', 'verified': True}"
        ],
    ),
    "test_elicitation_sep1330_enums": (
        {},
        [
            "Elicitation completed: action=accept, content={'untitledSingle': 'option1', 'titledSingle': 'value1', "
            "'legacyEnum': 'opt1', 'untitledMulti': ['option1'], 'titledMulti': ['value1']}"
        ],
    ),
    "test_reconnection": ({}, ["The stream ended in between, and was taken up again."]),
    "json_schema_2020_12_tool": ({"name": "Ada", "email": "a@b.example"}, ["A contact with name, email."]),
    "test_missing_capability": ({}, ["Paris"]),
    "test_streaming_elicitation": ({}, ["The color is Ada."]),
    "test_logging_tool": ({}, ["A message was logged at each level."]),
    "test_input_required_result_elicitation": ({}, ["Hello, Ada!"]),
    "test_input_required_result_sampling": ({}, ["Paris"]),
    "test_input_required_result_list_roots": ({}, ["Roots: file:///work"]),
    "test_input_required_result_request_state": ({}, ["state-ok, ok=True"]),
    "test_input_required_result_multiple_inputs": ({}, ["Ada: Paris (1 roots)"]),
    "test_input_required_result_multi_round": ({}, ["Ada likes Ada."]),
    "test_input_required_result_tampered_state": ({}, ["ok=True"]),
    "test_input_required_result_capabilities": ({}, ["Asked: elicitation, sampling, roots"]),
    "test_header_mirroring": ({"region": "eu", "priority": 3}, ["region=eu, priority=3"]),
    "greet": (_NAME, ["Hello, Ada!"]),
    "slow_compute": ({"seconds": 0.1, "label": "sum"}, ["sum took 0.1 seconds."]),
    "confirm_delete": ({"filename": "x.txt"}, ["x.txt would be deleted now."]),
    "multi_input": ({}, ["Ada said yes."]),
    "test_structured_content": ({"city": "Oslo"}, ['{"city":"Oslo","temperature":21.5,"conditions":"clear"}']),
    "test_structured_list": ({"length": 2}, ["[0,1]"]),
    "test_resource_link": ({}, ["The text stands in a resource:", "resource_link"]),
    "test_cancellation": ({"seconds": 0.2}, ["Nobody cancelled this for 0.2 seconds."]),
    "test_url_elicitation": ({}, ["action=accept"]),
    "test_sampling_with_tools": ({"question": "Which city?"}, ["test-model said 'Paris' and called nothing."]),
}
ELSEWHERE = {
    *("failing_job", "protocol_error_job", "test_tool_with_task"),
    *("test_trigger_tool_change", "test_trigger_prompt_change", "test_trigger_resource_change"),
    "test_client_view",
}
"""Tools that other tests call."""


@in_both_eras
@scene
async def test_every_tool_answers(enter: Enter, revision: str) -> None:
    async with enter(revision, capabilities=ABLE, answer=answer) as client:
        tools = await client.list_all("tools/list", "tools")
        assert {str(tool["name"]) for tool in tools} == CALLS.keys() | ELSEWHERE
        for name, (arguments, expected) in CALLS.items():
            result = await client.call_tool(name, arguments)
            assert tell(result) == expected, name
            assert result.get("isError", False) == (name == "test_error_handling"), name


@in_every_revision
@scene_out_of_time
async def test_every_tool_is_valid_in_every_revision(connect: Connect, revision: str) -> None:
    async with connect(build(), revision, capabilities=ABLE, answer=answer) as client:
        for name, (arguments, _) in CALLS.items():
            assert (await client.call_tool(name, arguments))["content"], name


@in_both_eras
@scene
async def test_the_suites_tools_stand_on_the_first_page(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        page = await client.call("tools/list")
        names = [tool["name"] for tool in cast("list[Json]", page["tools"])]
        assert names[0] == "test_simple_text"
        assert "test_tool_with_task" in names
        assert "nextCursor" in page
        rest = await client.call("tools/list", {"cursor": page["nextCursor"]})
        assert "nextCursor" not in rest
        assert names == [*dict.fromkeys(names)]


@in_both_eras
@scene
async def test_structure_travels_beside_the_text(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        weather = await client.call_tool("test_structured_content", {"city": "Oslo"})
        assert weather["structuredContent"] == {"city": "Oslo", "temperature": 21.5, "conditions": "clear"}
        numbers = (await client.call_tool("test_structured_list", {"length": 2}))["structuredContent"]
        assert numbers == ([0, 1] if revision == MODERN else {"result": [0, 1]})
        view = cast("Json", (await client.call_tool("test_client_view"))["structuredContent"])
        assert view["client"] == {"name": "tester", "version": "1"}
        assert (view["principal"], view["elicitation"], view["sampling"], view["roots"]) == (None, False, False, False)


@in_both_eras
@scene
async def test_resources_are_read_listed_and_missed(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:

        async def read(uri: str) -> Json:
            (contents,) = cast("list[Json]", (await client.call("resources/read", {"uri": uri}))["contents"])
            assert contents["uri"] == uri
            return contents

        listed = await client.list_all("resources/list", "resources")
        assert [each["uri"] for each in listed] == [
            *("test://static-text", "test://static-binary", "test://watched-resource")
        ]
        (template,) = await client.list_all("resources/templates/list", "resourceTemplates")
        assert template["uriTemplate"] == "test://template/{id}/data"
        assert (await read("test://static-text"))["text"] == "This is the content of the static text resource."
        assert (await read("test://static-binary"))["mimeType"] == "image/png"
        data = (await read("test://template/7/data"))["text"]
        assert data == '{"id":"7","templateTest":true,"data":"Data for ID: 7"}'
        with pytest.raises(Refused) as refused:
            await read("test://nothing")
        assert refused.value.code == (-32602 if revision == MODERN else -32002)
        assert refused.value.data == {"uri": "test://nothing"}


@in_both_eras
@scene
async def test_every_prompt_gives_its_messages(enter: Enter, revision: str) -> None:
    prompts: dict[str, tuple[dict[str, str], list[str]]] = {
        "test_simple_prompt": ({}, ["This is a simple prompt for testing."]),
        "test_prompt_with_arguments": ({"arg1": "a", "arg2": "b"}, ["Prompt with arguments: arg1='a', arg2='b'"]),
        "test_prompt_with_embedded_resource": (
            {"resourceUri": "test://x"},
            ["resource", "Please process the embedded resource above."],
        ),
        "test_prompt_with_image": ({}, ["image", "Please analyze the image above."]),
        "test_input_required_result_prompt": ({}, ["Use this context: Ada"]),
    }
    async with enter(revision, capabilities=ABLE, answer=answer) as client:
        listed = await client.list_all("prompts/list", "prompts")
        assert [each["name"] for each in listed] == list(prompts)
        for name, (arguments, expected) in prompts.items():
            result = await client.call("prompts/get", {"name": name, "arguments": arguments})
            messages = cast("list[Json]", result["messages"])
            assert [each["content"].get("text") or each["content"]["type"] for each in messages] == expected, name


@in_both_eras
@scene
async def test_arguments_of_prompts_and_templates_complete(enter: Enter, revision: str) -> None:
    prompt = {"type": "ref/prompt", "name": "test_prompt_with_arguments"}
    template = {"type": "ref/resource", "uri": "test://template/{id}/data"}
    async with enter(revision) as client:

        async def complete(reference: Json, name: str, value: str, **known: str) -> object:
            asked: Json = {"ref": reference, "argument": {"name": name, "value": value}}
            if known:
                asked["context"] = {"arguments": known}
            return cast("Json", (await client.call("completion/complete", asked))["completion"])["values"]

        assert await complete(prompt, "arg1", "i") == ["Italy"]
        assert await complete(prompt, "arg2", "m", arg1="Italy") == ["Milan"]
        assert await complete(prompt, "arg2", "m") == ["Marseille", "Milan"]
        assert await complete(template, "id", "1") == ["1", "10", "123"]


@in_both_eras
@scene
async def test_a_refusal_of_the_user_is_told(enter: Enter, revision: str) -> None:
    def decline(method: str, params: Json) -> Json:
        return {"action": "decline"}

    async with enter(revision, capabilities=ABLE, answer=decline) as client:
        told = text_of(await client.call_tool("test_elicitation", {"message": "Who?"}))
        assert told == "User response: action=decline"
        assert text_of(await client.call_tool("test_url_elicitation")) == "action=decline"
        assert (await client.call_tool("test_input_required_result_elicitation"))["isError"] is True


@in_both_eras
@scene
async def test_a_client_is_asked_only_what_it_can_answer(enter: Enter, revision: str) -> None:
    async with enter(revision, capabilities={"sampling": {}}, answer=answer) as client:
        told = text_of(await client.call_tool("test_input_required_result_capabilities"))
        assert told == "Asked: sampling"
    async with enter(revision) as client:
        assert text_of(await client.call_tool("test_input_required_result_capabilities")) == "Asked: nothing"


@in_both_eras
@scene
async def test_a_contact_that_does_not_fit_its_schema_is_refused(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        result = await client.call_tool("json_schema_2020_12_tool", {"contactMethod": "phone", "email": "a@b.example"})
        assert result["isError"] is True
        assert text_of(result) == "This contact does not fit its schema: phone is missing."


@scene
async def test_questions_travel_in_the_rounds_that_they_were_asked_in(enter: Enter) -> None:
    async with enter(MODERN, capabilities=ABLE, answer=answer) as client:
        assert isinstance(client, ModernClient)
        await client.call_tool("test_input_required_result_multiple_inputs")
        await client.call_tool("test_input_required_result_multi_round")
        assert client.rounds == [["user_name", "greeting", "roots"], ["step1"], ["step2"]]


@scene
async def test_a_state_that_was_changed_is_refused(enter: Enter) -> None:
    async with enter(MODERN, capabilities=ABLE) as client:
        call: dict[str, Any] = {"name": "test_input_required_result_tampered_state", "arguments": {}}
        asked = (await client.wire.answer(client.request("tools/call", call)))["result"]
        state = str(cast("Json", asked)["requestState"])
        with pytest.raises(Refused) as refused:
            await client.call("tools/call", {**call, "requestState": f"{state}x"})
        assert refused.value.code == -32602


@in_both_eras
@scene
async def test_a_capability_that_is_missing_is_named(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        call = client.call_tool("test_missing_capability")
        if revision == MODERN:
            with pytest.raises(Refused) as refused:
                await call
            assert (refused.value.code, refused.value.data) == (-32021, {"requiredCapabilities": {"sampling": {}}})
        else:
            result = await call
            assert result["isError"] is True
            assert "sampling" in text_of(result)
