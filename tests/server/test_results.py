"""What a handler returns and what travels: text, content, structure, in every revision and within its budget."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import uuid
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Optional, cast

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from tests.stage import MODERN, Connect, Json, in_both_eras, in_every_revision, scene, text_of

from mcp_kernel import Audio, Column, Context, EmbeddedResource, Image, Message, ResourceLink, Server, Table
from mcp_kernel.testing.memory import Refused

STRUCTURED = ("2025-06-18", "2025-11-25", MODERN)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Shade(enum.StrEnum):
    DARK = "dark"


@dataclass
class Note:
    id: int
    text: str
    tags: list[str] = field(default_factory=list[str])


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list["Node"])


class Order(BaseModel):
    what: str
    colour: Colour = Colour.RED
    when: dt.date = dt.date(2026, 7, 28)


class Pair(BaseModel):
    a: int
    b: int | None = None


@dataclass
class Verdict:
    good: bool

    def __str__(self) -> str:
        return "Good." if self.good else "Bad."


def returning(annotation: object, value: object, **options: Any) -> Server:
    """A server with one tool that returns the value, under that annotation."""
    server = Server("s", "1", **options)

    async def get() -> object:
        return value

    get.__annotations__["return"] = annotation
    server.tool()(get)
    return server


VALUES: list[tuple[str, object, object, object]] = [
    ("an integer", int, 5, 5),
    ("a number", float, 1.5, 1.5),
    ("a truth", bool, True, True),
    ("a date", dt.date, dt.date(2026, 1, 2), "2026-01-02"),
    ("a time", dt.datetime, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00Z"),
    ("a uuid", uuid.UUID, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ("an enum", Colour, Colour.RED, "red"),
    ("an integer enum", Level, Level.LOW, 1),
    ("a string enum", Shade, Shade.DARK, "dark"),
    ("a literal", Literal["a", "b"], "a", "a"),
    ("a list", list[int], [1, 2], [1, 2]),
    ("an empty list", list[str], [], []),
    ("a list of texts", list[str], ["a"], ["a"]),
    ("a list of lists", list[list[int]], [[1], []], [[1], []]),
    ("a tuple", tuple[int, str], (1, "a"), [1, "a"]),
    ("a dict", dict[str, int], {"a": 1}, {"a": 1}),
    ("any dict", dict, {"a": [1]}, {"a": [1]}),
    ("any list", list, [1, "a"], [1, "a"]),
    ("a dataclass", Note, Note(1, "x"), {"id": 1, "text": "x", "tags": []}),
    ("a list of dataclasses", list[Note], [Note(1, "x")], [{"id": 1, "text": "x", "tags": []}]),
    ("a tree", Node, Node("a", [Node("b")]), {"name": "a", "children": [{"name": "b", "children": []}]}),
    ("a model", Order, Order(what="tea"), {"what": "tea", "colour": "red", "when": "2026-07-28"}),
    ("one model or another", Order | Pair, Pair(a=1), {"a": 1, "b": None}),
    ("a dataclass or none", Note | None, Note(1, "x"), {"id": 1, "text": "x", "tags": []}),
    ("none of a dataclass", Optional[Note], None, None),  # noqa: UP045  # the old spelling on purpose
    ("a text or a number", str | int, "x", "x"),
    ("a dict or a list", dict[str, int] | list[int], {"a": 1}, {"a": 1}),
    ("a list or a dict", dict[str, int] | list[int], [1], [1]),
    ("its own text", Verdict, Verdict(good=True), {"good": True}),
    ("constrained", Annotated[int, Field(ge=1)], 3, 3),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES]
)
@in_every_revision
@scene
async def test_a_value_is_structured_where_the_revision_has_that(
    connect: Connect, revision: str, annotation: object, value: object, expected: object
) -> None:
    promises_object = annotation in cast("list[object]", [dict, dict[str, int], Note, Node, Order, Verdict])
    async with connect(returning(annotation, value), revision) as client:
        (tool,) = await client.list_all("tools/list", "tools")
        result: Any = await client.call_tool("get")
        assert ("outputSchema" in tool) == ("structuredContent" in result) == (revision in STRUCTURED)
        assert "isError" not in result
        if revision in STRUCTURED:
            schema: Any = tool["outputSchema"]
            Draft202012Validator.check_schema(schema)
            cast("Any", Draft202012Validator(schema)).validate(result["structuredContent"])
            is_wrapped = list(schema.get("properties", {})) == ["result"]
            assert is_wrapped == (revision != MODERN and not promises_object)
            structured = result["structuredContent"]["result"] if is_wrapped else result["structuredContent"]
            assert structured == expected


@in_every_revision
@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Note, Note(1, "x"), '{"id":1,"text":"x","tags":[]}'),
        (Order, Order(what="tea"), '{"what":"tea","colour":"red","when":"2026-07-28"}'),
        (list[int], [1, 2], "[1,2]"),
        (Colour, Colour.RED, '"red"'),
        (str | int, "plain", "plain"),
        (Verdict, Verdict(good=False), "Bad."),
        (Table, Table([Column("a", "INTEGER")], [[1]], 1), "a\n---\n1\n(1 row)"),
    ],
    ids=lambda each: str(each)[:20],
)
@scene
async def test_a_structured_result_has_a_text_beside_it(
    connect: Connect, revision: str, annotation: object, value: object, text: str
) -> None:
    async with connect(returning(annotation, value), revision) as client:
        assert text_of(await client.call_tool("get")) == text


PICTURE, SOUND = Image(b"\x89PNG"), Audio(b"RIFF")
LINK = ResourceLink("note://7", "Note 7", "The seventh", "text/plain")
EMBEDDED, BLOB = EmbeddedResource("note://7", "text", "text/plain"), EmbeddedResource("note://8", b"\x00")
UNSTRUCTURED: list[tuple[str, object, object, list[str]]] = [
    ("a text", str, "x", ["text"]),
    ("an empty text", str, "", ["text"]),
    ("a described text", Annotated[str, Field(description="d")], "x", ["text"]),
    ("a text or none", str | None, "x", ["text"]),
    ("none of a text", str | None, None, []),
    ("nothing", None, None, []),
    ("a picture", Image, PICTURE, ["image"]),
    ("a picture or a text", Image | str, "x", ["text"]),
    ("a text or a picture", str | Image, PICTURE, ["image"]),
    ("a picture or none", Image | None, None, []),
    ("sound", Audio, SOUND, ["audio"]),
    ("a link", ResourceLink, LINK, ["resource_link"]),
    ("a resource", EmbeddedResource, EMBEDDED, ["resource"]),
    ("a binary resource", EmbeddedResource, BLOB, ["resource"]),
    (
        "several",
        list[str | Image | Audio | ResourceLink | EmbeddedResource],
        ["a", PICTURE, SOUND, LINK, BLOB],
        ["text", "image", "audio", "resource_link", "resource"],
    ),
    ("several of a tuple", tuple[str, Image], ("a", PICTURE), ["text", "image"]),
    ("pictures", list[Image], [], []),
    ("any number of pictures", tuple[Image, ...], (PICTURE,), ["image"]),
]


@pytest.mark.parametrize(
    ("annotation", "value", "kinds"), [row[1:] for row in UNSTRUCTURED], ids=[row[0] for row in UNSTRUCTURED]
)
@in_every_revision
@scene
async def test_content_travels_as_content_alone(
    connect: Connect, revision: str, annotation: object, value: object, kinds: list[str]
) -> None:
    lost = {"2024-11-05": {"audio", "resource_link"}, "2025-03-26": {"resource_link"}}.get(revision, set[str]())
    async with connect(returning(annotation, value), revision) as client:
        (tool,) = await client.list_all("tools/list", "tools")
        result: Any = await client.call_tool("get")
        assert "outputSchema" not in tool
        assert "structuredContent" not in result
        assert [block["type"] for block in result["content"]] == ["text" if kind in lost else kind for kind in kinds]


@in_every_revision
@scene
async def test_annotations_of_content_travel(connect: Connect, revision: str) -> None:
    notes: Json = {"audience": ["user"], "priority": 0.5}
    async with connect(returning(Image, Image(b"x", annotations=notes)), revision) as client:
        result: Any = await client.call_tool("get")
        assert result["content"][0]["annotations"] == notes


@in_every_revision
@scene
async def test_a_handler_without_an_annotation_returns_what_it_likes(connect: Connect, revision: str) -> None:
    for value, structured in (
        ("x", False),
        (None, False),
        (PICTURE, False),
        ({"a": 1}, True),
        ([1], True),
        (Note(1, "x"), True),
    ):
        async with connect(returning(object, value), revision) as client:
            result = await client.call_tool("get")
            assert ("structuredContent" in result) == (structured and revision in STRUCTURED)


@in_every_revision
@scene
async def test_messages_of_a_prompt_are_brought_down_to_the_revision(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.prompt()
    def everything() -> list[Message]:
        """Everything that a prompt may say."""
        return [Message(each, "assistant") for each in ("a", PICTURE, SOUND, LINK, EMBEDDED)]

    async with connect(server, revision) as client:
        result: Any = await client.call("prompts/get", {"name": "everything"})
        kinds = [message["content"]["type"] for message in result["messages"]]
        assert kinds[:2] == ["text", "image"]
        assert kinds[2] == ("text" if revision == "2024-11-05" else "audio")
        assert kinds[3] == ("resource_link" if revision in STRUCTURED else "text")
        assert kinds[4] == "resource"
        assert result["description"] == "Everything that a prompt may say."


@in_every_revision
@scene
async def test_messages_to_sample_are_brought_down_to_the_revision(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def listen(ctx: Context) -> str:
        return (await ctx.sample("q", [Message("What is this?"), Message(SOUND), Message(PICTURE)])).text

    def say(method: str, params: Json) -> Json:
        return {"role": "assistant", "model": "m", "content": {"type": "text", "text": "a bird"}}

    async with connect(server, revision, capabilities={"sampling": {}}, answer=say) as client:
        assert text_of(await client.call_tool("listen")) == "a bird"


@in_both_eras
@scene
async def test_a_model_is_not_sent_what_it_cannot_be(
    connect: Connect, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server("s", "1")

    @server.tool()
    async def read(link: bool, ctx: Context) -> str:
        await ctx.sample("q", [Message(LINK if link else EMBEDDED)])
        return "never"

    async with connect(server, revision, capabilities={"sampling": {}}) as client:
        for link in (True, False):
            with pytest.raises(Refused, match="incident"):
                await client.call_tool("read", {"link": link})
        assert "text, images and sound" in caplog.text


UNUSUAL: list[tuple[object, object, object]] = [
    (list[float], [math.nan, math.inf, 1.0], [None, None, 1.0]),
    (dict[str, float], {"a": -math.inf}, {"a": None}),
    (object, {"a": math.nan}, {"a": None}),
    (list[int], [10**40, -(2**63)], [10**40, -(2**63)]),
    (list[str], ["a\udcffb"], ["a\\udcffb"]),
    (Note, Note(1, "\ud800"), {"id": 1, "text": "\\ud800", "tags": []}),
    (object, {"when": dt.date(2026, 1, 2), "path": PurePosixPath("/a")}, {"when": "2026-01-02", "path": "/a"}),
    (object, {1: "a", None: "b"}, {"1": "a", "None": "b"}),
    (object, {"set": {1}}, {"set": [1]}),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), UNUSUAL, ids=[repr(row[1])[:30] for row in UNUSUAL])
@scene
async def test_every_value_comes_out_as_valid_json(
    connect: Connect, annotation: object, value: object, expected: object
) -> None:
    async with connect(returning(annotation, value)) as client:
        result = await client.call_tool("get")
        assert result["structuredContent"] == expected
        assert json.loads(text_of(result)) == expected


@scene
async def test_a_text_that_is_no_unicode_is_spelled_out(connect: Connect) -> None:
    async with connect(returning(str, "a\udcffb")) as client:
        assert text_of(await client.call_tool("get")) == "a\\udcffb"


@pytest.mark.parametrize(("annotation", "value"), [(int, "five"), (Note, {"id": 1}), (list[int], ["a"]), (bool, "b")])
@scene
async def test_a_result_that_is_not_what_was_promised_is_an_incident(
    connect: Connect, annotation: object, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(returning(annotation, value)) as client:
        with pytest.raises(Refused, match="incident"):
            await client.call_tool("get")


def is_cut(text: str) -> bool:
    return "Cut:" in text


@pytest.mark.parametrize(
    ("value", "cut"),
    [("x" * 100, False), ("x" * 101, True), ("é" * 50, False), ("é" * 51, True), ("x" + "\U0001f600" * 26, True)],
)
@scene
async def test_a_text_is_cut_at_the_budget_and_says_so(connect: Connect, value: str, cut: bool) -> None:
    async with connect(returning(str, value, max_output_bytes=100)) as client:
        text = text_of(await client.call_tool("get"))
        assert is_cut(text) == cut
        shown, _, note = text.partition("\n[Cut: ")
        assert value.startswith(shown)
        assert len(shown.encode()) <= 100
        assert not cut or f"of {len(value.encode())} bytes" in note


@scene
async def test_data_over_the_budget_is_refused_with_what_to_do(connect: Connect) -> None:
    resource = EmbeddedResource("test://long", "x" * 200)
    for annotation, value in ((list[int], list(range(100))), (EmbeddedResource, resource)):
        async with connect(returning(annotation, value, max_output_bytes=100)) as client:
            result = await client.call_tool("get")
            assert result["isError"] is True
            assert "100" in text_of(result)


@scene
async def test_the_budget_is_of_text_and_not_of_pictures(connect: Connect) -> None:
    binary = EmbeddedResource("test://binary", b"x" * 200)
    for annotation, value in ((Image, Image(b"x" * 200)), (EmbeddedResource, binary)):
        async with connect(returning(annotation, value, max_output_bytes=100)) as client:
            assert "isError" not in await client.call_tool("get")


@scene
async def test_a_table_is_cut_to_the_rows_that_fit(connect: Connect) -> None:
    table = Table([Column("n", "INTEGER")], [[n] for n in range(1000)], 1000)
    async with connect(returning(Table, table, max_output_bytes=2000)) as client:
        result: Any = await client.call_tool("get")
        structured = result["structuredContent"]
        assert structured["truncated"] is True
        assert 0 < structured["row_count"] == len(structured["rows"]) < 1000
        assert "of 1000 rows" in structured["note"]
        assert len(json.dumps(structured, separators=(",", ":"))) <= 2000
        assert "more left out" in text_of(result)


def test_a_return_type_that_cannot_be_described_names_the_function() -> None:
    class Opaque:
        pass

    with pytest.raises(TypeError, match="get, its result"):
        returning(Opaque, Opaque())
