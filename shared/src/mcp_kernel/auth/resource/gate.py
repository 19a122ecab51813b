"""The gate before the endpoint: keys of the file, tokens of an issuer, and what is said to whoever has neither."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from mcp_kernel.auth.resource.bearer import (
    Credential,
    Unusable,
    read_credential,
    write_challenge,
    write_proof_challenge,
)
from mcp_kernel.auth.resource.binding import (
    ALGORITHMS,
    FUTURE_SECONDS,
    PAST_SECONDS,
    Bindings,
    Presented,
    Proofs,
    Unproved,
)
from mcp_kernel.auth.resource.certificates import Wallet, read_certificate
from mcp_kernel.auth.resource.document import Document
from mcp_kernel.auth.resource.following import AuthFile
from mcp_kernel.auth.resource.keys import KeyRing
from mcp_kernel.auth.resource.place import Place, describe, metadata_url
from mcp_kernel.auth.resource.settings import Introspection, Jwt, Key, Settings, read_settings
from mcp_kernel.auth.resource.tokens import Claims, Rejected, Unavailable, Verifier, make_principal, require_life
from mcp_kernel.server.principal import Knock, Principal, Refusal, ask_for_scopes

_LOG = logging.getLogger("mcp_kernel")

MakeVerifier = Callable[["Jwt | Introspection"], Verifier]


class ResourceGate:
    """Admits whoever has a key or a token.

    `read` understands the file and is put into use by it; until then nobody is let in. `proofs` is where processes that
    serve the same clients keep which proofs of keys were used; without it this process does alone.
    """

    def __init__(
        self,
        place: Place,
        *,
        make_verifier: MakeVerifier | None = None,
        now: Callable[[], float] = time.time,
        proofs: Proofs | None = None,
    ) -> None:
        self._place = place
        self._make_verifier = make_verifier or _make_verifier
        self._now = now
        self._settings = Settings()
        self._ring = KeyRing(())
        self._wallet = Wallet(())
        self._verifier: Verifier | None = None
        self._verifiers: list[Verifier] = []  # with those that an earlier file wanted, which may be in use still
        self._bindings = Bindings(now)
        self._proofs = proofs
        self.file: AuthFile | None = None

    def read(self, document: Document) -> Callable[[], None]:
        """Understand who is let in; a part of an `AuthFile`."""
        settings = read_settings(document, self._place.url)
        section = "jwt" if isinstance(settings.tokens, Jwt) else "introspection"
        if settings.tokens and not settings.resource and not self._place.follows_proxies:
            document.complain(
                "resource is missing: this server's own URL, which a token must be for (or --public-url)", section
            )
        verifier = self._verifier
        if settings.tokens is None:
            verifier = None
        elif settings.tokens != self._settings.tokens and not document.mistakes:
            try:
                verifier = self._make_verifier(settings.tokens)
                self._verifiers.append(verifier)
            except ImportError:
                document.complain("tokens need more packages: install mcp-kernel[auth]", section)

        def use() -> None:
            self._settings, self._ring, self._verifier = settings, KeyRing(settings.keys), verifier
            self._wallet = Wallet(settings.certificates)

        return use

    async def admit(self, knock: Knock) -> Principal | Refusal:
        """Say who asks, or why nobody is let in."""
        self._look()
        resource = self._settings.resource or self._place.locate(knock)
        try:
            certificate = read_certificate(knock, from_proxy=self._place.trusts(knock))
            credential = read_credential(knock)
            owner = self._wallet.find(certificate) if credential is None and certificate else None
            if owner is not None:
                name = f"certificate {quote(owner.name, safe='')}"
                return Principal(name, owner.roles, owner.scopes, holds=lambda: self._look() and owner in self._wallet)
            if credential is None:
                return self._challenge(resource, 401, "Say who you are: with Authorization: Bearer, or X-API-Key")
            key = self._ring.find(credential.text) if credential.scheme != "dpop" else None
            if key is not None:
                return self._admit_key(key, metadata_url(resource) if self._settings.tokens else "")
            return await self._admit_token(credential, knock, resource, certificate)
        except Unusable as error:
            return self._challenge(resource, error.status, str(error), error.error)
        except Unproved as error:
            return Refusal(401, str(error), write_proof_challenge(ALGORITHMS, "invalid_dpop_proof", str(error)))
        except Rejected as error:
            return self._challenge(resource, 401, str(error), "invalid_token")
        except Unavailable as error:
            return Refusal(503, str(error), ((b"retry-after", b"%d" % error.seconds),))

    def _admit_key(self, key: Key, metadata: str) -> Principal:
        if key.expires is not None and key.expires <= self._now():
            raise Rejected("The key has expired")
        name = f"key {quote(key.name, safe='')}"
        return Principal(name, key.roles, key.scopes, metadata=metadata, holds=lambda: self._holds_key(key))

    def _look(self) -> bool:
        """See to it that the file is the one that counts; True."""
        if self.file is not None:
            self.file.look()
        return True

    def _holds_key(self, key: Key) -> bool:
        return self._look() and key in self._ring and (key.expires is None or key.expires > self._now())

    def _holds_token(self, tokens: Jwt | Introspection, claims: Claims) -> bool:
        leeway = tokens.leeway if isinstance(tokens, Jwt) else 0
        try:
            require_life(claims, self._now(), leeway, required=False)
        except Rejected:
            return False
        return self._look() and self._settings.tokens == tokens

    async def _admit_token(
        self, credential: Credential, knock: Knock, resource: str, certificate: bytes | None
    ) -> Principal | Refusal:
        tokens, verifier = self._settings.tokens, self._verifier
        if tokens is None or verifier is None or credential.scheme == "key":
            raise Rejected("The key is unknown")
        if not resource:
            raise Rejected("The address of this server is unknown, so that no token is for it")
        claims = await verifier.verify(credential.text.decode("ascii"), resource)
        proof = self._bindings.check(
            claims,
            Presented(
                scheme=credential.scheme,
                token=credential.text,
                proofs=knock.values(b"dpop"),
                certificate=certificate,
                method=knock.method,
                url=self._place.spell(knock, resource),
            ),
        )
        shared = self._proofs if proof is not None else None
        if shared is not None and not await shared.take(proof or b"", PAST_SECONDS + FUTURE_SECONDS):
            raise Unproved("The proof was used before (jti)")
        metadata = metadata_url(resource)
        principal = make_principal(claims, tokens.issuer, tokens.grants, metadata)
        if not principal.scopes.issuperset(tokens.grants.required_scopes):
            headers = ask_for_scopes(principal, tokens.grants.required_scopes)
            return Refusal(403, "The token has not all scopes that it takes here", headers)
        return replace(principal, holds=lambda: self._holds_token(tokens, claims))

    def _challenge(self, resource: str, status: int, reason: str, error: str = "") -> Refusal:
        """A refusal; where an issuer is, with the way to it. What a caller may learn stands in both."""
        tokens = self._settings.tokens
        metadata, scopes = (metadata_url(resource), tokens.grants.required_scopes) if tokens else ("", ())
        return Refusal(status, reason, write_challenge(metadata, scopes, error, reason if error else ""))

    def document(self, knock: Knock) -> bytes | None:
        """The metadata of this server, at its addresses (RFC 9728, section 3)."""
        tokens = self._settings.tokens
        resource = self._settings.resource or self._place.locate(knock)
        if tokens is None or not resource or not self._place.describes(knock.path, resource):
            return None
        return describe(resource, tokens.issuer, tokens.grants.required_scopes)

    async def close(self) -> None:
        """Leave nothing behind."""
        for verifier in self._verifiers:
            await verifier.close()


def _make_verifier(tokens: Jwt | Introspection) -> Verifier:
    if isinstance(tokens, Jwt):
        from mcp_kernel.auth.resource.jwt import JwtVerifier

        return JwtVerifier(tokens)
    from mcp_kernel.auth.resource.introspection import IntrospectionVerifier

    return IntrospectionVerifier(tokens)
