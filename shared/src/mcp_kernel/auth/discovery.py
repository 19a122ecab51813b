"""Finding who issues tokens for a server: its metadata, then that of its authorisation server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlunsplit

from mcp_kernel.auth.address import canonical, origin, require_safe, show
from mcp_kernel.auth.challenge import Challenge
from mcp_kernel.auth.metadata import (
    ResourceMetadata,
    ServerMetadata,
    assume_server,
    read_resource,
    read_server,
    resource_metadata_urls,
    server_metadata_urls,
)
from mcp_kernel.auth.web import Reply, Web
from mcp_kernel.errors import AuthorizationError

_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class Place:
    """A resource, and the authorisation server to ask for it."""

    resource: ResourceMetadata
    server: ServerMetadata


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of several issuers to take: one that must be it, one that is known already."""

    required: str = ""
    known: str = ""
    assume_endpoints: bool = False


async def find_place(web: Web, server_url: str, challenge: Challenge, preference: Preference) -> Place:
    """Find where to authorise; raises `AuthorizationError` where the way is unsafe or ends nowhere."""
    resource = await _find_resource(web, server_url, challenge)
    if resource is None:
        # Before 2025-06-18 a server described itself by nothing but its authorisation server, which was at its origin.
        home = urlunsplit((*origin(server_url), "", "", ""))
        resource = ResourceMetadata(canonical(server_url), (preference.required or home,))
    server = await find_server(web, server_url, _choose(resource, preference), preference.assume_endpoints)
    return Place(resource, server)


async def find_server(web: Web, server_url: str, issuer: str, assume_endpoints: bool = False) -> ServerMetadata:
    """Find an authorisation server's metadata in the places where it may be."""
    require_safe(issuer, "The authorisation server", server_url)
    unfit: AuthorizationError | None = None
    for url in server_metadata_urls(issuer):
        reply = await web.get(url)
        _require_calm(reply, url)
        if not reply.succeeded or not reply.document:
            continue
        try:
            return read_server(reply.document, issuer, server_url)
        except AuthorizationError as error:
            unfit = unfit or error
    if unfit is not None:
        raise unfit
    if assume_endpoints and origin(issuer) == origin(server_url):
        return assume_server(server_url)
    raise AuthorizationError(
        f"The authorisation server {show(issuer)} has no metadata at {show(server_metadata_urls(issuer)[0])} or the "
        "places of OpenID Connect. Its operator has to serve it."
    )


async def _find_resource(web: Web, server_url: str, challenge: Challenge) -> ResourceMetadata | None:
    if challenge.resource_metadata:
        url = require_safe(challenge.resource_metadata, "The place of the server's metadata", server_url)
        reply = await web.get(url)
        if not reply.succeeded or not reply.document:
            raise AuthorizationError(
                f"The server says that its metadata is at {show(url)}, where there is none (status {reply.status}). "
                "Its operator has to serve it there, without a redirect."
            )
        return read_resource(reply.document, server_url)
    for url in resource_metadata_urls(server_url):
        reply = await web.get(url)
        _require_calm(reply, url)
        if reply.succeeded and reply.document:
            return read_resource(reply.document, server_url)
    return None


def _require_calm(reply: Reply, url: str) -> None:
    """A server in trouble has not said that there is nothing."""
    if reply.status >= 500 or reply.status == _TOO_MANY:
        raise AuthorizationError(f"{show(url)} answered with status {reply.status}. Try again later.")


def _choose(resource: ResourceMetadata, preference: Preference) -> str:
    if preference.required:
        if preference.required not in resource.issuers:
            raise AuthorizationError(
                f"The client is registered with {show(preference.required)}, but tokens for this server are issued by "
                f"{', '.join(map(show, resource.issuers))}. Register it there, and give what you get."
            )
        return preference.required
    return preference.known if preference.known in resource.issuers else resource.issuers[0]
