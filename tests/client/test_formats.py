"""Tools, calls and results in the formats of the models' APIs: the whole shapes, as their documentation has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_kernel.client.formats import (
    FORMATS,
    NAME,
    AnthropicFormat,
    Format,
    GeminiFormat,
    InvalidCall,
    OpenAIChatFormat,
    OpenAIResponsesFormat,
    ToolCall,
    ToolNames,
    estimate_tokens,
)

Json = dict[str, Any]

SCHEMA: Json = {
    "type": "object",
    "properties": {"query": {"type": "string", "pattern": "^x"}, "next": {"$ref": "#/$defs/page"}},
    "$defs": {"page": {"type": ["integer", "null"], "exclusiveMinimum": 0}},
    "additionalProperties": False,
}
SEARCH: Json = {
    "name": "notes.search",
    "title": "Search",
    "description": "Search the notes.",
    "inputSchema": SCHEMA,
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}
GIVEN = "notes_search_ee3c0278"
PNG = {"type": "image", "data": "iVBORw0K", "mimeType": "image/png"}
CALL = ToolCall("call_1", "notes.search", {})

MADE: dict[str, Callable[[Any], Json]] = {
    "anthropic": lambda arguments: {"type": "tool_use", "id": "call_1", "name": GIVEN, "input": arguments},
    "openai": lambda arguments: {
        "type": "function_call",
        "call_id": "call_1",
        "id": "fc_9",
        "name": GIVEN,
        "arguments": json.dumps(arguments),
    },
    "openai-chat": lambda arguments: {
        "id": "call_1",
        "type": "function",
        "function": {"name": GIVEN, "arguments": json.dumps(arguments)},
    },
    "gemini": lambda arguments: {
        "functionCall": {"id": "call_1", "name": GIVEN, "args": arguments},
        "thoughtSignature": "x",
    },
}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def result(*content: Json, **fields: object) -> Json:
    return {"content": list(content), **fields}


@pytest.fixture(params=sorted(FORMATS))
def format(request: pytest.FixtureRequest) -> tuple[str, Format]:
    made = FORMATS[request.param](ToolNames())
    made.declare([SEARCH])
    return request.param, made


def test_anthropic_is_told_of_a_tool_with_its_schema_untouched() -> None:
    assert AnthropicFormat(ToolNames()).declare([SEARCH]) == [
        {"name": GIVEN, "description": "Search the notes.", "input_schema": SCHEMA}
    ]


def test_openai_is_told_of_a_tool_that_is_not_strict() -> None:
    function = {"name": GIVEN, "description": "Search the notes.", "parameters": SCHEMA}
    assert OpenAIResponsesFormat(ToolNames()).declare([SEARCH]) == [{"type": "function", **function, "strict": False}]
    assert OpenAIChatFormat(ToolNames()).declare([SEARCH]) == [{"type": "function", "function": function}]


def test_gemini_is_told_of_a_tool_in_json_schema() -> None:
    declaration = {"name": GIVEN, "description": "Search the notes.", "parametersJsonSchema": SCHEMA}
    assert GeminiFormat(ToolNames()).declare([SEARCH]) == [{"functionDeclarations": [declaration]}]
    assert GeminiFormat(ToolNames()).declare([]) == []


def test_what_an_api_requires_is_added_to_a_bare_tool() -> None:
    bare: Json = {"name": "ping", "inputSchema": {"type": "object"}}
    assert AnthropicFormat(ToolNames()).declare([bare]) == [{"name": "ping", "input_schema": {"type": "object"}}]
    [chat] = OpenAIChatFormat(ToolNames()).declare([bare])
    assert chat["function"] == {"name": "ping", "parameters": {"type": "object", "properties": {}}}
    assert bare["inputSchema"] == {"type": "object"}
    [gemini] = GeminiFormat(ToolNames()).declare([bare])
    assert gemini == {
        "functionDeclarations": [
            {"name": "ping", "description": "ping", "parametersJsonSchema": {"type": "object"}},
        ]
    }


def test_a_call_is_read_back_to_the_tool_it_means(format: tuple[str, Format]) -> None:
    name, made = format
    arguments: Json = {"query": "größe", "next": None}
    assert made.read(MADE[name](arguments)) == ToolCall("call_1", "notes.search", arguments)


def test_a_tool_that_the_model_made_up_keeps_its_name(format: tuple[str, Format]) -> None:
    name, made = format
    call = json.loads(json.dumps(MADE[name]({})).replace(GIVEN, "invented"))
    assert made.read(call).name == "invented"


def test_a_call_without_arguments_has_none(format: tuple[str, Format]) -> None:
    name, made = format
    call = json.dumps(MADE[name]("HERE")).replace('"\\"HERE\\""', '""').replace('"HERE"', "null")
    assert made.read(json.loads(call)).arguments == {}


def test_a_call_that_makes_no_sense_is_told_to_the_model(format: tuple[str, Format]) -> None:
    name, made = format
    for call in ({}, {"name": GIVEN, "functionCall": 1, "function": "x"}, MADE[name]([1])):
        with pytest.raises(InvalidCall, match=r"no call of a tool|must be a JSON object"):
            made.read(call)


@pytest.mark.parametrize("arguments", ['{"query": ', "{'query': 1}", "[" * 100_000])
def test_arguments_that_are_no_json_are_told_to_the_model(arguments: str) -> None:
    with pytest.raises(InvalidCall, match="are no valid JSON"):
        OpenAIChatFormat(ToolNames()).read({"id": "1", "function": {"name": "x", "arguments": arguments}})


def test_a_gemini_call_may_have_no_id() -> None:
    gemini = GeminiFormat(ToolNames())
    call = gemini.read({"functionCall": {"name": "ping", "args": {}}})
    assert call.id is None
    answer = gemini.answer(call, result(text("pong")))
    assert answer == {"functionResponse": {"name": "ping", "response": {"output": "pong"}}}


def test_a_result_with_a_picture_is_answered_in_each_format() -> None:
    seen = result(text("A chart:"), text(""), PNG)
    assert AnthropicFormat(ToolNames()).answer(CALL, seen) == {
        "type": "tool_result",
        "tool_use_id": "call_1",
        "content": [
            {"type": "text", "text": "A chart:"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}},
        ],
    }
    assert OpenAIResponsesFormat(ToolNames()).answer(CALL, seen) == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [
            {"type": "input_text", "text": "A chart:"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0K"},
        ],
    }
    assert OpenAIChatFormat(ToolNames()).answer(CALL, seen) == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": "A chart:\n[image of type image/png, 6 bytes, which cannot be shown here]",
    }
    assert GeminiFormat(ToolNames()).answer(CALL, seen) == {
        "functionResponse": {
            "id": "call_1",
            "name": GIVEN,
            "response": {"output": "A chart:"},
            "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}],
        }
    }


def test_an_error_is_marked_in_each_format() -> None:
    failed = result(text("No such note."), PNG, isError=True)
    anthropic = AnthropicFormat(ToolNames()).answer(CALL, failed)
    assert anthropic["is_error"] is True
    assert json.dumps(anthropic).count('"type": "text"') == 2  # nothing but text may stand in an error
    assert OpenAIChatFormat(ToolNames()).answer(CALL, failed)["content"] == (
        "Error:\nNo such note.\n[image of type image/png, 6 bytes, which cannot be shown here]"
    )
    output: Any = OpenAIResponsesFormat(ToolNames()).answer(CALL, result(text("No."), isError=True))["output"]
    assert output == "Error:\nNo."
    gemini: Any = GeminiFormat(ToolNames(), pictures=False).answer(CALL, failed)["functionResponse"]
    assert gemini["response"] == {
        "error": "No such note.\n[image of type image/png, 6 bytes, which cannot be shown here]"
    }
    assert "parts" not in gemini


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            {"type": "resource_link", "uri": "note://1", "name": "n1", "title": "One", "mimeType": "text/plain"},
            "[resource One: note://1 (text/plain)]",
        ),
        ({"type": "resource_link", "uri": "note://1"}, "[resource note://1]"),
        (
            {"type": "resource", "resource": {"uri": "note://1", "text": "Hi", "mimeType": "text/plain"}},
            "note://1:\nHi",
        ),
        (
            {"type": "resource", "resource": {"uri": "note://1", "blob": "AAAA", "mimeType": "audio/wav"}},
            "note://1: [resource of type audio/wav, 3 bytes, which cannot be shown here]",
        ),
        (
            {"type": "audio", "data": "AAA=", "mimeType": "audio/wav"},
            "[audio of type audio/wav, 2 bytes, which cannot be shown here]",
        ),
        (
            {"type": "image", "data": "AAAA", "mimeType": "image/svg+xml"},
            "[image of type image/svg+xml, 3 bytes, which cannot be shown here]",
        ),
        ({"type": "hologram", "data": 1}, '{"type":"hologram","data":1}'),
    ],
)
def test_what_an_api_cannot_take_becomes_text(block: Json, words: str) -> None:
    assert AnthropicFormat(ToolNames()).answer(CALL, result(block))["content"] == [text(words)]


def test_a_picture_in_a_resource_is_seen_with_its_address() -> None:
    block: Json = {"type": "resource", "resource": {"uri": "file:///a.png", "blob": "AAAA", "mimeType": "image/png"}}
    content: Any = AnthropicFormat(ToolNames()).answer(CALL, result(block))["content"]
    assert content[0] == text("file:///a.png:")
    assert content[1]["source"]["data"] == "AAAA"


def test_structured_content_stands_in_for_content_that_is_missing() -> None:
    data = {"rows": [1, "ü"], "$ref": "#/x"}
    assert OpenAIChatFormat(ToolNames()).answer(CALL, {"structuredContent": data})["content"] == (
        '{"rows":[1,"ü"],"$ref":"#/x"}'
    )
    repeated = result(text("two rows"), structuredContent=data)
    assert OpenAIChatFormat(ToolNames()).answer(CALL, repeated)["content"] == "two rows"


def test_an_empty_result_is_still_an_answer(format: tuple[str, Format]) -> None:
    _, made = format
    assert "call_1" in json.dumps(made.answer(CALL, {"content": []}))


@given(st.sets(st.text(max_size=100), max_size=20))
def test_every_name_is_taken_by_every_api_and_found_again(originals: set[str]) -> None:
    names = ToolNames()
    encoded = {name: names.encode(name) for name in originals}
    assert all(NAME.fullmatch(name) for name in encoded.values())
    assert {names.decode(name) for name in encoded.values()} == originals
    assert encoded == {name: names.encode(name) for name in originals}


def test_a_name_that_fits_stays_and_any_other_is_the_same_everywhere() -> None:
    assert ToolNames().encode("query-2_x") == "query-2_x"
    assert ToolNames().encode("notes.search") == GIVEN
    assert ToolNames().encode("2fa").startswith("_2fa_")
    assert len(ToolNames().encode("x" * 65)) == 64


def test_two_names_never_become_one() -> None:
    names = ToolNames()
    assert names.encode(GIVEN) == GIVEN
    other = names.encode("notes.search")
    assert other != GIVEN
    assert (names.decode(GIVEN), names.decode(other)) == (GIVEN, "notes.search")


def test_a_tool_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="this one has none"):
        AnthropicFormat(ToolNames()).declare([{"description": "?"}])


def test_what_a_tool_costs_grows_with_what_the_model_is_sent() -> None:
    cost = estimate_tokens(SEARCH)
    sent = json.dumps({"name": SEARCH["name"], "description": SEARCH["description"], "input_schema": SCHEMA})
    assert len(sent) / 5 < cost < len(sent) / 2
    assert estimate_tokens({**SEARCH, "outputSchema": SCHEMA, "annotations": {"x": "y" * 1000}}) == cost
    assert estimate_tokens({**SEARCH, "description": f"Search the notes{40 * ' today'}."}) == cost + 40


@pytest.mark.parametrize(
    ("words", "tokens"), [("search", 1), ("searching", 2), ("a b c", 3), ("123456", 2), ("日本語", 2)]
)
def test_pieces_of_text_are_counted_by_their_kind(words: str, tokens: int) -> None:
    bare: Json = {"name": "x", "description": "a", "inputSchema": {}}
    assert estimate_tokens({**bare, "description": words}) - estimate_tokens(bare) == tokens - 1
