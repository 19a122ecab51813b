"""Servers of 2025-03-26: no metadata of the resource, the authorisation server at the same origin."""

from __future__ import annotations

import pytest
from tests.auth.issuer import Issuer
from tests.auth.realm import Answer, Ask
from tests.auth.resource import URL
from tests.auth.visit import World
from tests.stage import scene

from mcp_kernel.errors import AuthorizationError


def early_world(**metadata: object) -> World:
    """One host that is both, and says nothing of itself as a resource."""
    world = World(Issuer("https://mcp.example", **metadata))
    resource, issuer = world.resource, world.issuer
    resource.metadata_path = "/nowhere"
    resource.points = False

    def both(ask: Ask) -> Answer:
        return resource(ask) if str(ask.url) == URL or "protected-resource" in ask.url.path else issuer(ask)

    world.realm.hosts = {"https://mcp.example": both}
    return world


@scene
async def test_the_authorisation_server_is_looked_for_at_the_servers_origin() -> None:
    world = early_world()
    assert (await world.call()).status_code == 200
    assert world.shown[0].params["resource"] == URL


@scene
async def test_endpoints_are_assumed_only_when_the_caller_says_so() -> None:
    world = early_world(authorization_response_iss_parameter_supported=None)
    world.issuer.metadata_path = "/nowhere-either"
    with pytest.raises(AuthorizationError, match="has no metadata"):
        await world.call()
    assert world.shown == []
    assert (await world.call(world.grant(assume_endpoints=True))).status_code == 200
    assert world.shown[0].path == "/authorize"


@scene
async def test_metadata_that_is_announced_and_missing_is_not_made_up_for() -> None:
    world = early_world()
    world.resource.points = True
    with pytest.raises(AuthorizationError, match="says that its metadata is at"):
        await world.call(world.grant(assume_endpoints=True))
