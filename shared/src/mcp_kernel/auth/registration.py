"""Who the client is to an authorisation server, and how it proves that at the token endpoint."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from mcp_kernel.auth.address import is_loopback, show, split_url
from mcp_kernel.auth.metadata import ServerMetadata, text_of
from mcp_kernel.auth.web import Web
from mcp_kernel.errors import AuthorizationError

_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_TIME: Final = 120  # seconds
_METHODS: Final = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that the authorisation server knows the public part of, in PEM."""

    pem: str = field(repr=False)
    algorithm: str = "ES256"
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """A client that an authorisation server knows: with a secret, with a key, or public.

    Give the `issuer` where you know it: the credentials are then never sent to another. Otherwise they are bound to
    the first one that they are used with. `method` overrides what the server's metadata suggests.
    """

    client_id: str
    client_secret: str = field(default="", repr=False)
    signing_key: SigningKey | None = None
    issuer: str = ""
    method: str = ""

    def authenticate(self, form: dict[str, str], server: ServerMetadata) -> dict[str, str]:
        """Put the proof of who asks into a token request; returns the headers that it takes."""
        method = self.method or self._choose(server.authentication_methods)
        if method == "private_key_jwt" and self.signing_key is not None:
            form["client_id"] = self.client_id
            form["client_assertion_type"] = _JWT_BEARER
            form["client_assertion"] = self._assert(self.signing_key, server.issuer)
        elif method == "client_secret_basic" and self.client_secret:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"  # RFC 6749, section 2.3.1
            return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        elif method == "client_secret_post" and self.client_secret:
            form["client_id"], form["client_secret"] = self.client_id, self.client_secret
        elif method == "none":
            form["client_id"] = self.client_id
        else:
            raise AuthorizationError(
                f"The client has nothing to authenticate with by {method}, as {show(server.issuer)} wants. "
                "Register it there with a secret or a key, and give that."
            )
        return {}

    def _choose(self, supported: tuple[str, ...] | None) -> str:
        if self.signing_key is not None:
            return "private_key_jwt"
        if not self.client_secret:
            return "none"
        if supported is None:  # RFC 8414, section 2: the default
            return "client_secret_basic"
        return next((method for method in (*_METHODS, "none") if method in supported), "client_secret_basic")

    def _assert(self, key: SigningKey, audience: str) -> str:
        import jwt

        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + _ASSERTION_TIME,
            "jti": secrets.token_urlsafe(24),
        }
        try:
            return jwt.encode(claims, key.pem, key.algorithm, headers={"kid": key.key_id} if key.key_id else None)
        except (ValueError, TypeError, NotImplementedError, jwt.PyJWTError):
            raise AuthorizationError(f"The client's key is no private key for {key.algorithm} in PEM.") from None


@dataclass(frozen=True, slots=True)
class Registered:
    """The outcome of a dynamic registration."""

    client_id: str
    client_secret: str = field(repr=False)
    method: str
    expires: float


async def register(web: Web, server: ServerMetadata, metadata: Mapping[str, object]) -> Registered:
    """Register the client dynamically (RFC 7591)."""
    reply = await web.post_document(server.registration_endpoint, metadata)
    client_id = text_of(reply.document, "client_id")
    if not reply.succeeded or not client_id:
        error, hint = explain(reply.document, ()), ""
        if text_of(reply.document, "error") == "invalid_redirect_uri":
            hint = " Give a redirect_uri that it allows for this application_type."
        raise AuthorizationError(
            f"{show(server.issuer)} does not register this client (status {reply.status}{error}).{hint} "
            "Register a client there by hand, and give its client_id.",
            text_of(reply.document, "error"),
        )
    expires = reply.document.get("client_secret_expires_at")
    return Registered(
        client_id,
        text_of(reply.document, "client_secret"),
        text_of(reply.document, "token_endpoint_auth_method"),
        float(expires) if isinstance(expires, int | float) and expires > 0 else 0.0,
    )


def describe_client(
    redirect_uri: str, given: Mapping[str, object], server: ServerMetadata, *, bound: bool
) -> dict[str, object]:
    """The metadata to register with; what is given goes before what is worked out.

    Scopes are not among it: a registration for those of today may refuse those that are needed tomorrow.
    """
    supported = server.authentication_methods or ("client_secret_basic",)
    method = next((one for one in ("none", *_METHODS) if one in supported), "none")
    metadata: dict[str, object] = {
        "client_name": "MCP client",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "application_type": _application_type(redirect_uri),
    }
    if bound:
        metadata["dpop_bound_access_tokens"] = True
    return {**metadata, **given}


def explain(document: Mapping[str, object], secrets_sent: tuple[str, ...]) -> str:
    """What an OAuth error says, fit to be shown: no control characters, not endless, no secret sent back."""
    words = [text_of(document, "error"), text_of(document, "error_description")]
    text = ": ".join(word for word in words if word)
    for secret in sorted(secrets_sent, key=len, reverse=True):
        text = text.replace(secret, "[secret]") if secret else text
    text = "".join(character if character.isprintable() else " " for character in text[:300])
    return f", {text}" if text else ""


def _application_type(redirect_uri: str) -> str:
    parts = split_url(redirect_uri)
    if parts is None or parts.scheme not in ("http", "https") or is_loopback(parts.hostname or ""):
        return "native"
    return "web"
