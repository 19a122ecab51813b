"""Authorisation of clients: `Client(url, auth=OAuth(url, grant))`, with the grants and what they are told.

`OAuth` is the door; the rest is what it is given. It takes the extra `mcp-kernel[auth]`. The server's side is in
`resource/`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcp_kernel.auth.grants import (
        AuthorizationCode,
        ClientCredentials,
        EnterpriseManaged,
        Grant,
        IdentityProvider,
        JwtBearer,
        Target,
    )
    from mcp_kernel.auth.oauth import OAuth
    from mcp_kernel.auth.registration import Registration, SigningKey
    from mcp_kernel.auth.tokens import Account, FileStore, MemoryStore, TokenStore

__all__ = [
    "Account",
    "AuthorizationCode",
    "ClientCredentials",
    "EnterpriseManaged",
    "FileStore",
    "Grant",
    "IdentityProvider",
    "JwtBearer",
    "MemoryStore",
    "OAuth",
    "Registration",
    "SigningKey",
    "Target",
    "TokenStore",
]

_HOMES: Final = {
    "OAuth": "oauth",
    **dict.fromkeys(("Registration", "SigningKey"), "registration"),
    **dict.fromkeys(("Account", "FileStore", "MemoryStore", "TokenStore"), "tokens"),
}


def __getattr__(name: str) -> object:
    """Import the client's side when it is asked for: a server whose keys are in a file has no httpx."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mcp_kernel.auth.{_HOMES.get(name, 'grants')}"), name)
