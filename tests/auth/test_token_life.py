"""A token in use: it ends, is refused, does not suffice, and is replaced."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from tests.auth.issuer import Issuer, Refused
from tests.auth.realm import Answer
from tests.auth.resource import URL
from tests.auth.visit import REDIRECT, World
from tests.stage import scene

from mcp_kernel.auth import AuthorizationCode, OAuth, Registration
from mcp_kernel.errors import AuthorizationError

TOKEN = "POST https://auth.example/token"
REGISTER = "POST https://auth.example/register"


async def ask_many(client: httpx.AsyncClient, number: int = 8) -> list[httpx.Response | BaseException]:
    return await asyncio.gather(*(client.get(URL) for _ in range(number)), return_exceptions=True)


def statuses(answers: list[httpx.Response | BaseException]) -> set[int]:
    return {answer.status_code for answer in answers if isinstance(answer, httpx.Response)}


@scene
async def test_many_requests_at_once_ask_the_user_once() -> None:
    world = World()
    async with world.client() as client:
        assert statuses(await ask_many(client)) == {200}
    assert len(world.shown) == 1


@scene
async def test_a_user_who_signs_in_slowly_does_it_for_the_next_request() -> None:
    world = World()
    shown, signed_in = asyncio.Event(), asyncio.Event()

    async def agree_later(url: str) -> str:
        shown.set()
        await signed_in.wait()
        return await world.agree(url)

    async with world.client(AuthorizationCode(agree_later, REDIRECT)) as client:
        first = asyncio.ensure_future(client.get(URL))
        await shown.wait()
        first.cancel()  # its time limit was over
        await asyncio.wait([first])
        signed_in.set()
        assert (await client.get(URL)).status_code == 200
    assert len(world.shown) == 1


@scene
async def test_when_the_user_says_no_those_who_waited_do_not_ask_again() -> None:
    world = World()
    world.issuer.answers = {"error": "access_denied", "code": None}
    async with world.client() as client:
        answers = await ask_many(client)
        assert all(isinstance(answer, AuthorizationError) for answer in answers)
        assert len(world.shown) == 1
        world.issuer.answers = {}
        assert (await client.get(URL)).status_code == 200  # a new request is a new chance


@scene
async def test_a_token_about_to_end_is_refreshed_once_for_all() -> None:
    world = World()
    world.issuer.lifetime = 5
    async with world.client() as client:
        await client.get(URL)
        world.issuer.lifetime = 3600
        assert statuses(await ask_many(client)) == {200}
    assert len(world.shown) == 1
    assert world.realm.count(TOKEN) == 2
    assert world.realm.find(TOKEN).form["resource"] == URL
    assert len(set(world.resource.tokens)) == 2


@scene
async def test_a_refused_token_is_refreshed_once_for_all() -> None:
    world = World()
    async with world.client() as client:
        await client.get(URL)
        world.resource.revoked = set(world.resource.tokens)
        assert statuses(await ask_many(client)) == {200}
    assert world.realm.count(TOKEN) == 2
    assert len(world.shown) == 1


@scene
async def test_a_refresh_token_that_is_dead_means_asking_the_user_again() -> None:
    world = World()
    async with world.client() as client:
        await client.get(URL)
        world.resource.revoked = set(world.resource.tokens)
        world.issuer.refreshes.clear()
        assert (await client.get(URL)).status_code == 200
    assert len(world.shown) == 2
    assert world.realm.count(REGISTER) == 1


@scene
async def test_a_token_endpoint_in_trouble_does_not_cost_the_refresh_token() -> None:
    world = World()
    async with world.client() as client:
        await client.get(URL)
        world.resource.revoked = set(world.resource.tokens)
        world.issuer.trouble = Refused("temporarily_unavailable", 503)
        with pytest.raises(AuthorizationError, match="Try again later"):
            await client.get(URL)
        world.issuer.trouble = None
        assert (await client.get(URL)).status_code == 200
    assert len(world.shown) == 1


@scene
async def test_a_server_that_refuses_every_token_is_left_in_peace() -> None:
    world = World()
    world.resource.issuer = Issuer()  # it knows another key
    with pytest.raises(AuthorizationError, match="refuses the token that was issued"):
        await world.call()
    assert len(world.shown) <= 2


@scene
async def test_a_registration_that_was_forgotten_is_made_again() -> None:
    world = World(Issuer(token_endpoint_auth_methods_supported=["client_secret_post"]))
    await world.call()
    account = await world.store.load(URL)
    assert account is not None
    await world.store.save(replace(account.without_tokens(), client_secret="old"))
    assert (await world.call()).status_code == 200
    assert world.realm.count(REGISTER) == 2


@scene
async def test_the_credentials_of_a_client_registered_beforehand_are_not_thrown_away() -> None:
    world = World()
    world.issuer.clients["me"] = {"redirect_uris": [REDIRECT], "client_secret": "right"}
    with pytest.raises(AuthorizationError, match="Check the client's id") as caught:
        await world.call(world.grant(registration=Registration("me", "wrong-secret")))
    assert caught.value.code == "invalid_client"
    assert world.realm.count(TOKEN) == 1


@scene
async def test_a_changed_issuer_means_registering_again_with_it() -> None:
    world = World()
    other = Issuer("https://other.example")
    async with world.client() as client:
        await client.get(URL)
        world.realm.hosts["https://other.example"] = other
        world.resource.metadata["authorization_servers"] = [other.issuer]
        world.resource.issuer = other
        assert (await client.get(URL)).status_code == 200
    asked = [ask for ask in world.realm.asked if ask.url.host == "other.example"]
    assert world.realm.count("POST https://other.example/register") == 1
    first = await world.store.load(URL, "https://auth.example")
    assert first is not None
    assert not any(first.refresh_token.encode() in ask.body for ask in asked)
    assert {account.issuer for account in [first, await world.store.load(URL)] if account} == {
        "https://auth.example",
        "https://other.example",
    }


@scene
async def test_credentials_without_a_stated_issuer_stay_with_their_first() -> None:
    world = World()
    client = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    world.issuer.clients["me"] = client
    other = Issuer("https://other.example")
    other.clients["me"] = client
    grant = world.grant(registration=Registration("me"))
    assert (await world.call(grant)).status_code == 200
    world.realm.hosts["https://other.example"] = other
    world.resource.metadata["authorization_servers"] = [other.issuer]
    world.resource.issuer = other
    with pytest.raises(AuthorizationError, match=r"changed from https://auth\.example to https://other\.example"):
        await world.call(grant)


@scene
async def test_a_step_up_asks_for_the_old_scopes_and_the_new() -> None:
    world = World()
    world.resource.challenge = ""
    world.resource.wanted = {"/mcp/write": "write"}
    async with world.client(scopes=["read"]) as client:
        await client.get(URL)
        assert (await client.post(f"{URL}/write")).json() == {"scope": "read write"}
    assert [url.params["scope"] for url in world.shown] == ["read", "read write"]


@scene
async def test_a_step_up_in_vain_is_not_repeated() -> None:
    world = World()
    world.issuer.withheld = {"write"}
    world.resource.wanted = {"/mcp/write": "write"}
    async with world.client() as client:
        for _ in range(3):
            with pytest.raises(AuthorizationError, match="wants the scopes write") as caught:
                await client.post(f"{URL}/write")
            assert caught.value.code == "insufficient_scope"
        assert (await client.get(URL)).status_code == 200
    assert len(world.shown) == 2


@scene
async def test_a_plain_403_is_the_servers_last_word() -> None:
    world = World()
    world.realm.hosts["https://mcp.example"] = lambda ask: Answer(403, {"why": "no"})
    answer = await world.call()
    assert answer.status_code == 403
    assert answer.json() == {"why": "no"}


@scene
async def test_a_challenge_of_another_scheme_is_not_ours_to_answer() -> None:
    world = World()
    world.resource.scheme = "Basic"
    assert (await world.call()).status_code == 401
    assert len(world.realm.asked) == 1


@scene
async def test_a_token_goes_to_its_own_origin_only() -> None:
    world = World()
    world.realm.hosts["https://elsewhere.example"] = lambda ask: Answer(401)
    async with world.client() as client:
        await client.get(URL)
        await client.get("https://elsewhere.example/mcp")
        world.realm.hosts["https://mcp.example"] = lambda ask: Answer(
            307, headers={"location": "https://elsewhere.example/mcp"}
        )
        await client.get(URL, follow_redirects=True)
    for ask in world.realm.asked:
        assert ask.url.host == "mcp.example" or "authorization" not in ask.headers
    assert len(world.shown) == 1


@scene
async def test_no_secret_is_in_an_error_or_a_repr() -> None:
    world = World()
    async with world.client() as client:
        await client.get(URL)
        account = await world.store.load(URL)
        assert account is not None
        secrets = [account.access_token, account.refresh_token]
        assert not any(secret in repr(account) for secret in secrets)
        world.issuer.trouble = Refused("server_error", 500, f"cannot find {account.refresh_token}\x1b[31m" + "x" * 999)
        world.resource.revoked = {account.access_token}
        with pytest.raises(AuthorizationError, match=r"cannot find \[secret\] \[31mx") as caught:
            await client.get(URL)
    assert not any(secret in str(caught.value) for secret in secrets)
    assert len(str(caught.value)) < 600


def test_a_server_without_encryption_gets_no_tokens() -> None:
    with pytest.raises(AuthorizationError, match="not encrypted"):
        OAuth("http://mcp.example/mcp", World().grant())


def test_a_blocking_client_is_told_to_be_another() -> None:
    auth = OAuth(URL, World().grant())
    with httpx.Client(auth=auth) as client, pytest.raises(RuntimeError, match="AsyncClient"):
        client.get(URL)
