"""The driver that the conformance suite starts for each of its client scenarios: `client.py URL`.

The suite says in MCP_CONFORMANCE_SCENARIO which scenario it plays, and what it takes in MCP_CONFORMANCE_CONTEXT.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, cast

from mcp_kernel.client.client import Client
from mcp_kernel.client.target import Reach

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
CONTEXT: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")


async def main(url: str) -> None:
    """Connect, list whatever there is, and call what the scenario wants called."""
    async with Client(
        url, elicit=lambda form: "accept", sample=lambda params: "Paris", roots=["file:///work"], reach=reach(url)
    ) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        if SCENARIO == "json-schema-2020-12-preservation":
            schema = tools["json_schema_2020_12_tool"].input_schema
            await client.call_tool("json_schema_echo", {"schema": schema})
        elif SCENARIO == "http-custom-headers":
            for call in CONTEXT["toolCalls"]:
                await client.call_tool(call["name"], call["arguments"])
        elif SCENARIO == "http-standard-headers":
            await read_everything(client)
        elif SCENARIO != "json-schema-ref-no-deref":
            for name, tool in tools.items():
                wanted = cast("dict[str, object]", tool.input_schema.get("properties") or {})
                await client.call_tool(name, dict.fromkeys(wanted, 1))


async def read_everything(client: Client) -> None:
    """Use each kind of thing that is there once."""
    for tool in await client.list_tools():
        await client.call_tool(tool.name)
    for resource in await client.list_resources():
        await client.read_resource(resource.uri)
    for prompt in await client.list_prompts():
        await client.get_prompt(prompt.name)


def reach(url: str) -> Reach:
    """How the scenario wants to be reached."""
    return Reach()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
