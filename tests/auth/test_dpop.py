"""Tokens bound to a key, at a resource and an issuer that verify every proof."""

from __future__ import annotations

import pytest
from tests.auth.issuer import Issuer
from tests.auth.realm import Answer, Ask
from tests.auth.resource import URL
from tests.auth.visit import World
from tests.stage import scene

from mcp_kernel.errors import AuthorizationError

TOKEN = "POST https://auth.example/token"


def bound_world(**metadata: object) -> World:
    world = World(Issuer(dpop_signing_alg_values_supported=["ES256"]), **metadata)
    world.resource.scheme = "DPoP"
    return world


@scene
async def test_a_token_is_bound_where_the_server_asks_for_it() -> None:
    world = bound_world()
    async with world.client() as client:
        for _ in range(3):
            assert (await client.post(f"{URL}?x=1")).status_code == 200
    assert len(world.resource.jtis) == 3  # each request has a proof of its own
    assert world.shown[0].params["dpop_jkt"]


@scene
async def test_nonces_of_both_servers_are_taken_up_and_followed_when_they_change() -> None:
    world = bound_world()
    world.issuer.nonce, world.resource.nonce = "as-1", "rs-1"
    async with world.client() as client:
        assert (await client.get(URL)).status_code == 200
        world.issuer.nonce, world.resource.nonce = "as-2", "rs-2"
        assert (await client.get(URL)).status_code == 200
        world.resource.revoked = set(world.resource.tokens)
        assert (await client.get(URL)).status_code == 200  # refreshed, with the issuer's new nonce
    assert len(world.shown) == 1
    assert world.realm.count(TOKEN) == 4  # each of the two issues was challenged once


@scene
async def test_a_nonce_that_is_never_right_is_not_tried_for_ever() -> None:
    world = bound_world()
    world.resource.nonce = "one"
    inner = world.resource

    def fickle(ask: Ask) -> Answer:
        inner.nonce += "x"
        return inner(ask)

    async with world.client() as client:
        assert (await client.get(URL)).status_code == 200
        world.realm.hosts["https://mcp.example"] = fickle
        with pytest.raises(AuthorizationError, match="refuses the token"):
            await client.get(URL)
    assert len(world.realm.asked) < 40


@scene
async def test_the_key_outlives_the_process_with_its_token() -> None:
    world = bound_world()
    await world.call()
    assert (await world.call()).status_code == 200
    assert len(world.shown) == 1


@pytest.mark.parametrize(
    ("metadata", "dpop", "bound"),
    [
        ({}, None, False),
        ({}, True, True),
        ({"dpop_bound_access_tokens_required": True}, None, True),
        ({"dpop_signing_alg_values_supported": ["ES256"]}, None, True),
        ({"dpop_signing_alg_values_supported": ["ES256"]}, False, False),
    ],
)
@scene
async def test_metadata_and_the_caller_decide_on_proofs(
    metadata: dict[str, object], dpop: bool | None, bound: bool
) -> None:
    world = bound_world(**metadata)
    world.resource.scheme = "Bearer"
    assert (await world.call(dpop=dpop)).status_code == 200
    assert ("dpop" in world.realm.find(TOKEN).headers) is bound


@scene
async def test_a_token_that_is_not_bound_is_not_used_where_it_has_to_be() -> None:
    world = bound_world()
    world.issuer.binds = False
    with pytest.raises(AuthorizationError, match="not bound"):
        await world.call(dpop=True)


@scene
async def test_proofs_of_another_algorithm_are_refused_in_words() -> None:
    world = World(Issuer(dpop_signing_alg_values_supported=["RS256"]))
    with pytest.raises(AuthorizationError, match="ES256"):
        await world.call(dpop=True)
