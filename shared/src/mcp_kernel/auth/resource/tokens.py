"""What is known of a token once it was checked, whichever way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, TypeAlias, cast
from urllib.parse import quote

from mcp_kernel.auth.resource.settings import Grants
from mcp_kernel.server.principal import Principal

Claims: TypeAlias = Mapping[str, object]


class Rejected(Exception):
    """A token that is not good; the text is for whoever sent it."""


class Unavailable(Exception):
    """A token cannot be checked now; `seconds` is when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__("The issuer of tokens does not answer, so that this one cannot be checked. Try again.")
        self.seconds = seconds


class Verifier(Protocol):
    """A way of checking tokens."""

    async def verify(self, token: str, resource: str) -> Claims:
        """Return what a token for a resource claims; raises `Rejected` or `Unavailable`."""
        ...

    async def close(self) -> None:
        """Leave nothing behind."""
        ...


def require_life(claims: Claims, now: float, leeway: float, *, required: bool) -> None:
    """Raise `Rejected` where a token is not of this time; `required` wants an end."""
    begins, ends, issued = (_read_time(claims, name) for name in ("nbf", "exp", "iat"))
    if ends is None and required:
        raise Rejected("The token has no end (exp)")
    if ends is not None and ends <= now - leeway:
        raise Rejected("The token has expired")
    if (begins is not None and begins > now + leeway) or (issued is not None and issued > now + leeway):
        raise Rejected("The token is of the future")


def require_audience(claims: Claims, resource: str) -> None:
    """Raise `Rejected` where a token is for somebody else, letter by letter."""
    audience = claims.get("aud")
    meant = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if resource not in meant:
        raise Rejected("The token is not for this server (aud)")


def make_principal(claims: Claims, issuer: str, grants: Grants, metadata: str) -> Principal:
    """Whoever a token speaks of: a subject by way of a client, of this issuer; raises `Rejected` where it is nobody."""
    client = _text(claims, "client_id") or _text(claims, "azp")
    subject = _text(claims, "sub") or client
    if not subject:
        raise Rejected("The token speaks of nobody (sub)")
    name = " ".join(quote(part, safe="/:@!$&'()*+,;=-._~|") for part in ("jwt", issuer, subject, client) if part)
    return Principal(name, _read_roles(claims, grants), _read_scopes(claims), claims, metadata)


def _read_roles(claims: Claims, grants: Grants) -> tuple[str, ...]:
    """A claim that is no text grants nothing; without the claim it is the role that the file says, or nothing."""
    if grants.role_claim and grants.role_claim in claims:
        role = claims[grants.role_claim]
        return (role,) if isinstance(role, str) else ()
    return (grants.default_role,) if grants.default_role else ()


def _read_scopes(claims: Claims) -> frozenset[str]:
    """`scope` is one text (RFC 9068, section 2.2.3); `scp`, where it is missing, is what some issuers have instead."""
    said = claims.get("scope", claims.get("scp"))
    if isinstance(said, str):
        return frozenset(said.split())
    items = cast("list[object]", said) if isinstance(said, list) else []
    return frozenset(item for item in items if isinstance(item, str))


def _read_time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Rejected(f"The token's {name} is no number")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise Rejected(f"The token's {name} is no number")
    return seconds


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
