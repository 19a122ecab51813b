"""Authorisation of clients: `Client(url, auth=OAuth(url, grant))`, with the grants and what they are told.

`OAuth` is the door; the rest is what it is given. It takes the extra `mcp-kernel[auth]`.
"""

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
