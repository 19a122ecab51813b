"""Arguments: from a signature to a schema, from a model's attempt to keyword arguments or to advice."""

from __future__ import annotations

import datetime as dt
import enum
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from tests.stage import Connect, Json, in_every_revision, scene, text_of

from mcp_kernel import Context, Server


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Basket:
    items: list[str] = field(default_factory=list[str])


class Opaque:
    pass


class Filter(BaseModel):
    words: list[str]
    colour: Colour | None = None
    inner: Optional[Filter] = None  # noqa: UP045  # the old spelling on purpose


async def everything(
    text: str,
    count: Annotated[int, Field(ge=1, le=9, description="How many.")] = 1,
    flag: bool = False,
    kind: Literal["a", "b"] = "a",
    colour: Colour = Colour.RED,
    tags: list[str] | None = None,
) -> str:
    """Take all kinds of things.

    And say what came.

    Args:
        text: Any text,
            on two lines.
        kind (str): Which one.
        tags: Labels: as many as you like.

    Returns:
        What came.
    """
    return repr({"text": text, "count": count, "flag": flag, "kind": kind, "colour": colour, "tags": tags})


async def structured(
    point: Point | None = None,
    points: list[Point] | None = None,
    filter: Filter | None = None,
    table: dict[str, int] | None = None,
    tags: list[str] | None = None,
) -> str:
    """Take what has parts."""
    return repr({"point": point, "points": points, "filter": filter, "tags": tags, "table": table})


async def odd(
    ctx: Context,
    share: float = 0.5,
    either: int | str | None = None,
    when: dt.date | None = None,
    schema: str = "main",
    anything: Any = None,
) -> str:
    """Take what is rare."""
    return repr({"share": share, "either": either, "when": when, "schema": schema, "anything": anything})


def make_server() -> Server:
    server = Server("s", "1")

    server.tool()(everything)
    server.tool()(structured)
    server.tool()(odd)

    @server.tool()
    async def keep(name: str, **more: object) -> str:
        return f"{name} {json.dumps(more)}"

    @server.tool()
    async def nothing() -> str:
        return "nothing"

    return server


async def tools_of(connect: Connect) -> dict[str, Any]:
    async with connect(make_server()) as client:
        return {str(tool["name"]): tool for tool in await client.list_all("tools/list", "tools")}


@scene
async def test_a_signature_becomes_a_schema(connect: Connect) -> None:
    schema = (await tools_of(connect))["everything"]["inputSchema"]
    Draft202012Validator.check_schema(schema)
    fields = schema["properties"]
    assert schema["type"] == "object"
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False
    assert fields["count"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 1, "description": "How many."}
    assert fields["flag"] == {"type": "boolean", "default": False}
    assert fields["kind"] == {"type": "string", "enum": ["a", "b"], "default": "a", "description": "Which one."}
    tags = {"type": "array", "items": {"type": "string"}, "description": "Labels: as many as you like."}
    assert fields["tags"] == tags
    assert fields["colour"]["default"] == "red"
    assert schema["$defs"]["Colour"]["enum"] == ["red", "blue"]


@scene
async def test_rarer_signatures_become_schemas_too(connect: Connect) -> None:
    tools = await tools_of(connect)
    for name in ("structured", "odd"):
        Draft202012Validator.check_schema(tools[name]["inputSchema"])
    fields = tools["odd"]["inputSchema"]["properties"]
    assert "ctx" not in fields
    assert fields["share"] == {"type": "number", "default": 0.5}
    assert fields["either"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert fields["when"] == {"type": "string", "format": "date"}
    fields = tools["structured"]["inputSchema"]["properties"]
    assert fields["table"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert fields["points"]["items"] == {"$ref": "#/$defs/Point"}


@scene
async def test_the_docstring_becomes_the_description_and_its_arguments(connect: Connect) -> None:
    tool = (await tools_of(connect))["everything"]
    assert tool["description"] == "Take all kinds of things.\n\nAnd say what came."
    fields = tool["inputSchema"]["properties"]
    assert fields["text"] == {"type": "string", "description": "Any text, on two lines."}


@scene
async def test_a_tool_without_arguments_or_a_docstring_says_so(connect: Connect) -> None:
    tool = (await tools_of(connect))["nothing"]
    assert tool["inputSchema"] == {"type": "object", "properties": {}, "additionalProperties": False}
    assert "description" not in tool


@scene
async def test_every_tool_has_all_four_hints(connect: Connect) -> None:
    server = Server("s", "1")
    server.tool("a")(lambda: "")
    server.tool("b", read_only=True)(lambda: "")
    server.tool("c", destructive=False, idempotent=True, open_world=False, title="Sea")(lambda: "")
    async with connect(server) as client:
        tools: Any = await client.list_all("tools/list", "tools")
        assert [tuple(tool["annotations"].values()) for tool in tools] == [
            (False, True, False, True),
            (True, False, True, True),
            (False, False, True, False),
        ]
        assert list(tools[0]["annotations"]) == ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
        assert tools[2]["title"] == "Sea"


STRUCTURED = {"point", "points", "filter", "table"}
ODD = {"share", "either", "when", "schema", "anything"}


async def call(connect: Connect, tool: str = "everything", **arguments: Any) -> Json:
    """Call the tool, or the one that takes the rarer arguments."""
    if arguments.keys() & (STRUCTURED | ODD):
        arguments.pop("text", None)
        tool = "structured" if arguments.keys() & STRUCTURED else "odd"
    async with connect(make_server()) as client:
        return await client.call_tool(tool, arguments)


GOOD: list[tuple[Json, str]] = [
    ({"count": 9}, "'count': 9"),
    ({"share": 1}, "'share': 1.0"),
    ({"kind": "b"}, "'kind': 'b'"),
    ({"colour": "blue"}, "<Colour.BLUE: 'blue'>"),
    ({"point": {"x": 1}}, "Point(x=1, y=0)"),
    ({"point": None}, "'point': None"),
    ({"points": [{"x": 1, "y": 2}]}, "[Point(x=1, y=2)]"),
    ({"filter": {"words": ["a"], "inner": {"words": []}}}, "inner=Filter(words=[]"),
    ({"table": {"a": 1}}, "'table': {'a': 1}"),
    ({"either": 5}, "'either': 5"),
    ({"either": "5"}, "'either': '5'"),
    ({"when": "2026-07-28"}, "datetime.date(2026, 7, 28)"),
    ({"schema": "other"}, "'schema': 'other'"),
    ({"anything": [1, {"a": None}]}, "'anything': [1, {'a': None}]"),
]


@pytest.mark.parametrize(("arguments", "expected"), GOOD, ids=[str(row[0]) for row in GOOD])
@scene
async def test_arguments_arrive_as_what_the_signature_says(connect: Connect, arguments: Json, expected: str) -> None:
    result = await call(connect, text="x", **arguments)
    assert "isError" not in result, result
    assert expected in text_of(result)


DECODED: list[tuple[Json, str]] = [
    ({"tags": '["a", "b"]'}, "'tags': ['a', 'b']"),
    ({"point": '{"x": 1}'}, "Point(x=1, y=0)"),
    ({"points": '[{"x": 1}]'}, "[Point(x=1, y=0)]"),
    ({"filter": '{"words": ["a"]}'}, "words=['a']"),
    ({"table": '{"a": 1}', "tags": "[]"}, "'tags': [], 'table': {'a': 1}"),
]


@pytest.mark.parametrize(("arguments", "expected"), DECODED, ids=[str(row[0]) for row in DECODED])
@scene
async def test_a_list_or_an_object_may_come_as_a_json_string(connect: Connect, arguments: Json, expected: str) -> None:
    assert expected in text_of(await call(connect, text="x", **arguments))


@pytest.mark.parametrize("text", ['["a"]', '{"x": 1}', "1", "null", '"x"', "true"])
@scene
async def test_a_text_is_never_decoded(connect: Connect, text: str) -> None:
    assert f"'text': {text!r}" in text_of(await call(connect, text=text))
    assert f"'either': {text!r}" in text_of(await call(connect, text="x", either=text))
    assert f"'anything': {text!r}" in text_of(await call(connect, text="x", anything=text))


BAD: list[tuple[Json, list[str]]] = [
    ({}, ["text: required, a string (Any text, on two lines.)"]),
    ({"text": 5}, ["text: expected a string, got 5"]),
    ({"text": None}, ["text: expected a string, got null"]),
    ({"text": "x", "count": 0}, ["count: expected an integer (at least 1, at most 9), got 0"]),
    ({"text": "x", "count": "many"}, ['count: expected an integer (at least 1, at most 9), got "many"']),
    ({"text": "x", "count": 1.5}, ["count: expected an integer (at least 1, at most 9), got 1.5"]),
    ({"text": "x", "kind": "c"}, ['kind: expected one of "a", "b", got "c"']),
    ({"text": "x", "colour": "bleu"}, ['colour: expected one of "red", "blue", got "bleu"; did you mean blue?']),
    ({"text": "x", "cuont": 2}, ["cuont: there is no such argument; did you mean count? Known: text, count, flag"]),
    ({"text": "x", "tags": "a"}, ['tags: expected a list, got "a"']),
    ({"text": "x", "tags": "[1"}, ['tags: expected a list, got "[1"']),
    ({"text": "x", "tags": {}}, ["tags: expected a list, got {}"]),
    ({"text": "x", "point": {}}, ["point.x: field required"]),
    ({"text": "x", "points": [{"x": 1}, {"x": "a"}]}, ["points.1.x: input should be a valid integer"]),
    ({"text": "x", "table": {"a": "b"}}, ["table.a: input should be a valid integer"]),
    ({"text": "x", "flag": "perhaps"}, ['flag: expected true or false, got "perhaps"']),
    ({"text": "x", "when": "soon"}, ['when: expected a string, got "soon"']),
    ({"either": 1.5}, ["either: expected an integer or a string, got 1.5"]),
    ({"either": [1]}, ["either: expected an integer or a string, got [1]"]),
    ({"count": 0, "kind": "c"}, ["text: required", "count: expected", "kind: expected"]),
]


@pytest.mark.parametrize(("arguments", "lines"), BAD, ids=[str(row[0]) for row in BAD])
@scene
async def test_bad_arguments_come_back_with_one_line_for_each(
    connect: Connect, arguments: Json, lines: list[str]
) -> None:
    result = await call(connect, **arguments)
    assert result["isError"] is True
    heading, *said = text_of(result).splitlines()
    assert heading == "Invalid arguments:"
    assert len(said) == len(lines)
    for line, expected in zip(sorted(said), sorted(lines), strict=True):
        assert line.startswith(f"- {expected}")


@scene
async def test_a_long_value_is_not_repeated_whole(connect: Connect) -> None:
    result = await call(connect, text=["x" * 10_000])
    assert len(text_of(result)) < 300


@in_every_revision
@scene
async def test_bad_arguments_are_for_the_model_in_every_revision(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        assert (await client.call_tool("everything", {}))["isError"] is True
        assert text_of(await client.call("tools/call", {"name": "nothing"})) == "nothing"
        assert text_of(await client.call("tools/call", {"name": "nothing", "arguments": {}})) == "nothing"


@scene
async def test_further_arguments_are_kept_where_the_signature_takes_them(connect: Connect) -> None:
    assert text_of(await call(connect, "keep", name="x", a=1, b=[2])) == 'x {"a": 1, "b": [2]}'
    assert (await tools_of(connect))["keep"]["inputSchema"]["additionalProperties"] is True


@scene
async def test_a_default_is_of_one_call(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool()
    async def add(
        item: str,
        flat: list[str] = [],  # noqa: B006  # what is tested
        deep: dict[str, list[str]] = {"in": []},  # noqa: B006  # what is tested
        basket: Basket = Basket(),  # noqa: B008  # what is tested
    ) -> str:
        flat.append(item)
        deep["in"].append(item)
        basket.items.append(item)
        return f"{flat} {deep} {basket.items}"

    async with connect(server) as client:
        for item in "ab":
            said = text_of(await client.call_tool("add", {"item": item}))
            assert said == f"['{item}'] {{'in': ['{item}']}} ['{item}']"


@scene
async def test_a_schema_of_ones_own_is_shown_untouched(connect: Connect) -> None:
    schema: Json = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"type": "string"}},
        "additionalProperties": False,
    }
    server = Server("s", "1")

    @server.tool(input_schema=schema)
    async def own(**arguments: object) -> str:
        return json.dumps(arguments)

    async with connect(server) as client:
        (tool,) = await client.list_all("tools/list", "tools")
        assert tool["inputSchema"] == schema
        assert text_of(await client.call_tool("own", {"a": "x"})) == '{"a": "x"}'


def test_what_cannot_be_passed_by_name_is_refused_when_it_is_declared() -> None:
    server = Server("s", "1")

    async def positional(a: int, /) -> str:
        return f"{a}"

    async def several(*a: int) -> str:
        return f"{a}"

    async def opaque(a: Opaque) -> str:
        return f"{a}"

    for function in (positional, several, opaque):
        with pytest.raises(TypeError, match=function.__name__):
            server.tool()(function)


@scene
async def test_a_field_given_as_the_default_counts(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool()
    async def get(
        a: int = Field(5, ge=1, description="First."), b: Annotated[str, Field(max_length=2, examples=["x"])] = "y"
    ) -> str:
        return f"{a} {b}"

    async with connect(server) as client:
        (tool,) = await client.list_all("tools/list", "tools")
        schema: Any = tool["inputSchema"]
        assert schema["properties"]["a"] == {"type": "integer", "minimum": 1, "default": 5, "description": "First."}
        assert "required" not in schema
        assert text_of(await client.call_tool("get")) == "5 y"
        assert (await client.call_tool("get", {"a": 0}))["isError"] is True
