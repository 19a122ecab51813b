"""The token endpoint: one request for a token, with the client's proof of itself and of its key."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final

from mcp_kernel.auth.address import origin, show
from mcp_kernel.auth.dpop import ProofKey
from mcp_kernel.auth.metadata import ServerMetadata, text_of
from mcp_kernel.auth.registration import Registration, explain
from mcp_kernel.auth.web import Reply, Web
from mcp_kernel.errors import AuthorizationError

_SECRET: Final = frozenset(
    ("client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "assertion", "subject_token")
)
_ADVICE: Final[Mapping[str, str]] = {
    "invalid_client": "Check the client's id and credentials, and that they are of this authorisation server.",
    "invalid_grant": "What was presented is expired, used, or meant for another. Authorise again.",
    "invalid_scope": "Ask for other scopes.",
    "invalid_target": "The authorisation server does not know this resource. Its operator has to add it.",
    "unauthorized_client": "The client may not use this grant. The authorisation server's operator has to allow it.",
    "unsupported_grant_type": "Choose a grant that the authorisation server knows.",
}


@dataclass(frozen=True, slots=True)
class Token:
    """What a token endpoint gave."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires: float
    scopes: tuple[str, ...] | None  # None: as asked
    bound: bool


class TokenEndpoint:
    """The token endpoint of one server, for one client. `nonces` are remembered by origin, from request to request."""

    def __init__(
        self,
        web: Web,
        server: ServerMetadata,
        registration: Registration,
        *,
        proof_key: ProofKey | None = None,
        nonces: MutableMapping[tuple[str, str], str],
    ) -> None:
        self.server = server
        self.proof_key = proof_key
        self.web = web
        self._registration = registration
        self._nonces = nonces

    async def ask(self, form: Mapping[str, str]) -> Token:
        """Ask for a token; raises `AuthorizationError` with the code that was given."""
        document = await self.exchange(form)
        kind = text_of(document, "token_type").lower()
        access_token = text_of(document, "access_token")
        where = show(self.server.issuer)
        if not access_token or not access_token.isascii() or not access_token.isprintable() or " " in access_token:
            raise AuthorizationError(f"{where} answered without a usable access token. Its operator has to look.")
        if kind not in ("bearer", "dpop") or (kind == "dpop" and self.proof_key is None):
            raise AuthorizationError(
                f"{where} gave a token of a type that this client cannot use. Turn DPoP on or off."
            )
        scope = document.get("scope")
        return Token(
            access_token,
            text_of(document, "refresh_token"),
            _expiry(document.get("expires_in")),
            tuple(scope.split()) if isinstance(scope, str) else None,
            kind == "dpop",
        )

    async def exchange(self, form: Mapping[str, str]) -> Mapping[str, object]:
        """Post a form, and again where a nonce for the proof is wanted; the answer as it is."""
        sent = dict(form)
        headers = self._registration.authenticate(sent, self.server)
        reply = await self._post(sent, headers)
        if not reply.succeeded and text_of(reply.document, "error") == "use_dpop_nonce" and reply.nonce:
            # A client assertion is for one use.
            headers = self._registration.authenticate(sent, self.server)
            reply = await self._post(sent, headers)
        if reply.succeeded:
            return reply.document
        code = text_of(reply.document, "error")
        hidden = tuple(value for name, value in sent.items() if name in _SECRET)
        said = explain(reply.document, (*hidden, self._registration.client_secret, *headers.values()))
        advice = _ADVICE.get(code, "Try again later, or ask the operator of the authorisation server.")
        raise AuthorizationError(
            f"{show(self.server.issuer)} gives no token (status {reply.status}{said}). {advice}", code
        )

    async def _post(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        url = self.server.token_endpoint
        place = origin(url)
        proof: dict[str, str] = {}
        if self.proof_key is not None:
            proof["dpop"] = self.proof_key.prove("POST", url, nonce=self._nonces.get(place, ""))
        reply = await self.web.post_form(url, form, {**headers, **proof})
        if reply.nonce:
            self._nonces[place] = reply.nonce
        return reply


def _expiry(seconds: object) -> float:
    try:
        # Some servers send a text.
        value = float(seconds) if isinstance(seconds, int | float | str) else 0.0
    except ValueError:
        return 0.0
    return time.time() + value if math.isfinite(value) and value > 0 else 0.0
