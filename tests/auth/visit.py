"""A client of the realm, and its user."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from tests.auth.issuer import Issuer
from tests.auth.realm import Realm
from tests.auth.resource import URL, Resource

from mcp_kernel.auth import AuthorizationCode, Grant, MemoryStore, OAuth

REDIRECT = "http://127.0.0.1:3000/callback"


class World:
    """A resource, its issuer, and a user who says yes."""

    def __init__(self, issuer: Issuer | None = None, **metadata: Any) -> None:
        self.realm = Realm()
        self.issuer = issuer or Issuer()
        self.resource = Resource(self.issuer, **metadata)
        self.realm.hosts = {"https://mcp.example": self.resource, self.issuer.origin: self.issuer}
        self.store = MemoryStore()
        self.shown: list[httpx.URL] = []

    async def agree(self, url: str) -> str:
        """The user's browser: goes where it is sent, once."""
        self.shown.append(httpx.URL(url))
        async with httpx.AsyncClient(transport=self.realm) as browser:
            return (await browser.get(url)).headers["location"]

    def grant(self, **options: Any) -> AuthorizationCode:
        return AuthorizationCode(self.agree, REDIRECT, **options)

    @asynccontextmanager
    async def client(self, grant: Grant | None = None, **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
        options = {"store": self.store, **options}
        auth = OAuth(URL, grant or self.grant(), transport=self.realm, **options)
        async with httpx.AsyncClient(auth=auth, transport=self.realm) as client:
            yield client

    async def call(self, grant: Grant | None = None, **options: Any) -> httpx.Response:
        """One request by a new client."""
        async with self.client(grant, **options) as client:
            return await client.post(URL, json={"method": "tools/list"})
