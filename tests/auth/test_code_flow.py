"""A user authorises a client: discovery, registration, the code, what is checked on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.auth.issuer import Issuer
from tests.auth.resource import METADATA, URL
from tests.auth.visit import REDIRECT, World
from tests.stage import scene

from mcp_kernel.auth import Registration
from mcp_kernel.errors import AuthorizationError

TOKEN = "POST https://auth.example/token"
REGISTER = "POST https://auth.example/register"


@scene
async def test_a_user_says_yes_and_the_request_goes_through() -> None:
    world = World()
    assert (await world.call()).status_code == 200
    (shown,) = world.shown
    assert shown.params["resource"] == URL
    redeemed = world.realm.find(TOKEN).form
    assert redeemed["resource"] == URL
    assert shown.params["code_challenge"] != redeemed["code_verifier"]
    assert world.realm.count(f"GET {METADATA}") == 1


@scene
async def test_a_second_request_asks_nobody() -> None:
    world = World()
    async with world.client() as client:
        for _ in range(3):
            assert (await client.get(URL)).status_code == 200
    assert len(world.shown) == 1
    assert (await world.call()).status_code == 200  # by another client, from the store
    assert len(world.shown) == 1


@pytest.mark.parametrize("root", [False, True])
@scene
async def test_without_a_pointer_the_metadata_is_looked_for_at_the_path_then_at_the_root(root: bool) -> None:
    world = World()
    world.resource.points = False
    if root:
        world.resource.metadata_path = "/.well-known/oauth-protected-resource"
    assert (await world.call()).status_code == 200
    places = [ask.where for ask in world.realm.asked if "oauth-protected-resource" in ask.where]
    assert places == [f"GET {METADATA}", f"GET {METADATA.removesuffix('/mcp')}"][: 1 + root]


@pytest.mark.parametrize(
    ("issuer", "places"),
    [
        (
            "https://auth.example",
            ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
        ),
        (
            "https://auth.example/tenant",
            [
                "/.well-known/oauth-authorization-server/tenant",
                "/.well-known/openid-configuration/tenant",
                "/tenant/.well-known/openid-configuration",
            ],
        ),
    ],
)
@scene
async def test_an_issuers_metadata_is_looked_for_in_the_specified_order(issuer: str, places: list[str]) -> None:
    world = World(Issuer(issuer))
    world.issuer.metadata_path = places[-1]
    assert (await world.call()).status_code == 200
    asked = [ask.url.path for ask in world.realm.asked if ask.url.host == "auth.example"]
    assert asked[: len(places)] == places


@pytest.mark.parametrize(
    ("resource", "issuer", "complaint"),
    [
        ({"resource": "https://evil.example/mcp"}, {}, "of another resource"),
        ({"resource": "https://mcp.example/mc"}, {}, "of another resource"),
        ({"resource": None}, {}, "of another resource"),
        ({"authorization_servers": []}, {}, "names no authorisation server"),
        ({"authorization_servers": ["http://auth.example"]}, {}, "not encrypted"),
        ({"authorization_servers": ["https://127.0.0.1"]}, {}, "internal address"),
        ({"authorization_servers": ["https://169.254.169.254"]}, {}, "internal address"),
        ({"authorization_servers": ["file:///etc/passwd"]}, {}, "no plain http or https URL"),
        ({}, {"issuer": "https://auth.example/"}, "must be identical"),
        ({}, {"code_challenge_methods_supported": None}, "PKCE"),
        ({}, {"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({}, {"token_endpoint": "http://auth.example/token"}, "not encrypted"),
        ({}, {"authorization_endpoint": "javascript:alert(1)"}, "no plain http or https URL"),
        ({}, {"authorization_endpoint": "http://localhost/x"}, "internal address"),
        ({}, {"registration_endpoint": None}, "Register this one there by hand"),
    ],
)
@scene
async def test_metadata_that_is_unsafe_ends_it_before_the_user_is_asked(
    resource: dict[str, Any], issuer: dict[str, Any], complaint: str
) -> None:
    world = World(Issuer(**issuer) if "issuer" not in issuer else None, **resource)
    world.issuer.metadata |= issuer
    with pytest.raises(AuthorizationError, match=complaint):
        await world.call()
    assert world.shown == []
    assert world.realm.count(TOKEN) == 0


@pytest.mark.parametrize(
    ("answers", "advertised", "complaint"),
    [
        ({"state": "another"}, True, "state"),
        ({"state": None}, True, "state"),
        ({"iss": "https://evil.example"}, True, "iss"),
        ({"iss": "https://evil.example"}, False, "iss"),
        ({"iss": "https://auth.example/"}, False, "iss"),
        ({"iss": None}, True, "iss"),
        ({"iss": "https://evil.example", "error": "gotcha", "code": None}, True, "iss"),
        ({"error": "access_denied", "code": None}, True, "access_denied.*Ask the user again"),
        ({"code": None}, True, "no code"),
    ],
)
@scene
async def test_an_answer_that_is_not_to_be_trusted_is_not_redeemed(
    answers: dict[str, Any], advertised: bool, complaint: str
) -> None:
    world = World()
    world.issuer.metadata["authorization_response_iss_parameter_supported"] = advertised
    world.issuer.answers = answers
    with pytest.raises(AuthorizationError, match=complaint) as caught:
        await world.call()
    assert "gotcha" not in str(caught.value)
    assert world.realm.count(TOKEN) == 0


@scene
async def test_an_issuer_that_never_sends_iss_is_believed() -> None:
    world = World(Issuer(authorization_response_iss_parameter_supported=None))
    world.issuer.answers = {"iss": None}
    assert (await world.call()).status_code == 200


@scene
async def test_a_metadata_document_goes_before_registration_where_it_is_understood() -> None:
    document = "https://client.example/me.json"
    world = World(Issuer(client_id_metadata_document_supported=True))
    world.issuer.clients[document] = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    assert (await world.call(world.grant(client_metadata_url=document))).status_code == 200
    assert world.realm.count(REGISTER) == 0
    assert world.shown[0].params["client_id"] == document
    world = World()
    assert (await world.call(world.grant(client_metadata_url=document))).status_code == 200
    assert world.realm.count(REGISTER) == 1


@pytest.mark.parametrize(
    ("redirect", "kind"), [(REDIRECT, "native"), ("app:/back", "native"), ("https://app.example/back", "web")]
)
@scene
async def test_a_registration_says_what_kind_of_application_it_is(redirect: str, kind: str) -> None:
    from mcp_kernel.auth import AuthorizationCode

    world = World()
    await world.call(AuthorizationCode(world.agree, redirect, client_metadata={"client_name": "Tester"}))
    client = json.loads(world.realm.find(REGISTER).body)
    assert client["application_type"] == kind
    assert client["redirect_uris"] == [redirect]
    assert client["grant_types"] == ["authorization_code", "refresh_token"]
    assert client["client_name"] == "Tester"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@scene
async def test_a_client_registered_beforehand_proves_itself_as_the_server_wants(method: str) -> None:
    world = World(Issuer(token_endpoint_auth_methods_supported=[method], registration_endpoint=None))
    secret = "s:e/c%r+et"
    world.issuer.clients["me"] = {
        "redirect_uris": [REDIRECT],
        "client_secret": secret,
        "token_endpoint_auth_method": method,
    }
    grant = world.grant(registration=Registration("me", secret, issuer="https://auth.example"))
    assert (await world.call(grant)).status_code == 200
    assert secret not in repr(grant)


@scene
async def test_credentials_of_one_issuer_are_not_given_to_another() -> None:
    world = World()
    grant = world.grant(registration=Registration("me", "secret", issuer="https://former.example"))
    with pytest.raises(AuthorizationError, match=r"registered with https://former\.example"):
        await world.call(grant)
    assert world.shown == []


@scene
async def test_offline_access_is_asked_for_where_the_issuer_knows_it() -> None:
    world = World(Issuer(scopes_supported=["a", "offline_access"]), scopes_supported=["a"])
    await world.call()
    assert world.shown[0].params["scope"] == "a offline_access"
    assert world.shown[0].params["prompt"] == "consent"


@pytest.mark.parametrize(
    ("challenge", "metadata", "asked"),
    [
        ('scope="x y"', {"scopes_supported": ["a"]}, "x y"),
        ("", {"scopes_supported": ["a", "b"]}, "a b"),
        ("", {}, None),
    ],
)
@scene
async def test_the_scopes_are_those_of_the_challenge_else_those_of_the_metadata(
    challenge: str, metadata: dict[str, Any], asked: str | None
) -> None:
    world = World(**metadata)
    world.resource.challenge = challenge
    await world.call()
    assert world.shown[0].params.get("scope") == asked
