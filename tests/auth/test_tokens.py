"""Tokens of an issuer: who is let in by one, as whom, with what, and what is said to the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.auth.authority import FILE, ISSUER, JWKS, RESOURCE, Authority, bearer, public_jwk
from tests.auth.entrance import key_lines, knock, name_at
from tests.auth.realm import Answer
from tests.stage import scene

from mcp_kernel.auth.challenge import Challenge, read_challenges

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_kernel.testing.asgi import Visit

ANN = f"jwt {ISSUER} ann app"
METADATA = "https://club.example/.well-known/oauth-protected-resource/mcp"


def challenge_of(visit: Visit) -> Challenge:
    (challenge,) = read_challenges([visit.headers["www-authenticate"]])
    return challenge


@pytest.mark.parametrize("key", ["ec", "rsa", "ed"])
@scene
async def test_a_token_lets_its_bearer_in(tmp_path: Path, key: str) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await name_at(site, bearer(authority.token(key))) == f"{ANN} ['analyst'] ['mcp', 'more']"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"aud": ["https://other.example", RESOURCE]}, f"{ANN} ['analyst'] ['mcp', 'more']"),
        ({"role": ["analyst", "admin"]}, f"{ANN} [] ['mcp', 'more']"),
        ({"role": {"analyst": True}}, f"{ANN} [] ['mcp', 'more']"),
        ({"role": None}, f"{ANN} [] ['mcp', 'more']"),
        ({"client_id": None, "azp": "app"}, f"{ANN} ['analyst'] ['mcp', 'more']"),
        ({"sub": None}, f"jwt {ISSUER} app app ['analyst'] ['mcp', 'more']"),
        ({"sub": "ann app", "client_id": None}, f"jwt {ISSUER} ann%20app ['analyst'] ['mcp', 'more']"),
        ({"scope": None, "scp": ["mcp", 7]}, f"{ANN} ['analyst'] ['mcp']"),
        ({"scope": None, "scp": "mcp x"}, f"{ANN} ['analyst'] ['mcp', 'x']"),
        ({"exp": 1_000_000.0 - 29, "nbf": 1_000_000.0 + 30, "iat": None}, f"{ANN} ['analyst'] ['mcp', 'more']"),
    ],
)
@scene
async def test_what_a_token_claims_is_what_its_bearer_is(tmp_path: Path, claims: dict[str, Any], expected: str) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await name_at(site, bearer(authority.token(**claims))) == expected


@scene
async def test_a_token_without_the_claim_has_the_role_that_the_file_says(tmp_path: Path) -> None:
    authority = Authority()
    text = FILE.replace("role_claim", "default_role = 'analyst'\nrole_claim")
    async with authority.entrance(tmp_path, text).visit() as site:
        assert "['analyst']" in await name_at(site, bearer(authority.token(role=None)))
        assert "[]" in await name_at(site, bearer(authority.token(role=["x"])))


@pytest.mark.parametrize("headers", [{"typ": None}, {"typ": "JWT"}, {"typ": "application/at+jwt"}, {"kid": None}])
@scene
async def test_a_header_may_say_less(tmp_path: Path, headers: dict[str, Any]) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token("ec", headers))).started() == 200


@scene
async def test_whoever_has_no_token_is_told_where_to_get_one(tmp_path: Path) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        visit = knock(site)
        assert await visit.started() == 401
        challenge = challenge_of(visit)
        assert (challenge.resource_metadata, challenge.scopes, challenge.error) == (METADATA, ("mcp",), "")
        bad = knock(site, bearer(authority.token(exp=1)))
        assert await bad.started() == 401
        challenge = challenge_of(bad)
        assert (challenge.resource_metadata, challenge.error) == (METADATA, "invalid_token")
        assert "expired" in challenge.parameters["error_description"]


@scene
async def test_a_token_without_the_scopes_is_told_exactly_which(tmp_path: Path) -> None:
    authority = Authority()
    text = FILE.replace('["mcp"]', '["mcp", "files"]')
    async with authority.entrance(tmp_path, text).visit() as site:
        visit = knock(site, bearer(authority.token()))
        assert await visit.started() == 403
        challenge = challenge_of(visit)
        assert (challenge.error, challenge.scopes) == ("insufficient_scope", ("mcp", "files"))
        assert challenge.resource_metadata == METADATA
        assert await knock(site, bearer(authority.token(scope="files x mcp"))).started() == 200


@scene
async def test_keys_and_tokens_are_taken_side_by_side_and_are_different_people(tmp_path: Path) -> None:
    authority = Authority()
    text = FILE + key_lines("ann", "k", "roles = ['analyst']")
    async with authority.entrance(tmp_path, text).visit() as site:
        assert await name_at(site, {"x-api-key": "k"}) == "key ann ['analyst'] []"
        assert await name_at(site, bearer("k")) == "key ann ['analyst'] []"
        assert (await name_at(site, bearer(authority.token()))).startswith("jwt ")
        assert await knock(site, {"x-api-key": authority.token()}).started() == 401  # a token travels as a bearer's


@scene
async def test_a_file_with_another_issuer_holds_at_once_and_the_keys_of_the_same_stay(tmp_path: Path) -> None:
    authority = Authority()
    entrance = authority.entrance(tmp_path)
    async with entrance.visit() as site:
        assert await knock(site, bearer(authority.token())).started() == 200
        entrance.write(FILE + key_lines("bob", "b"))
        entrance.seconds += 1
        assert await knock(site, bearer(authority.token())).started() == 200
        assert authority.realm.count(JWKS) == 1
        entrance.write(FILE.replace(ISSUER, "https://another.example"))
        entrance.seconds += 1
        assert await knock(site, bearer(authority.token())).started() == 503  # that one has no host
        assert await knock(site, bearer(authority.token(iss="https://another.example"))).started() == 503


@scene
async def test_a_published_private_key_is_used_for_checking_alone(tmp_path: Path) -> None:
    authority = Authority()
    authority.published = [public_jwk("ec", d="AAAA", alg="ES256"), public_jwk("rsa", d=7, p="x")]
    async with authority.entrance(tmp_path).visit() as site:
        for key in ("ec", "rsa"):
            assert await knock(site, bearer(authority.token(key))).started() == 200


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "kid": "ec", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "EC", "kid": "ec"},
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "!!", "y": "AA"},
        {"kty": ["EC"], "kid": "ec"},
        "a text",
        None,
        public_jwk("ec", use="enc"),
        public_jwk("ec", key_ops=["sign"]),
        public_jwk("ec", alg="ES384"),
        public_jwk("p384", kid="ec"),
        public_jwk("short", kid="ec"),
        public_jwk("other", kid="ec"),
    ],
)
@scene
async def test_a_key_that_checks_no_signature_is_passed_over(tmp_path: Path, entry: object) -> None:
    authority = Authority()
    authority.published = [entry, public_jwk("rsa")]
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token("ec"))).started() == 401
        assert await knock(site, bearer(authority.token("rsa"))).started() == 200


@scene
async def test_a_short_key_of_the_issuer_is_not_used(tmp_path: Path) -> None:
    authority = Authority()
    authority.published = [public_jwk("short"), public_jwk("rsa")]
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token("short"))).started() == 401
        assert await knock(site, bearer(authority.token("rsa"))).started() == 200


@scene
async def test_only_the_algorithms_that_the_file_names_are_taken(tmp_path: Path) -> None:
    authority = Authority()
    text = FILE.replace("role_claim", "algorithms = ['RS256']\nrole_claim")
    async with authority.entrance(tmp_path, text).visit() as site:
        for key, status in (("ec", 401), ("ed", 401), ("rsa", 200)):
            assert await knock(site, bearer(authority.token(key))).started() == status


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/jwks.json"},
        {"issuer": ISSUER, "jwks_uri": "http://issuer.example/jwks.json"},
        {"issuer": ISSUER, "jwks_uri": "https://127.0.0.1/jwks.json"},
        {"issuer": ISSUER, "jwks_uri": 7},
        {"issuer": ISSUER},
    ],
)
@scene
async def test_metadata_of_another_or_to_an_unsafe_place_is_not_followed(tmp_path: Path, metadata: Any) -> None:
    authority = Authority()
    authority.metadata = metadata
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token())).started() == 503
        assert all(ask.url.path.startswith("/.well-known/") for ask in authority.realm.asked)


@scene
async def test_openid_connect_has_its_own_place_for_the_metadata(tmp_path: Path) -> None:
    authority = Authority()
    authority.metadata_path = "/.well-known/openid-configuration"
    async with authority.entrance(tmp_path).visit() as site:
        assert await knock(site, bearer(authority.token())).started() == 200


@pytest.mark.parametrize(
    "trouble", [Answer(500), Answer(404), Answer(302), Answer(document=[]), Answer(document={"keys": 7})]
)
@scene
async def test_an_issuer_that_answers_nonsense_is_one_that_does_not_answer(tmp_path: Path, trouble: Answer) -> None:
    authority = Authority()
    authority.trouble = trouble
    text = FILE.replace("role_claim", f"jwks_url = '{ISSUER}/jwks.json'\nrole_claim")
    async with authority.entrance(tmp_path, text).visit() as site:
        visit = knock(site, bearer(authority.token()))
        assert await visit.started() == 503
        assert visit.headers["retry-after"] == "5"
        authority.trouble = None
        authority.seconds += 5
        assert await knock(site, bearer(authority.token())).started() == 200
