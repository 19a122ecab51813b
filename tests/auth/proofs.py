"""The server's side of DPoP, by RFC 9449, section 4.3."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import jwt
from tests.auth.realm import Ask


class BadProof(Exception):
    """The text says what is wrong with it."""


def verify_proof(ask: Ask, seen: set[str], *, access_token: str = "") -> tuple[str, str]:
    """Check a proof; returns the thumbprint of its key, and its nonce."""
    (proof,) = ask.headers.get_list("dpop") or [""]
    header = jwt.get_unverified_header(proof)
    require(header["typ"] == "dpop+jwt" and header["alg"] == "ES256", "typ, alg")
    require("d" not in header["jwk"], "the private key was sent")
    key = jwt.PyJWK(header["jwk"], "ES256")
    claims: dict[str, Any] = jwt.decode(proof, key, ["ES256"], options={"require": ["jti", "iat"]})
    require(claims["htm"] == ask.method, "htm")
    require(claims["htu"] == str(ask.url.copy_with(query=None)), "htu")
    require(abs(time.time() - claims["iat"]) < 60, "iat")
    require(claims["jti"] not in seen, "a proof was used twice")
    seen.add(claims["jti"])
    if access_token:
        require(claims["ath"] == encode(hashlib.sha256(access_token.encode()).digest()), "ath")
    members = {name: header["jwk"][name] for name in ("crv", "kty", "x", "y")}
    return encode(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()), claims.get("nonce", "")


def require(holds: bool, what: str) -> None:
    if not holds:
        raise BadProof(what)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
