"""The driver that the conformance suite starts for each of its client scenarios: `client.py URL`.

The suite says in MCP_CONFORMANCE_SCENARIO which scenario it plays, and what it takes in MCP_CONFORMANCE_CONTEXT.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import httpx

from mcp_kernel.auth import (
    AuthorizationCode,
    ClientCredentials,
    EnterpriseManaged,
    Grant,
    IdentityProvider,
    JwtBearer,
    MemoryStore,
    OAuth,
    Registration,
    SigningKey,
    Target,
)
from mcp_kernel.client import Client, Reach

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
METADATA_URL = "https://conformance-test.local/client-metadata.json"  # the one that the suite knows
REDIRECT_URI = "http://localhost:3000/callback"
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
    """How the scenario wants to be reached: those about authorisation with it, all others without."""
    if not SCENARIO.startswith("auth/"):
        return Reach()
    return Reach(auth=OAuth(url, choose_grant(), store=MemoryStore()))


async def authorize(url: str) -> str:
    """Open the authorisation page, as a user would who says yes to everything."""
    async with httpx.AsyncClient() as browser:
        return (await browser.get(url)).headers["location"]


def choose_grant() -> Grant:
    """The grant that a scenario is about; a user's consent where it is about something else."""
    registration = Registration(CONTEXT.get("client_id", ""), CONTEXT.get("client_secret", ""))
    if SCENARIO == "auth/client-credentials-jwt":
        key = SigningKey(CONTEXT["private_key_pem"], CONTEXT.get("signing_algorithm", "ES256"))
        return ClientCredentials(Registration(CONTEXT["client_id"], signing_key=key))
    if SCENARIO == "auth/client-credentials-basic":
        return ClientCredentials(registration)
    if SCENARIO == "auth/wif-jwt-bearer":
        return JwtBearer(Registration(CONTEXT["client_id"]), _giver(CONTEXT["valid_jwt"]))
    if SCENARIO == "auth/enterprise-managed-authorization":
        there = Registration(CONTEXT["idp_client_id"], issuer=CONTEXT["idp_issuer"])
        identity = _identity(CONTEXT["idp_id_token"])
        return EnterpriseManaged(registration, IdentityProvider(CONTEXT["idp_token_endpoint"], there, identity))
    if SCENARIO == "auth/pre-registration":
        return AuthorizationCode(authorize, REDIRECT_URI, registration=registration)
    return AuthorizationCode(authorize, REDIRECT_URI, client_metadata_url=METADATA_URL)


def _giver(assertion: str) -> Callable[[Target], Awaitable[str]]:
    async def give(target: Target) -> str:
        return assertion

    return give


def _identity(token: str) -> Callable[[], Awaitable[str]]:
    async def give() -> str:
        return token

    return give


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.watched import watch

    watch()
    asyncio.run(main(sys.argv[1]))
