"""Tokens that are checked here: JSON Web Tokens, by the profile for access tokens (RFC 9068) and RFC 8725.

The signature is PyJWT's; what a token may say is decided here, since what it says may be anything at all.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Final, cast

import jwt
from pydantic_core import from_json

from mcp_kernel.auth.resource.keyset import KeySet
from mcp_kernel.auth.resource.settings import Jwt
from mcp_kernel.auth.resource.tokens import Claims, Rejected, require_audience, require_life

_TYPES: Final = frozenset(("", "jwt", "at+jwt", "application/jwt", "application/at+jwt"))
_OTHER: Final = frozenset(("id", "refresh", "offline", "logout"))  # what a claim calls a token that is for other uses
_BESIDE: Final = frozenset(("at_hash", "c_hash"))
_LONGEST: Final = 256  # characters of a key's name
_PARTS: Final = 3
_TRIES: Final = 8  # keys of one algorithm, where a token does not say which


class JwtVerifier:
    """Checks tokens of one issuer."""

    def __init__(self, settings: Jwt, keys: KeySet | None = None, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys or KeySet(settings)
        self._now = now
        self._signatures = jwt.PyJWS(algorithms=settings.algorithms)

    async def verify(self, token: str, resource: str) -> Claims:
        """Return what a token for a resource claims; raises `Rejected` or `Unavailable`."""
        name, algorithm = self._read_header(token)
        keys = await self._keys.find(name, algorithm)
        claims = _parse(self._check_signature(token, keys, algorithm))
        if claims.get("iss") != self._settings.issuer:
            raise Rejected("The token is of another issuer (iss)")
        if _says_other(claims):
            raise Rejected("The token is no access token")
        require_audience(claims, resource)
        require_life(claims, self._now(), self._settings.leeway, required=True)
        return claims

    def _read_header(self, token: str) -> tuple[str | None, str]:
        """The name of the key, where it is named, and the algorithm, which is one of those allowed."""
        parts = token.split(".")
        if len(parts) != _PARTS:
            raise Rejected("The token is no JSON Web Token")
        header = _parse(_decode(parts[0]))
        algorithm, kind, name = header.get("alg"), header.get("typ", ""), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._settings.algorithms:
            raise Rejected("The token's algorithm (alg) is not taken here")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise Rejected("The token is no access token (typ)")
        if "crit" in header or "b64" in header:
            raise Rejected("The token wants to be understood in a way that is not known here (crit)")
        if name is not None and (not isinstance(name, str) or len(name) > _LONGEST):
            raise Rejected("The name of the token's key (kid) is no text")
        return name, algorithm

    def _check_signature(self, token: str, keys: list[jwt.PyJWK], algorithm: str) -> bytes:
        for key in keys[:_TRIES]:
            try:
                return cast("bytes", self._signatures.decode(token, key.key, algorithms=[algorithm]))
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
        raise Rejected("The token is not signed by a key of its issuer")

    async def close(self) -> None:
        """Leave nothing behind."""
        await self._keys.close()


def _says_other(claims: Claims) -> bool:
    """Whether a token says in its claims that it is for something else than access, as some issuers have it.

    Those of OpenID Connect that tell whom somebody is have the hash of what came beside them.
    """
    said = (claims.get("typ"), claims.get("token_use"))
    kinds = {kind.lower() for kind in said if isinstance(kind, str)}
    return not (_OTHER.isdisjoint(kinds) and _BESIDE.isdisjoint(claims))


def _decode(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Rejected("The token is no JSON Web Token") from None


def _parse(data: bytes) -> Mapping[str, object]:
    """The codec of the messages, which bounds depth and numbers."""
    try:
        value: object = from_json(data, allow_inf_nan=False)
    except ValueError:
        raise Rejected("The token is no JSON Web Token") from None
    if not isinstance(value, dict):
        raise Rejected("The token is no JSON Web Token")
    return cast("dict[str, object]", value)
