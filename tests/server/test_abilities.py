"""What a handler asks of a client that cannot answer: the capability is named, in every era."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.stage import MODERN, Connect, Json, in_both_eras, in_every_revision, scene, text_of

from mcp_kernel import Context, Sampling, Server, Unsupported
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Answerer


@dataclass
class Confirm:
    sure: bool
    reason: str = ""


def model_says(text: str) -> Answerer:
    return lambda method, params: {"role": "assistant", "model": "m", "content": {"type": "text", "text": text}}


TOOL: Json = {"name": "weather", "inputSchema": {"type": "object"}}


NEEDS: list[tuple[str, Json, str]] = [
    ("form", {"elicitation": {}}, "elicitation"),
    ("url", {"elicitation": {"url": {}}}, "elicitation.url"),
    ("sample", {"sampling": {}}, "sampling"),
    ("tools", {"sampling": {"tools": {}}}, "sampling.tools"),
    ("roots", {"roots": {}}, "roots"),
]


def make_needy_server() -> Server:
    server = Server("needy", "1")

    async def ask(kind: str, ctx: Context) -> None:
        questions = {
            "form": lambda: ctx.elicit("q", "?", Confirm),
            "url": lambda: ctx.elicit_url("q", "?", "https://x.example"),
            "sample": lambda: ctx.sample("q", "?"),
            "tools": lambda: ctx.sample("q", "?", Sampling(tools=[TOOL])),
            "roots": ctx.roots,
        }
        await questions[kind]()

    @server.tool()
    async def need(kind: str, ctx: Context) -> str:
        await ask(kind, ctx)
        return "never"

    @server.tool()
    async def try_to(kind: str, ctx: Context) -> str:
        try:
            await ask(kind, ctx)
        except Unsupported as error:
            return f"without {error.capability}"
        return "never"

    @server.prompt()
    async def needy(ctx: Context) -> str:
        await ctx.roots()
        return "never"

    return server


@in_every_revision
@pytest.mark.parametrize(("kind", "required", "name"), NEEDS, ids=[kind for kind, _, _ in NEEDS])
@scene
async def test_a_capability_that_is_missing_is_named(
    connect: Connect, revision: str, kind: str, required: Json, name: str
) -> None:
    async with connect(make_needy_server(), revision) as client:
        assert text_of(await client.call_tool("try_to", {"kind": kind})) == f"without {name}"
        if revision != MODERN:
            result = await client.call_tool("need", {"kind": kind})
            assert result["isError"] is True
            assert f" {name}," in text_of(result)
        else:
            with pytest.raises(Refused) as caught:
                await client.call_tool("need", {"kind": kind})
            assert caught.value.code == -32021
            assert caught.value.data == {"requiredCapabilities": required}
        assert client.asked == []


@in_both_eras
@scene
async def test_a_prompt_that_lacks_a_capability_is_an_error(connect: Connect, revision: str) -> None:
    async with connect(make_needy_server(), revision) as client:
        with pytest.raises(Refused, match="roots") as caught:
            await client.call("prompts/get", {"name": "needy"})
        assert caught.value.code == (-32021 if revision == MODERN else -32603)


@in_both_eras
@scene
async def test_a_choice_of_tools_needs_the_capability_as_tools_do(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def plan(ctx: Context) -> str:
        try:
            await ctx.sample("plan", "?", Sampling(tool_choice={"mode": "none"}))
        except Unsupported:
            return "unsupported"
        return "asked"

    async with connect(server, revision, capabilities={"sampling": {}}, answer=model_says("x")) as client:
        assert text_of(await client.call_tool("plan")) == "unsupported"
