"""Asking the server: a call that must succeed, one that must be refused, a resource that must be there."""

from __future__ import annotations

from typing import cast

from tests.stage import Json, text_of

from mcp_kernel.testing.eras import Answerer, Client

ASKING: Json = {"elicitation": {}, "sampling": {}}
TICKET: Json = {"subject": "Printer on fire", "customer": "Carol@example.com", "body": "It is burning."}


def say(action: str, **content: object) -> Answerer:
    """A person who answers every form alike."""
    answer: Json = {"action": action, **({"content": content} if action == "accept" else {})}

    def respond(method: str, params: Json) -> Json:
        return answer

    return respond


async def call(client: Client, tool: str, **arguments: object) -> Json:
    return cast("Json", await client.call_tool(tool, arguments))


async def do(client: Client, tool: str, **arguments: object) -> Json:
    """Call a tool, which must succeed, and return its structured result."""
    result = await call(client, tool, **arguments)
    assert not result.get("isError"), result
    return cast("Json", result["structuredContent"])


async def refuse(client: Client, tool: str, **arguments: object) -> str:
    """Call a tool, which must refuse, and return what it says."""
    result = await call(client, tool, **arguments)
    assert result["isError"] is True, result
    return text_of(result)


async def read(client: Client, uri: str) -> str:
    (contents,) = cast("list[Json]", (await client.call("resources/read", {"uri": uri}))["contents"])
    assert contents["uri"] == uri
    return str(contents["text"])


async def items(client: Client, method: str, member: str) -> list[Json]:
    """A list to its last page."""
    return cast("list[Json]", await client.list_all(method, member))


def asked(client: Client) -> Json:
    """The params of the one question that was asked."""
    ((_, params),) = client.asked
    return cast("Json", params)
