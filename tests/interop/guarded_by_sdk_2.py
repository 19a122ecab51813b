"""A server of PyPI's `mcp` 2.3 that takes the tokens of an issuer: `guarded_by_sdk_2.py PORT ISSUER`."""

import sys

import httpx
import jwt
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

port, issuer = int(sys.argv[1]), sys.argv[2]
resource = f"http://127.0.0.1:{port}/mcp"


class Verifier:
    """Checks tokens as the peer leaves it to its users."""

    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx.AsyncClient() as web:
            keys = jwt.PyJWKSet.from_dict((await web.get(f"{issuer}/jwks.json")).json())
        (key,) = keys.keys
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=resource, issuer=issuer)
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id", "")),
            scopes=str(claims.get("scope", "")).split(),
            expires_at=claims["exp"],
            resource=resource,
        )


server = MCPServer(
    "guarded",
    version="2.3",
    token_verifier=Verifier(),
    # From texts, since an address that was parsed before has got a slash at its end, and is another issuer's.
    auth=AuthSettings.model_validate(
        {
            "issuer_url": issuer,
            "resource_server_url": resource,
            "required_scopes": ["mcp"],
            "validate_token_resource": True,
        }
    ),
)


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


server.run(transport="streamable-http", host="127.0.0.1", port=port)
