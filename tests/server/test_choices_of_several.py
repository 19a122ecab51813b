"""A form with a choice of several, which clients before 2025-11-25 can neither show nor answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.stage import Json, in_both_eras, scene, text_of

from mcp_kernel import Context, Server, Unsupported

if TYPE_CHECKING:
    from tests.stage import Connect

ONE = {"type": "string", "enum": ["red", "blue"]}
SEVERAL = {"type": "object", "properties": {"colours": {"type": "array", "items": ONE}}}
SINGLE = {"type": "object", "properties": {"one": ONE}}


def painter() -> Server:
    server = Server("painter", "1")

    @server.tool()
    async def paint(ctx: Context) -> str:
        try:
            return f"In {(await ctx.elicit('colours', 'Which?', SEVERAL))['colours']}"
        except Unsupported:
            return f"In {(await ctx.elicit('colours', 'Which?', SINGLE))['one']}"

    return server


def answer(method: str, params: Json) -> Json:
    several = "colours" in params["requestedSchema"]["properties"]
    return {"action": "accept", "content": {"colours": ["red"]} if several else {"one": "blue"}}


@scene
async def test_a_client_of_2025_06_18_is_not_asked_to_choose_several(connect: Connect) -> None:
    async with connect(painter(), "2025-06-18", capabilities={"elicitation": {}}, answer=answer) as client:
        assert text_of(await client.call_tool("paint")) == "In blue"


@in_both_eras
@scene
async def test_a_client_since_2025_11_25_chooses_several(connect: Connect, revision: str) -> None:
    async with connect(painter(), revision, capabilities={"elicitation": {}}, answer=answer) as client:
        assert text_of(await client.call_tool("paint")) == "In ['red']"
