"""The public client of PyPI's `mcp` 2.3: asks a server what the interop tests compare, prints it as one JSON object.

python sdk_2.py MODE COMMAND...        # MODE: legacy for a handshake, auto to find the newest revision
python sdk_2.py MODE URL
"""

import asyncio
import json
import sys
from typing import Literal

from mcp import Client, StdioServerParameters
from mcp_types import ResourceTemplateReference, TextContent, TextResourceContents


async def ask(mode: Literal["legacy", "auto"], command: list[str]) -> dict[str, object]:
    url = command[0] if command[0].startswith("http") else None
    server = url or StdioServerParameters(command=command[0], args=command[1:])
    async with Client(server, mode=mode, read_timeout_seconds=20) as client:
        query = await client.call_tool("query", {"sql": "SELECT 6 * ? AS n", "params": [7]})
        refused = await client.call_tool("query", {"sql": "DROP TABLE customers"})
        read = (await client.read_resource("db://schema")).contents[0]
        prompt = await client.get_prompt("analyze-table", {"table_name": "customers"})
        table = ResourceTemplateReference(type="ref/resource", uri="db://tables/{table}")
        completion = await client.complete(table, {"name": "table", "value": "cu"})
        message = prompt.messages[0].content
        return {
            "revision": client.protocol_version,
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "query": query.structured_content,
            "refused": [refused.is_error, isinstance(refused.content[0], TextContent)],
            "resources": [str(resource.uri) for resource in (await client.list_resources()).resources],
            "templates": [t.uri_template for t in (await client.list_resource_templates()).resource_templates],
            "schema": read.text if isinstance(read, TextResourceContents) else None,
            "prompts": [prompt.name for prompt in (await client.list_prompts()).prompts],
            "prompt": message.text if isinstance(message, TextContent) else None,
            "completion": completion.completion.values,
        }


if __name__ == "__main__":
    wanted: Literal["legacy", "auto"] = "legacy" if sys.argv[1] == "legacy" else "auto"
    sys.stdout.write(json.dumps(asyncio.run(ask(wanted, sys.argv[2:]))))
