"""An MCP server's door: it admits who has a token that is for it, is fresh, and has the scopes."""

from __future__ import annotations

from typing import Any

import jwt
from tests.auth.issuer import Issuer
from tests.auth.proofs import BadProof, verify_proof
from tests.auth.realm import Answer, Ask, Json

URL = "https://mcp.example/mcp"
METADATA = "https://mcp.example/.well-known/oauth-protected-resource/mcp"


class Resource:
    """The host of a resource. Its attributes are what a test turns."""

    def __init__(self, issuer: Issuer, **metadata: Any) -> None:
        self.issuer = issuer
        self.metadata: Json = {"resource": URL, "authorization_servers": [issuer.issuer], **metadata}
        self.metadata_path = "/.well-known/oauth-protected-resource/mcp"
        self.challenge = ""  # beside what is said always
        self.points = True  # to its metadata
        self.scheme = "Bearer"
        self.wanted: dict[str, str] = {}  # scopes, by path
        self.nonce = ""  # wanted in proofs
        self.revoked: set[str] = set()
        self.jtis: set[str] = set()
        self.tokens: list[str] = []

    def __call__(self, ask: Ask) -> Answer:
        if ask.url.path.startswith("/.well-known/"):
            return Answer(document=self.metadata) if ask.url.path == self.metadata_path else Answer(404)
        scheme, _, token = ask.headers.get("authorization", "").partition(" ")
        if not token:
            return self._refuse(401)
        assert "authorization" not in ask.query
        assert "access_token" not in ask.query
        self.tokens.append(token)
        try:
            claims = jwt.decode(token, self.issuer.key.public_key(), ["ES256"], audience=URL)
        except jwt.PyJWTError:
            return self._refuse(401, 'error="invalid_token"')
        if token in self.revoked:
            return self._refuse(401, 'error="invalid_token"')
        if refusal := self._check_binding(ask, scheme, token, claims):
            return refusal
        wanted = self.wanted.get(ask.url.path, "")
        if not set(wanted.split()) <= set(claims["scope"].split()):
            return self._refuse(403, f'error="insufficient_scope", scope="{wanted}"')
        return Answer(document={"scope": claims["scope"]})

    def _check_binding(self, ask: Ask, scheme: str, token: str, claims: Json) -> Answer | None:
        bound = claims.get("cnf", {}).get("jkt", "")
        if scheme != ("DPoP" if bound else "Bearer"):
            return self._refuse(401, 'error="invalid_token"')
        if not bound:
            return None
        try:
            thumbprint, nonce = verify_proof(ask, self.jtis, access_token=token)
        except BadProof as bad:
            return self._refuse(401, f'error="invalid_dpop_proof", error_description="{bad}"')
        assert thumbprint == bound
        if nonce == self.nonce:
            return None
        answer = self._refuse(401, 'error="use_dpop_nonce"')
        return Answer(answer.status, answer.document, {**answer.headers, "dpop-nonce": self.nonce})

    def _refuse(self, status: int, said: str = "") -> Answer:
        points = f'resource_metadata="https://mcp.example{self.metadata_path}"' if self.points else ""
        words = ", ".join(word for word in (points, said, self.challenge) if word)
        return Answer(status, {"error": "refused"}, {"www-authenticate": f"{self.scheme} {words}".strip()})
