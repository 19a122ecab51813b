"""The public client of PyPI's `mcp` 2.3 that has to authorise itself first; prints what it got as one JSON object.

python authorized_sdk_2.py MODE URL      # MODE: legacy for a handshake, auto to find the newest revision
"""

import asyncio
import json
import sys
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

REDIRECT = "http://127.0.0.1:3000/callback"


class Memory:
    """Keeps what the client was given."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Goes where it is sent, and its user says yes."""

    def __init__(self) -> None:
        self.came_back: dict[str, list[str]] = {}

    async def show(self, url: str) -> None:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
        self.came_back = parse_qs(urlsplit(answer.headers["location"]).query)

    async def wait(self) -> AuthorizationCodeResult:
        given = {name: values[0] for name, values in self.came_back.items()}
        return AuthorizationCodeResult(code=given["code"], state=given["state"], iss=given["iss"])


async def ask(mode: Literal["legacy", "auto"], url: str) -> dict[str, object]:
    memory, browser = Memory(), Browser()
    metadata = OAuthClientMetadata(
        redirect_uris=[AnyUrl(REDIRECT)], client_name="tester", token_endpoint_auth_method="none"
    )
    auth = OAuthClientProvider(url, metadata, memory, browser.show, browser.wait)
    async with httpx2.AsyncClient(auth=auth, timeout=20) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, read_timeout_seconds=20) as client:
            result = await client.call_tool("query", {"sql": "SELECT 6 * 7 AS n"})
            return {
                "revision": client.protocol_version,
                "tools": [tool.name for tool in (await client.list_tools()).tools],
                "query": result.structured_content,
                "scope": memory.tokens.scope if memory.tokens else None,
            }


if __name__ == "__main__":
    wanted: Literal["legacy", "auto"] = "legacy" if sys.argv[1] == "legacy" else "auto"
    sys.stdout.write(json.dumps(asyncio.run(ask(wanted, sys.argv[2]))))
