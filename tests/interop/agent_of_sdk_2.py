"""What the support agent does, done by the public client of PyPI's `mcp` 2.3; prints what it met as one JSON object.

python agent_of_sdk_2.py MODE COMMAND...     # MODE: legacy for a handshake, auto to find the newest revision
python agent_of_sdk_2.py MODE URL
"""

import asyncio
import json
import sys
from typing import Literal

from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext
from mcp_types import (
    CallToolResult,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    TextContent,
    TextResourceContents,
)

RESOLUTION = "Hi, your new password works again. — Support Team"


class Host:
    """Answers what the server asks, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async def sample(self, context: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
        self.asked.append(str(params.system_prompt))
        content = TextContent(type="text", text="They cannot log in.")
        return CreateMessageResult(role="assistant", content=content, model="none", stop_reason="endTurn")


async def read(client: Client, uri: str) -> str:
    (part,) = (await client.read_resource(uri)).contents
    return part.text if isinstance(part, TextResourceContents) else ""


def text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


async def close_ticket(mode: Literal["legacy", "auto"], words: list[str]) -> dict[str, object]:
    host = Host()
    url = words[0] if words[0].startswith("http") else None
    server = url or StdioServerParameters(command=words[0], args=words[1:])
    async with Client(
        server, mode=mode, read_timeout_seconds=60, elicitation_callback=host.elicit, sampling_callback=host.sample
    ) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        before = await read(client, "ticket://list")
        ticket = json.loads(await read(client, "ticket://42.json"))
        summary = await client.call_tool("summarize_ticket", {"ticket_id": "42"})
        prompt = await client.get_prompt("resolution_prompt", {"ticket_id": "42", "account_tier": ticket["tier"]})
        first, second = (message.content for message in prompt.messages)
        arguments = {"ticket_id": "42", "resolution": RESOLUTION, "idempotency_key": "one"}
        closed = await client.call_tool("close_ticket", arguments)
        again = await client.call_tool("close_ticket", arguments)
        return {
            "revision": client.protocol_version,
            "tools": tools,
            "before": before,
            "summary": text(summary),
            "prompt": [part.text for part in (first, second) if isinstance(part, TextContent)],
            "closed": [closed.structured_content, again.structured_content],
            "after": await read(client, "ticket://list"),
            "asked": host.asked,
        }


if __name__ == "__main__":
    wanted: Literal["legacy", "auto"] = "legacy" if sys.argv[1] == "legacy" else "auto"
    sys.stdout.write(json.dumps(asyncio.run(close_ticket(wanted, sys.argv[2:]))))
