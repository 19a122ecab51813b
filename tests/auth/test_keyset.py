"""The keys of an issuer: how often it is asked, and what goes on while it does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.auth.authority import JWKS, Authority, bearer, public_jwk
from tests.auth.entrance import knock
from tests.auth.realm import Answer
from tests.stage import scene, scene_out_of_time

if TYPE_CHECKING:
    from pathlib import Path

    from tests.auth.realm import Ask

    from mcp_kernel.testing.asgi import Site


async def enter(site: Site, authority: Authority, key: str = "ec", **headers: object) -> int:
    return await knock(site, bearer(authority.token(key, headers))).started()


@scene
async def test_requests_at_once_share_one_fetch_and_later_ones_need_none(tmp_path: Path) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        found = await asyncio.gather(*(enter(site, authority, key) for key in ["ec", "rsa", "ed"] * 10))
        assert found == [200] * 30
        assert await enter(site, authority) == 200
        assert authority.realm.count(JWKS) == 1


@scene
async def test_a_new_key_is_fetched_when_the_first_token_of_it_comes(tmp_path: Path) -> None:
    authority = Authority()
    authority.published = [public_jwk("ec")]
    async with authority.entrance(tmp_path).visit() as site:
        assert await enter(site, authority) == 200
        authority.published = [public_jwk("rsa")]
        assert await enter(site, authority, "rsa") == 401  # too soon to ask again
        authority.seconds += 30
        assert await enter(site, authority, "rsa") == 200
        assert await enter(site, authority, "ec") == 401  # it was withdrawn
        assert authority.realm.count(JWKS) == 2


@scene
async def test_of_an_issuer_with_very_many_keys_only_the_first_are_taken(tmp_path: Path) -> None:
    authority = Authority()
    others = [{**public_jwk("rsa"), "kid": f"other-{number}"} for number in range(99)]
    authority.published = [*others, public_jwk("ec"), public_jwk("ed")]
    async with authority.entrance(tmp_path).visit() as site:
        assert [await enter(site, authority, key) for key in ("ec", "ed")] == [200, 401]


@scene
async def test_made_up_keys_do_not_make_the_issuer_be_asked(tmp_path: Path) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await enter(site, authority) == 200
        for second in range(60):
            authority.seconds += 1
            assert await enter(site, authority, kid=f"made-up-{second}") == 401
            assert await enter(site, authority) == 200
        assert authority.realm.count(JWKS) <= 3


@scene
async def test_keys_are_fetched_again_beside_the_requests_and_withdrawn_ones_end(tmp_path: Path) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        assert await enter(site, authority) == 200
        authority.published = [public_jwk("rsa")]
        authority.seconds += 601
        assert await enter(site, authority) == 200  # with what there is
        assert await enter(site, authority, "rsa") == 200
        for _ in range(50):
            await asyncio.sleep(0)  # until the fetch is through
        assert await enter(site, authority) == 401
        assert authority.realm.count(JWKS) == 2


@scene
async def test_while_the_issuer_is_down_known_keys_go_on_and_others_are_told_to_come_again(tmp_path: Path) -> None:
    authority = Authority()
    authority.published = [public_jwk("ec")]
    async with authority.entrance(tmp_path).visit() as site:
        assert await enter(site, authority) == 200
        authority.published.append(public_jwk("rsa"))
        authority.trouble = Answer(503)
        authority.seconds += 601
        for _ in range(5):
            assert await enter(site, authority) == 200
            assert await enter(site, authority, "rsa") == 503
        asked = len(authority.realm.asked)
        assert asked <= 6  # two places of metadata, at the start and in one try
        authority.trouble = None
        authority.seconds += 5
        assert await enter(site, authority, "rsa") == 200


@scene_out_of_time
async def test_an_issuer_that_never_answers_keeps_nobody_for_long(tmp_path: Path) -> None:
    authority = Authority()
    entrance = authority.entrance(tmp_path)
    asked = asyncio.Event()

    async def hang(ask: Ask) -> Answer:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with entrance.visit(patience=100) as site:
        authority.realm.slow_hosts["https://issuer.example"] = hang
        visits = [knock(site, bearer(authority.token())) for _ in range(3)]
        await asked.wait()
        assert [await visit.started() for visit in visits] == [503] * 3
        assert len(authority.realm.asked) == 1
        assert asyncio.get_running_loop().time() < 10
