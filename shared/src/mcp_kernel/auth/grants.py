"""How a client comes by a token: for a user, for itself, or by a word of somebody whom the server trusts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcp_kernel.auth.address import show
from mcp_kernel.auth.endpoint import Token, TokenEndpoint
from mcp_kernel.auth.metadata import ServerMetadata, text_of
from mcp_kernel.auth.registration import Registration, explain
from mcp_kernel.auth.web import Web
from mcp_kernel.errors import AuthorizationError

_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_JAG: Final = "urn:ietf:params:oauth:token-type:id-jag"


@dataclass(frozen=True, slots=True)
class Target:
    """What a token is for: the resource, the issuer of the token, and the scopes."""

    resource: str
    issuer: str
    scopes: tuple[str, ...]

    def form(self, **members: str) -> dict[str, str]:
        """The members of a token request that say so, with more."""
        scope = {"scope": " ".join(self.scopes)} if self.scopes else {}
        return {**members, "resource": self.resource, **scope}


Authorize: TypeAlias = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A user says yes in a browser (authorisation code with PKCE).

    `authorize` shows the user the URL that it is given, and returns the whole URL that the browser was sent to, which
    begins with `redirect_uri`. Who the client is: `registration` where it was registered beforehand; else
    `client_metadata_url`, where the server takes client ID metadata documents; else it is registered dynamically, with
    `client_metadata` on top of what is worked out. `assume_endpoints` makes do with a server of 2025-03-26 that has no
    metadata at all, and therefore cannot say that it knows PKCE.
    """

    authorize: Authorize
    redirect_uri: str
    registration: Registration | None = None
    client_metadata_url: str = ""
    client_metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    assume_endpoints: bool = False

    async def obtain(self, endpoint: TokenEndpoint, target: Target, client_id: str) -> Token:
        """Send the user to the authorisation server, and redeem what comes back."""
        server = endpoint.server
        if not server.authorization_endpoint:
            raise AuthorizationError(f"{show(server.issuer)} has no authorization_endpoint. Use another grant.")
        if "S256" not in server.challenge_methods:
            raise AuthorizationError(
                f"{show(server.issuer)} does not say that it knows PKCE with S256, without which a code can be stolen. "
                "Its operator has to add code_challenge_methods_supported to its metadata."
            )
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
            "code_challenge": _digest(verifier),
            "code_challenge_method": "S256",
            **target.form(),
        }
        if "offline_access" in target.scopes:
            query["prompt"] = "consent"  # OpenID Connect Core, section 11: otherwise it is ignored
        if endpoint.proof_key is not None:
            query["dpop_jkt"] = endpoint.proof_key.thumbprint
        joint = "&" if urlsplit(server.authorization_endpoint).query else "?"
        came_back = await self.authorize(f"{server.authorization_endpoint}{joint}{urlencode(query)}")
        code = read_redirect(came_back, self.redirect_uri, state, server)
        form = target.form(grant_type="authorization_code", code=code, redirect_uri=self.redirect_uri)
        form.pop("scope", None)  # the code has them
        return await endpoint.ask({**form, "code_verifier": verifier})


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The client acts for itself, with its secret or its key."""

    registration: Registration

    async def obtain(self, endpoint: TokenEndpoint, target: Target, client_id: str) -> Token:
        """Ask for a token at once."""
        return await endpoint.ask(target.form(grant_type="client_credentials"))


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """Somebody whom the server trusts vouches for the client (RFC 7523), as in workload identity federation.

    `assertion` gives a signed JWT whose audience is the target's issuer; it is called each time, since such a word may
    be good for one use only.
    """

    registration: Registration
    assertion: Callable[[Target], Awaitable[str]] = field(repr=False)

    async def obtain(self, endpoint: TokenEndpoint, target: Target, client_id: str) -> Token:
        """Present the assertion. A refusal is final: the same word would be refused again."""
        return await endpoint.ask(target.form(grant_type=_JWT_BEARER, assertion=await self.assertion(target)))


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """An enterprise's identity provider, and the client's registration there.

    `identity` gives what the user's sign-in gave: an ID token, or a token of another `identity_type`.
    """

    token_endpoint: str
    registration: Registration
    identity: Callable[[], Awaitable[str]] = field(repr=False)
    identity_type: str = "urn:ietf:params:oauth:token-type:id_token"

    async def vouch(self, target: Target, web: Web) -> str:
        """Exchange the user's identity for an assertion for one server and one resource (RFC 8693)."""
        server = ServerMetadata(self.registration.issuer or self.token_endpoint, self.token_endpoint)
        form = target.form(
            grant_type=_EXCHANGE,
            requested_token_type=_ID_JAG,
            audience=target.issuer,
            subject_token=await self.identity(),
            subject_token_type=self.identity_type,
        )
        document = await TokenEndpoint(web, server, self.registration, nonces={}).exchange(form)
        assertion = text_of(document, "access_token")
        if text_of(document, "issued_token_type") != _ID_JAG or not assertion:
            raise AuthorizationError(
                f"The identity provider {show(self.token_endpoint)} gave no ID-JAG. Its administrator has to allow "
                "this client to reach this server."
            )
        return assertion


@dataclass(frozen=True, slots=True)
class EnterpriseManaged:
    """An enterprise decides for its users, who are never asked: its identity provider vouches for them (ID-JAG)."""

    registration: Registration
    provider: IdentityProvider

    async def obtain(self, endpoint: TokenEndpoint, target: Target, client_id: str) -> Token:
        """Have the provider vouch, and present its word."""
        assertion = await self.provider.vouch(target, endpoint.web)
        return await endpoint.ask(target.form(grant_type=_JWT_BEARER, assertion=assertion))


Grant: TypeAlias = AuthorizationCode | ClientCredentials | JwtBearer | EnterpriseManaged
"""On whose word, and in whose name, a client is given a token."""


def read_redirect(url: str, redirect_uri: str, state: str, server: ServerMetadata) -> str:
    """The code in an authorisation response, once it is known to answer our request and to be of our server."""
    query = urlsplit(url).query
    pairs = parse_qsl(query, keep_blank_values=True)
    answer = dict(pairs)
    if url.partition("?")[0] != redirect_uri.partition("?")[0] or len(answer) != len(pairs):
        raise AuthorizationError(f"What came back from {show(server.issuer)} is no answer to the request. Try again.")
    if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise AuthorizationError("What came back does not belong to this authorisation (state). Try again.")
    # RFC 9207, section 2.4, before anything else is believed: neither code nor error of another server.
    if answer.get("iss", "" if server.sends_issuer else server.issuer) != server.issuer:
        raise AuthorizationError(
            f"The answer is not of the authorisation server {show(server.issuer)} that was asked (iss), and was not "
            "used. Somebody may be tampering: try again, and tell the server's operator."
        )
    if "error" in answer:
        advice = "Ask the user again." if answer["error"] == "access_denied" else "Try again."
        raise AuthorizationError(f"{show(server.issuer)} refused{explain(answer, ())}. {advice}", answer["error"])
    if not answer.get("code"):
        raise AuthorizationError(f"{show(server.issuer)} sent back no code. Try again.")
    return answer["code"]


def _digest(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
