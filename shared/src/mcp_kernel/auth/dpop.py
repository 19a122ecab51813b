"""Tokens bound to a key: DPoP proofs (RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ALGORITHM: Final = "ES256"


class ProofKey:
    """A key that tokens are bound to. `private` is its JWK, to be kept as secret as the token."""

    __slots__ = ("_key", "_public", "private")

    def __init__(self, private: str) -> None:
        from jwt.algorithms import ECAlgorithm

        self.private = private
        self._key = cast("EllipticCurvePrivateKey", ECAlgorithm.from_jwk(private))
        self._public: Mapping[str, object] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)

    @classmethod
    def generate(cls) -> ProofKey:
        """A new key."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from jwt.algorithms import ECAlgorithm

        return cls(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))

    @property
    def thumbprint(self) -> str:
        """What identifies the key (RFC 7638)."""
        members = {name: self._public[name] for name in ("crv", "kty", "x", "y")}
        return _encode(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())

    def prove(self, method: str, url: str, *, nonce: str = "", access_token: str = "") -> str:
        """A proof for one request, never used twice; with the token where it goes along."""
        import jwt

        parts = urlsplit(url)
        claims: dict[str, object] = {
            "jti": secrets.token_urlsafe(24),
            "htm": method,
            "htu": urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", "")),
            "iat": int(time.time()),
        }
        if nonce:
            claims["nonce"] = nonce
        if access_token:
            claims["ath"] = _encode(hashlib.sha256(access_token.encode("ascii")).digest())
        return jwt.encode(claims, self._key, ALGORITHM, headers={"typ": "dpop+jwt", "jwk": dict(self._public)})


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
