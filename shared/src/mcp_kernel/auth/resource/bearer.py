"""Credentials as they come with a request, and challenges as they go (RFC 6750)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from mcp_kernel.server.principal import Headers, Knock

_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")
_LARGEST: Final = 16 * 1024  # bytes of a token; those with a hundred groups have some five thousand
_IN_QUERY: Final = frozenset(
    ("access_token", "accesstoken", "api-key", "api_key", "apikey", "authorization", "bearer", "token", "x-api-key")
)


@dataclass(frozen=True, slots=True)
class Credential:
    """What was presented: by which scheme, `bearer`, `dpop`, or `key` for `X-API-Key`."""

    scheme: str
    text: bytes = field(repr=False)


class Unusable(Exception):
    """Credentials that are not even looked at; `status` is that of HTTP, `error` the code of RFC 6750."""

    def __init__(self, status: int, reason: str, error: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.error = error


def read_credential(knock: Knock) -> Credential | None:
    """What a request presents, None where it is nothing; raises `Unusable`."""
    if b"=" in knock.query and any(name.lower() in _IN_QUERY for name, _ in _read_query(knock.query)):
        raise Unusable(401, "A token does not travel in an address, which is logged: send it as Authorization: Bearer")
    authorizations, keys = knock.values(b"authorization"), knock.values(b"x-api-key")
    if len(authorizations) + len(keys) > 1:
        raise Unusable(400, "Send one header with credentials, Authorization or X-API-Key", "invalid_request")
    if keys:
        return Credential("key", _measure(keys[0].strip()))
    if not authorizations:
        return None
    scheme, _, text = authorizations[0].strip().partition(b" ")
    text = _measure(text.strip())
    if scheme.lower() not in (b"bearer", b"dpop"):
        raise Unusable(401, "The scheme of Authorization is Bearer")
    if not _TOKEN.fullmatch(text):
        raise Unusable(401, "Authorization: Bearer is followed by one token", "invalid_token")
    return Credential(scheme.lower().decode(), text)


def write_challenge(metadata: str = "", scopes: Sequence[str] = (), error: str = "", reason: str = "") -> Headers:
    """The header that says what a request lacks: where a client learns of the issuer, which scopes, what was wrong."""
    said = {"resource_metadata": metadata, "scope": " ".join(scopes), "error": error, "error_description": reason}
    parts = ", ".join(f'{name}="{value}"' for name, value in said.items() if value)
    return ((b"www-authenticate", f"Bearer {parts}".rstrip().encode("ascii")),)


def write_proof_challenge(algorithms: Sequence[str], error: str, reason: str) -> Headers:
    """The header that says what is wrong with a proof, and how one is signed (RFC 9449, section 7.1)."""
    said = f'DPoP algs="{" ".join(algorithms)}", error="{error}", error_description="{reason}"'
    return ((b"www-authenticate", said.encode("ascii")),)


def _read_query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise Unusable(400, "The address has too many parameters", "invalid_request") from None


def _measure(text: bytes) -> bytes:
    if len(text) > _LARGEST:
        raise Unusable(401, f"A token has {_LARGEST} bytes at most", "invalid_token")
    return text
