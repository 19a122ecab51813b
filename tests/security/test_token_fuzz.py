"""Anything at all in headers and tokens: no answer is the server's failure, and an honest request is taken after it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.auth.authority import FILE, Authority, bearer, encode
from tests.auth.entrance import key_lines, knock
from tests.stage import scene

if TYPE_CHECKING:
    from mcp_kernel.testing.asgi import Headers

pytestmark = pytest.mark.slow

TEXT = FILE + key_lines("alice", "mcp_k", "roles = ['analyst']")
REFUSED = {400, 401, 403, 503}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["ES256", "RS256", "HS256", "none", "ec", "rsa", "at+jwt", "https://issuer.example", "mcp", "*"])
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
HEADER_NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "cty"])
CLAIM_NAMES = st.sampled_from(
    ["iss", "aud", "sub", "exp", "nbf", "iat", "scope", "scp", "role", "client_id", "azp", "cnf", "jti", "act"]
)
LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=200)
QUERIES = st.sampled_from(["", "?", "?access_token=x", "?a=b&a=c", "?%", "?token", "?" + "&" * 2000, "?API_KEY=%ff"])


@st.composite
def tokens(draw: st.DrawFn) -> str:
    """Tokens that are nearly good: signed or not, with members of header and claims that are anything."""
    authority = Authority()
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "ec", **draw(st.dictionaries(HEADER_NAMES, JSON, max_size=2))}
    claims = {**authority.claims(), **draw(st.dictionaries(CLAIM_NAMES, JSON, max_size=3))}
    token = authority.sign(header, payload_of(claims), draw(st.sampled_from(["ec", "other"])))
    parts = token.split(".")
    match draw(st.integers(0, 6)):
        case 0:
            parts[draw(st.integers(0, 2))] = encode(draw(st.binary(max_size=50)))
        case 1:
            parts[draw(st.integers(0, 2))] = draw(st.text(st.characters(codec="ascii"), max_size=50))
        case 2:
            return authority.sign(header, draw(st.binary(max_size=100)))
        case _:
            pass
    return ".".join(parts)


def payload_of(claims: Any) -> bytes:
    """JSON as it is written in Python, with NaN and lone surrogates."""
    return json.dumps(claims).encode()


ANYTHING = st.fixed_dictionaries(
    {},
    optional={
        "authorization": tokens().map("Bearer {}".format)
        | tokens().map("DPoP {}".format)
        | LATIN
        | LATIN.map("Bearer {}".format)
        | st.lists(LATIN),
        "x-api-key": LATIN | st.lists(LATIN, max_size=2),
        "x-forwarded-host": LATIN,
        "x-forwarded-proto": LATIN,
        "dpop": tokens() | LATIN,
        "client-cert": LATIN,
    },
)


@settings(max_examples=1500, deadline=None)
@given(ANYTHING, QUERIES)
def test_no_headers_and_no_token_make_the_server_fail(headers: dict[str, str | list[str]], query: str) -> None:
    ask_twice(headers, query)


@settings(max_examples=1500, deadline=None)
@given(tokens())
def test_no_token_makes_the_server_fail(token: str) -> None:
    ask_twice({"authorization": f"Bearer {token}"}, "")


@scene
async def ask_twice(headers: Headers, query: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        authority = Authority()
        async with authority.entrance(Path(place), TEXT).visit() as site:
            visit = knock(site, headers, f"/mcp{query}")
            status = await visit.started()
            assert status in REFUSED or status == 200, (status, headers, query)
            if status == 401:
                assert visit.headers["www-authenticate"].startswith(("Bearer", "DPoP"))
            assert await knock(site, bearer(authority.token())).started() == 200
            assert await knock(site, {"x-api-key": "mcp_k"}).started() == 200
