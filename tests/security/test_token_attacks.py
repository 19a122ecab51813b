"""Attacks with tokens: none lets anybody in, none is the server's failure, and an honest token is taken after each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from tests.auth.authority import ISSUER, RESOURCE, Authority, bearer, encode, private_key, public_jwk
from tests.auth.entrance import knock
from tests.stage import scene

from mcp_kernel.auth.challenge import read_challenges

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW: Final = 1_000_000.0
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
DEEP: Final = b'{"a":' * 5000 + b"1" + b"}" * 5000
PEM: Final = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def unsigned(header: object, authority: Authority, end: str = "") -> str:
    return f"{encode(header)}.{encode(authority.claims())}.{end}"


def with_secret(secret: bytes, authority: Authority, algorithm: str = "HS256", **header: object) -> str:
    """A token that is signed with what everybody knows, as if it were a shared secret."""
    signed = f"{encode({'alg': algorithm, 'typ': 'at+jwt', **header})}.{encode(authority.claims())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), digest))}"


def pem(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(*PEM)


def swapped(authority: Authority, part: int, data: bytes) -> str:
    """A good token of which one part is another."""
    parts = authority.token().split(".")
    parts[part] = encode(data)
    return ".".join(parts)


def twice(authority: Authority) -> bytes:
    """Claims of which the last audience is another's, which is the one that counts for most readers."""
    return json.dumps(authority.claims()).encode()[:-1] + b',"aud":"https://club.example"}'


def bent(authority: Authority) -> str:
    """A good token with one bit of its signature turned."""
    head, payload, signature = authority.token().split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[5] ^= 1
    return f"{head}.{payload}.{encode(bytes(raw))}"


def risen(authority: Authority) -> str:
    """A good token whose claims were changed after it was signed."""
    head, _, signature = authority.token().split(".")
    return f"{head}.{encode(authority.claims(role='admin'))}.{signature}"


FORGED: dict[str, Callable[[Authority], str]] = {
    "alg none": lambda a: unsigned({"alg": "none", "typ": "at+jwt"}, a),
    "alg None": lambda a: unsigned({"alg": "None", "kid": "ec"}, a),
    "alg nOnE": lambda a: unsigned({"alg": "nOnE"}, a, "AAAA"),
    "alg of nothing": lambda a: unsigned({"alg": ""}, a),
    "alg null": lambda a: unsigned({"alg": None}, a),
    "alg missing": lambda a: unsigned({"typ": "at+jwt"}, a),
    "alg list": lambda a: unsigned({"alg": ["ES256"]}, a),
    "alg number": lambda a: unsigned({"alg": 256}, a),
    "public key as secret": lambda a: with_secret(pem("rsa"), a, kid="rsa"),
    "public key as secret, spaced": lambda a: with_secret(b" " + pem("rsa"), a, kid="rsa"),
    "public key as secret, stripped": lambda a: with_secret(pem("rsa").strip(), a, kid="rsa"),
    "public key as secret, 512": lambda a: with_secret(pem("ec"), a, "HS512", kid="ec"),
    "jwk as secret": lambda a: with_secret(json.dumps(public_jwk("rsa")).encode(), a, kid="rsa"),
    "empty secret": lambda a: with_secret(b"", a),
    "secret without kid": lambda a: with_secret(b"secret", a, "HS384"),
    "RS256 said, HMAC made": lambda a: with_secret(pem("rsa"), a).replace(
        encode({"alg": "HS256", "typ": "at+jwt"}), encode({"alg": "RS256", "typ": "at+jwt", "kid": "rsa"})
    ),
    "another's key under the issuer's name": lambda a: a.token("other", {"kid": "ec"}),
    "another's key without a name": lambda a: a.token("other", {"kid": None}),
    "key of another algorithm": lambda a: a.token("ec", {"kid": "rsa"}),
    "RSA said, EC made": lambda a: a.token("ec", {"alg": "RS256", "kid": "rsa"}),
    "algorithm that is not allowed": lambda a: a.token("p384", {"kid": "ec"}),
    "PS256 for RS256": lambda a: a.token("rsa", {"alg": "PS256"}),
    "own key in the header": lambda a: a.token("other", {"jwk": public_jwk("other"), "kid": "other"}),
    "own key at an address": lambda a: a.token("other", {"jku": "https://evil.example/jwks.json", "kid": "other"}),
    "own certificate at an address": lambda a: a.token("other", {"x5u": "https://evil.example/c", "kid": "other"}),
    "own certificate": lambda a: a.token("other", {"x5c": ["AAAA"], "kid": "other"}),
    "kid path": lambda a: a.token("other", {"kid": "../../../../dev/null"}),
    "kid SQL": lambda a: a.token("other", {"kid": "x' UNION SELECT 'key'--"}),
    "kid address": lambda a: a.token("other", {"kid": "https://evil.example/key"}),
    "kid long": lambda a: a.token("ec", {"kid": "k" * 5000}),
    "kid number": lambda a: a.token("ec", {"kid": 7}),
    "kid list": lambda a: a.token("ec", {"kid": ["ec"]}),
    "kid object": lambda a: a.token("ec", {"kid": {"ec": 1}}),
    "crit unknown": lambda a: a.token("ec", {"crit": ["exp"]}),
    "crit b64": lambda a: a.token("ec", {"crit": ["b64"], "b64": False}),
    "crit empty": lambda a: a.token("ec", {"crit": []}),
    "b64 alone": lambda a: a.token("ec", {"b64": False}),
    "id token": lambda a: a.token("ec", {"typ": "id+jwt"}),
    "logout token": lambda a: a.token("ec", {"typ": "logout+jwt"}),
    "proof as token": lambda a: a.token("ec", {"typ": "dpop+jwt"}),
    "typ number": lambda a: a.token("ec", {"typ": 1}),
    "encrypted": lambda a: "a.b.c.d.e",
    "signature gone": lambda a: a.token().rpartition(".")[0] + ".",
    "signature cut": lambda a: a.token()[:-4],
    "signature bent": bent,
    "signature of zeros": lambda a: swapped(a, 2, bytes(64)),
    "signature of the curve's order": lambda a: swapped(a, 2, ORDER.to_bytes(32, "big") * 2),
    "signature of zeros in DER": lambda a: swapped(a, 2, b"\x30\x06\x02\x01\x00\x02\x01\x00"),
    "token in a token": lambda a: a.sign({"alg": "ES256", "kid": "ec", "cty": "JWT"}, a.token().encode()),
    "refresh token": lambda a: a.token("ec", {"typ": "rt+jwt"}),
    "kid with a zero": lambda a: a.token("ec", {"kid": "ec\0"}),
    "kid in capitals": lambda a: a.token("ec", {"kid": "EC"}),
    "kid empty": lambda a: a.token("ec", {"kid": ""}),
    "kid half a character": lambda a: a.token("ec", {"kid": "\ud800"}),
    "aud said twice": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, twice(a)),
    "signature of another token": lambda a: a.token().rpartition(".")[0] + "." + a.token(jti="x").rpartition(".")[2],
    "claims changed": risen,
    "two parts": lambda a: a.token().rpartition(".")[0],
    "four parts": lambda a: a.token() + ".x",
    "no parts": lambda a: "token",
    "points": lambda a: "..",
    "no base64": lambda a: "====.=.=",
    "no JSON": lambda a: f"{encode(b'no')}.{encode(b'json')}.AAAA",
    "header list": lambda a: f"{encode([1])}.{encode(a.claims())}.AAAA",
    "header number": lambda a: f"{encode(7)}.{encode(a.claims())}.AAAA",
    "header deep": lambda a: f"{encode(DEEP[:5000])}.{encode(b'{}')}.AAAA",
    "header not UTF-8": lambda a: f"{encode(bytes([255, 254]))}.{encode(b'{}')}.AAAA",
    "claims list": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, b"[1]"),
    "claims text": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, b'"x"'),
    "claims no JSON": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, b"{"),
    "claims empty": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, b""),
    "claims deep": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, b"[" * 9000),
    "claims not UTF-8": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, b'{"iss":"\xff"}'),
    "exp NaN": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, json.dumps(a.claims(exp=float("nan"))).encode()),
    "exp Infinity": lambda a: a.sign({"alg": "ES256", "kid": "ec"}, json.dumps(a.claims(exp=float("inf"))).encode()),
    "compressed": lambda a: a.token("ec", {"zip": "DEF"}).replace(".", ".eJw", 1),
}

CLAIMED: list[dict[str, Any]] = [
    {"exp": NOW - 31},
    {"exp": None},
    {"exp": "1e99"},
    {"exp": True},
    {"exp": [NOW + 300]},
    {"exp": 10**400},
    {"exp": 1e400},
    {"exp": -1},
    {"exp": 0},
    {"nbf": NOW + 31},
    {"nbf": "now"},
    {"nbf": 10**400},
    {"iat": NOW + 31},
    {"iat": {}},
    {"iss": None},
    {"iss": f"{ISSUER}/"},
    {"iss": ISSUER.upper()},
    {"iss": [ISSUER]},
    {"iss": "https://issuer.example.evil.example"},
    {"aud": None},
    {"aud": ""},
    {"aud": []},
    {"aud": f"{RESOURCE}/"},
    {"aud": RESOURCE.upper()},
    {"aud": "https://club.example"},
    {"aud": f"{RESOURCE}.evil.example"},
    {"aud": [[RESOURCE]]},
    {"aud": {RESOURCE: True}},
    {"aud": [f"x {RESOURCE}"]},
    {"aud": "*"},
    {"sub": None, "client_id": None},
    {"sub": "", "client_id": ""},
    {"sub": "\ud800"},
    {"scope": "mcp \udfff"},
    {"sub": 7, "client_id": ["app"]},
    {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
    {"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}},
    {"cnf": None, "exp": NOW - 60},
    {"cnf": {}},
    {"typ": "ID"},
    {"typ": "Refresh"},
    {"token_use": "id"},
    {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
    {"c_hash": "LDktKdoQak3Pk0cnXxCltA", "nonce": "n"},
]


async def assert_refused(path: Path, authority: Authority, headers: dict[str, str], status: int = 401) -> None:
    """Refused with one challenge and without a word of the token; then an honest one is taken."""
    async with authority.entrance(path).visit() as site:
        visit = knock(site, headers)
        assert await visit.started() == status
        (challenge,) = read_challenges([visit.headers["www-authenticate"]])
        assert challenge.scheme == "bearer"
        assert challenge.error in ("invalid_token", "invalid_request")
        token = headers["authorization"].rpartition(" ")[2]
        assert len(token) < 6 or token not in f"{visit.headers} {await visit.whole()!r}"
        assert await knock(site, bearer(authority.token())).started() == 200
        assert not [ask for ask in authority.realm.asked if ask.url.host != "issuer.example"]


@pytest.mark.parametrize("name", FORGED)
@scene
async def test_a_forged_token_lets_nobody_in(tmp_path: Path, name: str) -> None:
    authority = Authority()
    await assert_refused(tmp_path, authority, bearer(FORGED[name](authority)))


@pytest.mark.parametrize("claims", CLAIMED, ids=str)
@scene
async def test_a_token_that_claims_the_wrong_thing_lets_nobody_in(tmp_path: Path, claims: dict[str, Any]) -> None:
    authority = Authority()
    await assert_refused(tmp_path, authority, bearer(authority.token(**claims)))


@pytest.mark.parametrize("claims", [{"typ": "Bearer"}, {"token_use": "access"}, {"typ": 1, "nonce": "n"}], ids=str)
@scene
async def test_a_token_for_access_may_say_so(tmp_path: Path, claims: dict[str, Any]) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token(**claims))).started() == 200


@pytest.mark.parametrize("headers", [{"alg": "ES256"}, {"alg": "ES256", "x": "y"}, {"jku": "https://evil.example/x"}])
@scene
async def test_what_is_to_be_ignored_in_a_header_is_ignored(tmp_path: Path, headers: dict[str, Any]) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token("ec", headers))).started() == 200
        assert not [ask for ask in authority.realm.asked if ask.url.host != "issuer.example"]


@pytest.mark.parametrize(
    "header",
    [
        "DPoP {0}",
        "Bearer {0}, Bearer {0}",
        "Bearer {0};",
        'Bearer "{0}"',
        "Bearer\t{0}",
        "Bearer {0}\x7f",
        "Bearer {0}\xe4",
        "Bearer {0}{1}",
        "Bearer{0}",
        "Token {0}",
    ],
)
@scene
async def test_a_good_token_in_a_bad_header_lets_nobody_in(tmp_path: Path, header: str) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        token = authority.token()
        assert await knock(site, {"authorization": header.format(token, "a" * 16_384)}).started() == 401
        assert await knock(site, bearer(token)).started() == 200


@scene
async def test_the_bearer_of_one_token_does_not_get_the_session_of_another(tmp_path: Path) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        info = {"name": "c", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        opened = site.post(hello, bearer(authority.token()))
        assert await opened.started() == 200
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        others = [{"sub": "bob"}, {"client_id": "other"}, {"sub": "ann app", "client_id": None}, {"jti": "fresh"}]
        for number, claims in enumerate(others):
            ping = {"jsonrpc": "2.0", "id": 10 + number, "method": "ping"}
            visit = site.post(ping, {**session, **bearer(authority.token(**claims))})
            assert await visit.started() == (200 if "jti" in claims else 404)
