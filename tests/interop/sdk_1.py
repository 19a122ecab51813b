"""The public client of PyPI's `mcp` 1.30: asks a server what the interop tests compare, prints it as one JSON object.

python sdk_1.py COMMAND...
python sdk_1.py URL                    # of an endpoint, or of the /sse of the old transport
"""
# It runs in an environment of its own; the types of `mcp` that the checkout has are those of 2.3.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportMissingImports=false

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager

from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ResourceTemplateReference
from pydantic import AnyUrl


def connect(command: list[str]) -> AbstractAsyncContextManager[tuple]:
    if command[0].endswith("/sse"):
        return sse_client(command[0])
    if command[0].startswith("http"):
        return streamablehttp_client(command[0])
    return stdio_client(StdioServerParameters(command=command[0], args=command[1:]))


async def ask(command: list[str]) -> dict[str, object]:
    async with connect(command) as (read, write, *_), ClientSession(read, write) as session:
        hello = await session.initialize()
        query = await session.call_tool("query", {"sql": "SELECT 6 * ? AS n", "params": [7]})
        refused = await session.call_tool("query", {"sql": "DROP TABLE customers"})
        prompt = await session.get_prompt("analyze-table", {"table_name": "customers"})
        table = ResourceTemplateReference(type="ref/resource", uri="db://tables/{table}")
        completion = await session.complete(table, {"name": "table", "value": "cu"})
        return {
            "revision": str(hello.protocolVersion),
            "tools": [tool.name for tool in (await session.list_tools()).tools],
            "query": query.structuredContent,
            "refused": [refused.isError, refused.content[0].type == "text"],
            "resources": [str(resource.uri) for resource in (await session.list_resources()).resources],
            "templates": [t.uriTemplate for t in (await session.list_resource_templates()).resourceTemplates],
            "schema": (await session.read_resource(AnyUrl("db://schema"))).contents[0].text,
            "prompts": [prompt.name for prompt in (await session.list_prompts()).prompts],
            "prompt": prompt.messages[0].content.text,
            "completion": completion.completion.values,
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(ask(sys.argv[1:]))))
