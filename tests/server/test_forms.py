"""Forms: what a model or a mapping becomes, and what comes back."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from tests.stage import MODERN, Connect, Json, in_both_eras, scene, text_of

from mcp_kernel import Context, Server, Unsupported
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Answerer

EVERYTHING: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}


WITH_FORMS = pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25", MODERN])


def accept(**content: object) -> Answerer:
    return lambda method, params: {"action": "accept", "content": content}


SCHEMA: Json = {
    "type": "object",
    "properties": {
        "size": {"type": "string", "enum": ["s", "l"], "enumNames": ["Small", "Large"]},
        "count": {"type": "integer", "minimum": 1, "title": "How many"},
    },
    "required": ["size"],
}


@WITH_FORMS
@scene
async def test_a_schema_given_as_a_mapping_travels_untouched(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def order(ctx: Context) -> str:
        answer = await ctx.elicit("order", "What?", SCHEMA)
        return f"{answer['size']} {answer.get('count')}"

    async with connect(server, revision, capabilities={"elicitation": {}}, answer=accept(size="l", count=2)) as client:
        assert text_of(await client.call_tool("order")) == "l 2"
        assert client.asked[0][1]["requestedSchema"] == SCHEMA


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    """Everything that a form can hold."""

    colour: Colour
    colours: list[Colour] = Field(min_length=1)
    size: Literal["s", "l"] = "s"
    only: Literal["this"] = "this"
    count: Annotated[int, Field(ge=1, le=9)] = 1
    price: float | None = None
    gift: bool = False
    mail: Annotated[str, Field(title="E-mail", max_length=40, json_schema_extra={"format": "email"})] = "a@b.example"
    note: str | None = None
    second: Colour | None = None


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_a_form_shows_all_that_forms_can_hold(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def order(ctx: Context) -> str:
        filled = await ctx.elicit("order", "What?", Order)
        return f"{filled.colour} {filled.colours} {filled.second} {filled.price}"

    answer = accept(colour="red", colours=["blue", "red"], second="blue", price=1)
    async with connect(server, revision, capabilities=EVERYTHING, answer=answer) as client:
        said = text_of(await client.call_tool("order"))
        assert said == "Colour.RED [<Colour.BLUE: 'blue'>, <Colour.RED: 'red'>] Colour.BLUE 1.0"
        schema: Any = client.asked[0][1]["requestedSchema"]
        assert schema["properties"]["colour"] == {"type": "string", "enum": ["red", "blue"]}
        assert schema["properties"]["note"] == {"type": "string"}
        assert schema["properties"]["count"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 1}
        assert schema["required"] == ["colour", "colours"]


@in_both_eras
@scene
async def test_a_form_cannot_hold_another(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    class Nested(BaseModel):
        inner: Order

    @server.tool()
    async def order(ctx: Context) -> str:
        await ctx.elicit("order", "What?", Nested)
        return "never"

    async with connect(server, revision, capabilities=EVERYTHING) as client:
        with pytest.raises(Refused) as caught:
            await client.call_tool("order")
        assert caught.value.code == -32603
        assert client.asked == []


@scene
async def test_a_form_that_a_revision_cannot_show_is_not_asked(connect: Connect) -> None:
    server = Server("s", "1")

    @server.tool()
    async def order(ctx: Context) -> str:
        try:
            await ctx.elicit("order", "What?", Order)
        except Unsupported:
            return "unsupported"
        return "asked"

    async with connect(server, "2025-06-18", capabilities=EVERYTHING) as client:
        assert text_of(await client.call_tool("order")) == "unsupported"
        assert client.asked == []
