"""What a protected resource and an authorisation server say of themselves.

RFC 9728, RFC 8414, OpenID Connect Discovery. No I/O: where to ask, in the specification's order,
and what an answer means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlunsplit

from mcp_kernel.auth.address import canonical, covers, origin, require_safe, show, split_url
from mcp_kernel.errors import AuthorizationError

JsonObject = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """A protected resource: its identifier, who issues tokens for it, and which scopes it knows."""

    resource: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    wants_proofs: bool = False
    proof_algorithms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """An authorisation server; an endpoint that it does not have is empty."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    registration_endpoint: str = ""
    scopes: tuple[str, ...] = ()
    challenge_methods: tuple[str, ...] = ()
    authentication_methods: tuple[str, ...] | None = None
    proof_algorithms: tuple[str, ...] = ()
    knows_metadata_documents: bool = False
    sends_issuer: bool = False


def resource_metadata_urls(server_url: str) -> list[str]:
    """Where a server's metadata is, if its challenge does not say: for its path, then for its origin."""
    scheme, authority = origin(server_url)
    parts = split_url(server_url)
    path = parts.path.rstrip("/") if parts else ""
    well_known = "/.well-known/oauth-protected-resource"
    paths = [f"{well_known}{path}", well_known] if path else [well_known]
    return [urlunsplit((scheme, authority, place, "", "")) for place in paths]


def server_metadata_urls(issuer: str) -> list[str]:
    """Where an issuer's metadata is: OAuth's place, then those of OpenID Connect."""
    scheme, authority = origin(issuer)
    parts = split_url(issuer)
    path = parts.path.rstrip("/") if parts else ""
    paths = [f"/.well-known/oauth-authorization-server{path}", f"/.well-known/openid-configuration{path}"]
    if path:
        paths.append(f"{path}/.well-known/openid-configuration")
    return [urlunsplit((scheme, authority, place, "", "")) for place in paths]


def read_resource(document: JsonObject, server_url: str) -> ResourceMetadata:
    """Check a resource's metadata; raises `AuthorizationError` where it is of another resource, or names no issuer."""
    resource = text_of(document, "resource")
    if not covers(resource, server_url):
        raise AuthorizationError(
            f"The metadata of {show(server_url)} is of another resource ({show(resource) or 'none named'}), so that a "
            "token for it must not be sent here. Check the server's URL; if it is right, its operator has to correct "
            "`resource` in the metadata."
        )
    issuers = texts_of(document, "authorization_servers")
    if not issuers:
        raise AuthorizationError(
            f"The metadata of {show(server_url)} names no authorisation server. Its operator has to add "
            "`authorization_servers`."
        )
    return ResourceMetadata(
        resource=resource,
        issuers=tuple(issuers),
        scopes=tuple(texts_of(document, "scopes_supported")),
        wants_proofs=document.get("dpop_bound_access_tokens_required") is True,
        proof_algorithms=tuple(texts_of(document, "dpop_signing_alg_values_supported")),
    )


def read_server(document: JsonObject, issuer: str, server_url: str) -> ServerMetadata:
    """Check an authorisation server's metadata; raises `AuthorizationError` where it is another's or unsafe."""
    said = text_of(document, "issuer")
    if said != issuer:  # identical, character by character: RFC 8414, section 3.3
        raise AuthorizationError(
            f"The metadata of the authorisation server {show(issuer)} is that of {show(said) or 'nobody'}. The two "
            "must be identical: the operator of one of them has to correct it, often by a slash at the end."
        )

    def endpoint(name: str) -> str:
        url = text_of(document, name)
        return require_safe(url, f"The {name} of {show(issuer)}", server_url) if url else ""

    token_endpoint = endpoint("token_endpoint")
    if not token_endpoint:
        raise AuthorizationError(f"The authorisation server {show(issuer)} has no token_endpoint in its metadata.")
    methods = document.get("token_endpoint_auth_methods_supported")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=token_endpoint,
        authorization_endpoint=endpoint("authorization_endpoint"),
        registration_endpoint=endpoint("registration_endpoint"),
        scopes=tuple(texts_of(document, "scopes_supported")),
        challenge_methods=tuple(texts_of(document, "code_challenge_methods_supported")),
        authentication_methods=None
        if methods is None
        else tuple(texts_of(document, "token_endpoint_auth_methods_supported")),
        proof_algorithms=tuple(texts_of(document, "dpop_signing_alg_values_supported")),
        knows_metadata_documents=document.get("client_id_metadata_document_supported") is True,
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def assume_server(server_url: str) -> ServerMetadata:
    """The endpoints that a server of 2025-03-26 has without any metadata, which revision says must know PKCE."""
    base = urlunsplit((*origin(canonical(server_url)), "", "", ""))
    return ServerMetadata(
        issuer=base,
        token_endpoint=f"{base}/token",
        authorization_endpoint=f"{base}/authorize",
        registration_endpoint=f"{base}/register",
        challenge_methods=("S256",),
    )


def text_of(document: JsonObject, name: str) -> str:
    """A member that is a text; empty where it is not."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def texts_of(document: JsonObject, name: str) -> list[str]:
    """A member that is a list of texts; empty where it is not."""
    value = document.get(name)
    return [item for item in cast("list[object]", value) if isinstance(item, str)] if isinstance(value, list) else []
