"""Prompts and completion: messages that a user picks, and what the arguments may be."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from tests.stage import META, MODERN, Connect, Json, in_both_eras, in_every_revision, scene

from mcp_kernel import Image, Message, Server, ToolError
from mcp_kernel.testing.memory import Refused


class Tone(enum.Enum):
    KIND = "kind"
    KEEN = "keen"
    DRY = "dry"


def make_server() -> Server:
    server = Server("s", "1")

    @server.prompt(title="Write a letter")
    def letter(
        to: str,
        kind: Literal["letter", "postcard", "poem"] = "letter",
        tone: Tone = Tone.KIND,
        copies: Annotated[int, Field(ge=1, description="How many.")] = 1,
        only: Literal["this"] | None = None,
    ) -> list[Message]:
        """Write to somebody.

        Args:
            to: To whom.
        """
        return [Message(f"A {kind} to {to}, {tone.value}, {copies} times"), Message("Certainly.", "assistant")]

    @server.prompt()
    async def hello() -> str:
        return "Hello!"

    @server.prompt()
    async def look() -> list[Image | str]:
        return ["Look:", Image(b"x")]

    @server.complete("letter", "to")
    async def to(prefix: str, kind: str = "letter") -> list[str]:
        names = ["Ada", "Alan", "Grace"] if kind == "letter" else ["Aunt"]
        return [name for name in names if name.startswith(prefix)]

    @server.complete("letter", "copies")
    def copies(prefix: str) -> list[str]:
        return [f"{number}" for number in range(1, 251)]

    @server.resource("db://{database}/{table}")
    def table(database: str, table: str) -> str:
        return table

    @server.complete("db://{database}/{table}", "table")
    def tables(prefix: str, database: str) -> list[str]:
        return [f"{database}.{prefix}x"]

    return server


@in_every_revision
@scene
async def test_a_prompt_is_described(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        letter, hello, _ = await client.list_all("prompts/list", "prompts")
        title = {"title": "Write a letter"} if revision >= "2025-06-18" else {}
        assert letter == {
            "name": "letter",
            **title,
            "description": "Write to somebody.",
            "arguments": [
                {"name": "to", "required": True, "description": "To whom."},
                {"name": "kind", "required": False},
                {"name": "tone", "required": False},
                {"name": "copies", "required": False, "description": "How many."},
                {"name": "only", "required": False},
            ],
        }
        assert hello == {"name": "hello"}


async def get(connect: Connect, name: str = "letter", revision: str = MODERN, **arguments: object) -> list[Any]:
    async with connect(make_server(), revision) as client:
        result: Any = await client.call("prompts/get", {"name": name, "arguments": arguments})
        return [(message["role"], message["content"].get("text")) for message in result["messages"]]


@in_every_revision
@scene
async def test_a_prompt_becomes_messages(connect: Connect, revision: str) -> None:
    messages = await get(connect, revision=revision, to="Ada", kind="poem", tone="dry", copies="3")
    assert messages == [("user", "A poem to Ada, dry, 3 times"), ("assistant", "Certainly.")]
    assert await get(connect, "hello", revision) == [("user", "Hello!")]
    assert await get(connect, "look", revision) == [("user", "Look:"), ("user", None)]


BAD: list[tuple[str, Json, str]] = [
    ("no such", {}, "Unknown prompt: no such"),
    ("letter", {}, "to: required"),
    ("letter", {"to": "x", "kind": "novel"}, "kind: expected one of"),
    ("letter", {"to": "x", "copies": "none"}, "copies: expected an integer"),
    ("letter", {"to": "x", "of": "x"}, "of: there is no such argument"),
]


@in_both_eras
@pytest.mark.parametrize(("name", "arguments", "text"), BAD, ids=[str(row[1]) for row in BAD])
@scene
async def test_a_prompt_that_cannot_be_made_is_invalid(
    connect: Connect, revision: str, name: str, arguments: Json, text: str
) -> None:
    async with connect(make_server(), revision) as client:
        with pytest.raises(Refused, match=text) as caught:
            await client.call("prompts/get", {"name": name, "arguments": arguments})
        assert caught.value.code == -32602


COMPLETED: list[tuple[str, str, Json | None, list[str]]] = [
    ("to", "A", None, ["Ada", "Alan"]),
    ("to", "Gr", None, ["Grace"]),
    ("to", "", {"arguments": {"kind": "poem"}}, ["Aunt"]),
    ("to", "x", {"arguments": {"kind": "poem", "unknown": "y"}}, []),
    ("to", "A", {}, ["Ada", "Alan"]),
    ("to", "A", {"arguments": {}}, ["Ada", "Alan"]),
    ("kind", "p", None, ["postcard", "poem"]),
    ("kind", "", None, ["letter", "postcard", "poem"]),
    ("kind", "x", None, []),
    ("tone", "k", None, ["kind", "keen"]),
    ("only", "", None, ["this"]),
    ("no such", "", None, []),
]


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25", MODERN])
@pytest.mark.parametrize(
    ("name", "value", "context", "expected"), COMPLETED, ids=[f"{row[0]} {row[1]}" for row in COMPLETED]
)
@scene
async def test_an_argument_of_a_prompt_is_completed(
    connect: Connect, revision: str, name: str, value: str, context: Json | None, expected: list[str]
) -> None:
    params: Json = {"ref": {"type": "ref/prompt", "name": "letter"}, "argument": {"name": name, "value": value}}
    if context is not None:
        params["context"] = context
    async with connect(make_server(), revision) as client:
        completion: Any = (await client.call("completion/complete", params))["completion"]
        assert completion == {"values": expected, "total": len(expected), "hasMore": False}


@in_every_revision
@scene
async def test_at_most_a_hundred_values_are_shown(connect: Connect, revision: str) -> None:
    params: Json = {"ref": {"type": "ref/prompt", "name": "letter"}, "argument": {"name": "copies", "value": ""}}
    async with connect(make_server(), revision) as client:
        completion: Any = (await client.call("completion/complete", params))["completion"]
        assert completion["values"] == [f"{number}" for number in range(1, 101)]
        assert (completion["total"], completion["hasMore"]) == (250, True)


@in_both_eras
@scene
async def test_a_variable_of_a_template_is_completed_once_the_others_are_known(connect: Connect, revision: str) -> None:
    ref = {"type": "ref/resource", "uri": "db://{database}/{table}"}
    params: Json = {"ref": ref, "argument": {"name": "table", "value": "u"}}
    async with connect(make_server(), revision) as client:
        completion: Any = (await client.call("completion/complete", params))["completion"]
        assert completion["values"] == []
        context = {"arguments": {"database": "main"}}
        completion = (await client.call("completion/complete", {**params, "context": context}))["completion"]
        assert completion["values"] == ["main.ux"]


@in_both_eras
@pytest.mark.parametrize(
    "ref",
    [
        {"type": "ref/prompt", "name": "no such"},
        {"type": "ref/resource", "uri": "none://{x}"},
        {"type": "ref/resource", "uri": "none://x"},
        {"type": "ref/tool", "name": "letter"},
        {"type": "ref/prompt"},
        {},
    ],
    ids=str,
)
@scene
async def test_a_reference_to_nothing_is_invalid(connect: Connect, revision: str, ref: Json) -> None:
    async with connect(make_server(), revision) as client:
        params: Json = {"ref": ref, "argument": {"name": "to", "value": ""}}
        meta: Json = {"_meta": META} if revision == MODERN else {}
        identifier = client.wire.request("completion/complete", {**params, **meta}, malformed=True)
        answer: Any = await client.wire.answer(identifier)
        assert answer["error"]["code"] == -32602


@in_both_eras
@pytest.mark.parametrize("argument", [{}, {"name": "to"}, {"value": ""}, {"name": "to", "value": 1}])
@scene
async def test_an_argument_has_a_name_and_a_value(connect: Connect, revision: str, argument: Json) -> None:
    async with connect(make_server(), revision) as client:
        params: Json = {"ref": {"type": "ref/prompt", "name": "letter"}, "argument": argument}
        meta: Json = {"_meta": META} if revision == MODERN else {}
        identifier = client.wire.request("completion/complete", {**params, **meta}, malformed=True)
        answer: Any = await client.wire.answer(identifier)
        assert answer["error"]["code"] == -32602


@scene
async def test_a_completion_that_fails_is_told(connect: Connect) -> None:
    server = make_server()

    @server.complete("hello", "x")
    def fail(prefix: str) -> list[str]:
        raise ToolError("The directory is closed.")

    async with connect(server) as client:
        params: Json = {"ref": {"type": "ref/prompt", "name": "hello"}, "argument": {"name": "x", "value": ""}}
        with pytest.raises(Refused, match="closed"):
            await client.call("completion/complete", params)
