"""Tokens that are bound to a key: by a proof with each request (DPoP, RFC 9449), by a certificate (RFC 8705).

A token that says what it is bound to is worth nothing to whoever stole it, as long as each request is held to that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from pydantic_core import from_json

from mcp_kernel.auth.resource.tokens import Claims, Rejected, Unavailable

ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "PS256", "RS256")
PAST_SECONDS: Final = 60.0  # that a proof is good for
FUTURE_SECONDS: Final = 10.0  # by which the clock of a client may be fast
MOST_PROOFS: Final = 10_000  # remembered of one key; who sends more waits until the first are too old to be repeated
MOST_KEYS: Final = 10_000
_LARGEST: Final = 8 * 1024  # bytes of a proof
_LONGEST: Final = 256  # characters of a proof's id
_PARTS: Final = 3
_RSA_BITS: Final = 2048
# Of each kind of key: what identifies it (RFC 7638), and what signs with it.
_KINDS: Final = {
    "EC": (("crv", "kty", "x", "y"), ("ES256", "ES384", "ES512")),
    "OKP": (("crv", "kty", "x"), ("EdDSA",)),
    "RSA": (("e", "kty", "n"), ("PS256", "RS256")),
}
_PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


class Unproved(Rejected):
    """A proof that is missing, or not good (RFC 9449, section 7.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What came with a token: its scheme and text, the proofs, the certificate, what was asked for and where."""

    scheme: str
    token: bytes = field(repr=False)
    proofs: Sequence[bytes] = ()
    certificate: bytes | None = None
    method: str
    url: str


class Proofs(Protocol):
    """Where it is kept which proofs were used, for all processes that serve the same clients."""

    async def take(self, mark: bytes, seconds: float) -> bool:
        """Take a proof, which could be repeated for so long; tells whether nobody has taken it before."""
        ...


class Bindings:
    """Holds tokens to what they are bound to, and remembers the proofs that it saw for as long as they are good."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._seen: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()  # by key: ids of proofs, their end

    def check(self, claims: Claims, presented: Presented) -> bytes | None:
        """Raise `Rejected` where a token is bound and its sender has not proved it (`cnf`, RFC 7800).

        Returns what tells the proof from all others, where there was one: it was not used here before.
        """
        confirmation = claims.get("cnf")
        if confirmation is None and "cnf" not in claims:
            if presented.scheme != "bearer" or presented.proofs:
                raise Rejected("The token is bound to no key: send it as Bearer, without a proof")
            return None
        fields = cast("Mapping[str, object]", confirmation)
        bound: Mapping[str, object] = fields if isinstance(confirmation, dict) else {}
        if not bound or bound.keys() - {"jkt", "x5t#S256"}:
            raise Rejected("The token is bound in a way that is not known here (cnf)")
        if "x5t#S256" in bound:
            _check_certificate(bound["x5t#S256"], presented.certificate)
        if "jkt" in bound:
            return self._check_proof(bound["jkt"], presented)
        if presented.scheme != "bearer" or presented.proofs:
            raise Rejected("The token is bound to a certificate: send it as Bearer, without a proof")
        return None

    def _check_proof(self, thumbprint: object, presented: Presented) -> bytes:
        if presented.scheme != "dpop":
            raise Rejected("The token is bound to a key: send it as DPoP, with a proof")
        if len(presented.proofs) != 1:
            raise Unproved("One header DPoP goes with the token")
        key, claims = _open(presented.proofs[0])
        if not isinstance(thumbprint, str) or not hmac.compare_digest(thumbprint.encode(), key.encode()):
            raise Unproved("The proof is of another key than the token's")
        if claims.get("htm") != presented.method:
            raise Unproved("The proof is for another method (htm)")
        if not presented.url or _normalize(claims.get("htu")) != _normalize(presented.url):
            raise Unproved("The proof is for another address (htu)")
        expected = _encode(hashlib.sha256(presented.token).digest())
        if not isinstance(claims.get("ath"), str) or not hmac.compare_digest(str(claims["ath"]).encode(), expected):
            raise Unproved("The proof is for another token (ath)")
        return self._remember(key, claims)

    def _remember(self, key: str, claims: Mapping[str, object]) -> bytes:
        """Take a proof once; the last check, so that only proofs that are good are remembered."""
        now, issued, identifier = self._now(), claims.get("iat"), claims.get("jti")
        if not isinstance(issued, int | float) or isinstance(issued, bool) or not math.isfinite(issued):
            raise Unproved("The proof does not say when it was made (iat)")
        if not now - PAST_SECONDS < issued < now + FUTURE_SECONDS:
            raise Unproved("The proof was not made just now (iat)")
        if not isinstance(identifier, str) or not 0 < len(identifier) <= _LONGEST:
            raise Unproved("The proof has no id (jti)")
        seen = self._of_key(key, now)
        mark = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
        if mark in seen:
            raise Unproved("The proof was used before (jti)")
        seen[mark] = issued + PAST_SECONDS
        return key.encode() + mark

    def _of_key(self, key: str, now: float) -> OrderedDict[bytes, float]:
        """The proofs of a key that could be repeated still; raises `Unavailable` where there are too many.

        Nothing that could be repeated is forgotten to make room.
        """
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= MOST_KEYS:
                self._forget(now)
            if len(self._seen) >= MOST_KEYS:
                raise Unavailable(math.ceil(PAST_SECONDS))
            seen = self._seen[key] = OrderedDict()
        while seen and next(iter(seen.values())) <= now:
            seen.popitem(last=False)
        if len(seen) >= MOST_PROOFS:
            raise Unavailable(math.ceil(PAST_SECONDS))
        self._seen.move_to_end(key)
        return seen

    def _forget(self, now: float) -> None:
        """Let go of keys whose proofs are all too old; those used longest ago are at the front."""
        for key, seen in list(self._seen.items()):
            if all(end <= now for end in seen.values()):
                del self._seen[key]
            else:
                return


def _check_certificate(thumbprint: object, certificate: bytes | None) -> None:
    if certificate is None:
        raise Rejected("The token is bound to a certificate, and the connection has none")
    found = _encode(hashlib.sha256(certificate).digest())
    if not isinstance(thumbprint, str) or not hmac.compare_digest(thumbprint.encode(), found):
        raise Rejected("The token is bound to another certificate than the connection's")


def _open(proof: bytes) -> tuple[str, Mapping[str, object]]:
    """Check a proof's form and signature; returns the thumbprint of its key, and what it claims."""
    import jwt

    parts = proof.split(b".")
    if len(proof) > _LARGEST or len(parts) != _PARTS:
        raise Unproved("The proof is no JSON Web Token")
    header = _parse(_decode(parts[0]))
    algorithm, found = header.get("alg"), header.get("jwk")
    if header.get("typ") != "dpop+jwt":
        raise Unproved("The proof is no proof (typ)")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Unproved("The proof's algorithm (alg) is not taken here")
    if "crit" in header or "b64" in header:
        raise Unproved("The proof wants to be understood in a way that is not known here (crit)")
    key: Mapping[str, object] = cast("Mapping[str, object]", found) if isinstance(found, dict) else {}
    members, algorithms = _KINDS.get(str(key.get("kty")), ((), ()))
    if algorithm not in algorithms or not all(isinstance(key.get(name), str) for name in members):
        raise Unproved("The proof's key (jwk) is none for its algorithm")
    if key.keys() & _PRIVATE:
        raise Unproved("The proof holds a private key: that key is not secret any more")
    public = {name: cast("str", key[name]) for name in members}
    try:
        parsed = jwt.PyJWK(dict(public), algorithm)
        if getattr(parsed.key, "key_size", _RSA_BITS) < _RSA_BITS and key["kty"] == "RSA":
            raise Unproved(f"The proof's key is shorter than {_RSA_BITS} bits")
        jwt.PyJWS(algorithms=[algorithm]).decode(proof, parsed.key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unproved("The proof is not signed by its key") from None
    spelled = json.dumps(public, separators=(",", ":"), sort_keys=True).encode()
    return _encode(hashlib.sha256(spelled).digest()).decode(), _parse(_decode(parts[1]))


def _normalize(url: object) -> str:
    """A URL without query and fragment, as RFC 9449 compares it; empty where it is none."""
    if not isinstance(url, str) or len(url) > _LARGEST:
        return ""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        return ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    where = parts.hostname if port in (None, usual) else f"{parts.hostname}:{port}"
    return f"{parts.scheme}://{where}{parts.path or '/'}"


def _decode(part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Unproved("The proof is no JSON Web Token") from None


def _parse(data: bytes) -> Mapping[str, object]:
    """The codec of the messages, which bounds depth and numbers."""
    try:
        value: object = from_json(data, allow_inf_nan=False)
    except ValueError:
        raise Unproved("The proof is no JSON Web Token") from None
    if not isinstance(value, dict):
        raise Unproved("The proof is no JSON Web Token")
    return cast("dict[str, object]", value)


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
