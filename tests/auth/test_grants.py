"""Tokens without a user: for the client itself, by a workload's identity, by an enterprise's word."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.auth.issuer import JWT_BEARER, Issuer
from tests.auth.realm import Answer, Ask
from tests.auth.resource import URL
from tests.auth.visit import World
from tests.stage import scene

from mcp_kernel.auth import (
    ClientCredentials,
    EnterpriseManaged,
    IdentityProvider,
    JwtBearer,
    Registration,
    SigningKey,
    Target,
)
from mcp_kernel.errors import AuthorizationError

TOKEN = "POST https://auth.example/token"
IDP = "https://idp.example/token"


def make_key() -> tuple[ec.EllipticCurvePrivateKey, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key, key.private_bytes(*kinds).decode()


@scene
async def test_a_client_acts_for_itself_with_a_secret() -> None:
    world = World(Issuer(token_endpoint_auth_methods_supported=["client_secret_basic"]), scopes_supported=["a"])
    world.issuer.clients["robot"] = {"client_secret": "s", "token_endpoint_auth_method": "client_secret_basic"}
    assert (await world.call(ClientCredentials(Registration("robot", "s")))).json() == {"scope": "a"}


@scene
async def test_a_client_acts_for_itself_with_a_key() -> None:
    key, pem = make_key()
    world = World(Issuer(token_endpoint_auth_methods_supported=["private_key_jwt"]))
    world.issuer.clients["robot"] = {"key": key.public_key(), "token_endpoint_auth_method": "private_key_jwt"}
    grant = ClientCredentials(Registration("robot", signing_key=SigningKey(pem, key_id="k1")))
    world.resource.wanted = {"/mcp/x": "more"}
    async with world.client(grant) as client:
        assert (await client.get(URL)).status_code == 200
        assert (await client.get(f"{URL}/x")).status_code == 200  # a second assertion, not the first again
    assertion = world.realm.find(TOKEN).form["client_assertion"]
    assert jwt.get_unverified_header(assertion)["kid"] == "k1"
    assert pem not in repr(grant)


@scene
async def test_a_key_that_is_none_is_refused_in_words() -> None:
    grant = ClientCredentials(Registration("robot", signing_key=SigningKey("not a pem")))
    with pytest.raises(AuthorizationError, match="no private key for ES256"):
        await World().call(grant)


def workload_world() -> tuple[World, ec.EllipticCurvePrivateKey]:
    key, _ = make_key()
    world = World(Issuer(code_challenge_methods_supported=None, registration_endpoint=None))
    world.issuer.clients["robot"] = {"token_endpoint_auth_method": "none"}
    world.issuer.trusted = key.public_key()
    return world, key


@scene
async def test_a_workload_presents_its_identity() -> None:
    world, key = workload_world()
    targets: list[Target] = []

    async def vouch(target: Target) -> str:
        targets.append(target)
        return jwt.encode({"aud": target.issuer, "exp": time.time() + 60}, key, "ES256")

    assert (await world.call(JwtBearer(Registration("robot"), vouch))).status_code == 200
    assert targets == [Target(URL, "https://auth.example", ())]
    assert world.realm.find(TOKEN).form["client_id"] == "robot"


@scene
async def test_a_word_that_is_refused_is_not_said_twice() -> None:
    world, key = workload_world()
    word = jwt.encode({"aud": "https://wrong.example", "exp": time.time() + 60}, key, "ES256")

    async def vouch(target: Target) -> str:
        return word

    with pytest.raises(AuthorizationError, match="invalid_grant") as caught:
        await world.call(JwtBearer(Registration("robot"), vouch))
    assert world.realm.count(TOKEN) == 1
    assert word not in str(caught.value)


def enterprise(world: World, key: ec.EllipticCurvePrivateKey, **given: Any) -> EnterpriseManaged:
    """The provider's host, and the grant that goes there."""

    def provider(ask: Ask) -> Answer:
        form = ask.form
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
        assert form["requested_token_type"] == "urn:ietf:params:oauth:token-type:id-jag"
        assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:id_token"
        assert (form["subject_token"], form["client_id"]) == ("id-token", "at-idp")
        claims = {"aud": form["audience"], "resource": form["resource"], "exp": time.time() + 60}
        kind = {"issued_token_type": form["requested_token_type"], "token_type": "N_A"}
        return Answer(document={"access_token": jwt.encode(claims, key, "ES256"), **kind, **given})

    async def identity() -> str:
        return "id-token"

    world.realm.hosts["https://idp.example"] = provider
    return EnterpriseManaged(Registration("robot"), IdentityProvider(IDP, Registration("at-idp"), identity))


@scene
async def test_an_enterprises_provider_vouches_for_its_user() -> None:
    world, key = workload_world()
    assert (await world.call(enterprise(world, key))).status_code == 200
    word = world.realm.find(TOKEN).form
    assert word["grant_type"] == JWT_BEARER
    claims = jwt.decode(word["assertion"], options={"verify_signature": False})
    assert (claims["aud"], claims["resource"]) == ("https://auth.example", URL)
    assert world.realm.count(f"POST {IDP}") == 1


@scene
async def test_a_provider_that_gives_another_kind_of_token_is_not_believed() -> None:
    world, key = workload_world()
    grant = enterprise(world, key, issued_token_type="urn:ietf:params:oauth:token-type:access_token")
    with pytest.raises(AuthorizationError, match="gave no ID-JAG"):
        await world.call(grant)
    assert world.realm.count(TOKEN) == 0
