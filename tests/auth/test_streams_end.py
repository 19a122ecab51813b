"""What was opened with a key or a token ends with it: nobody listens on who would not be let in any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.auth.authority import FILE as TOKENS
from tests.auth.authority import Authority, bearer
from tests.auth.entrance import EVERYONE, META, Entrance, key_lines, request
from tests.stage import elapse, scene_out_of_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mcp_kernel.testing.asgi import Headers, Site, Visit

    Begin = Callable[[Site, Headers], Awaitable[Visit]]

ANN, BOB = key_lines("ann", "a", 'roles = ["r"]'), key_lines("bob", "b", "expires = 1970-01-20")
ROLES = EVERYONE.replace('"*"', '"who*"') + '[roles.r]\ntools = ["*"]\n'
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}


async def open_modern(site: Site, who: Headers) -> Visit:
    mirrored = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
    return site.post(request("subscriptions/listen", {"notifications": {}, "_meta": META}), {**mirrored, **who})


async def open_legacy(site: Site, who: Headers) -> Visit:
    opened = site.post(request("initialize", HELLO), who)
    assert await opened.started() == 200
    session = {"mcp-session-id": opened.headers["mcp-session-id"], **who}
    await site.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, session).whole()
    return site.get("/mcp", session)


in_both_eras = pytest.mark.parametrize("begin", [open_modern, open_legacy])


def change_nothing(entrance: Entrance) -> None:
    entrance.write(ANN + BOB + ROLES + "# a remark\n")


def take_away(entrance: Entrance) -> None:
    entrance.write(BOB + ROLES + ANN.replace('"ann"', '"eve"'))


def make_anew(entrance: Entrance) -> None:
    entrance.write(BOB + ROLES + key_lines("ann", "A", 'roles = ["r"]'))


def give_less(entrance: Entrance) -> None:
    entrance.write(BOB + ROLES + ANN.replace('["r"]', "[]"))


@in_both_eras
@pytest.mark.parametrize("change", [change_nothing, take_away, make_anew, give_less])
@scene_out_of_time
async def test_a_stream_ends_with_the_key_that_opened_it(
    tmp_path: Path, begin: Begin, change: Callable[[Entrance], None]
) -> None:
    entrance = Entrance(tmp_path, ANN + BOB + ROLES)
    async with entrance.visit(patience=1000) as site:
        ann, bob = [await begin(site, {"x-api-key": key}) for key in "ab"]
        assert [await ann.started(), await bob.started()] == [200, 200]
        change(entrance)
        entrance.seconds += 2
        await elapse(40)
        assert (ann.is_whole, bob.is_whole) == (change is not change_nothing, False)
        entrance.seconds += 10_000_000.0
        await elapse(40)
        assert bob.is_whole, "his key has an end"


@in_both_eras
@scene_out_of_time
async def test_a_stream_ends_with_the_token_that_opened_it(tmp_path: Path, begin: Begin) -> None:
    authority = Authority()
    entrance = authority.entrance(tmp_path, TOKENS)
    async with entrance.visit(patience=1000) as site:
        short, long = [await begin(site, bearer(authority.token(exp=entrance.seconds + more))) for more in (60, 600)]
        assert [await short.started(), await long.started()] == [200, 200]
        entrance.seconds += 60  # the clocks may differ by thirty seconds
        await elapse(40)
        assert (short.is_whole, long.is_whole) == (False, False)
        entrance.seconds += 30
        await elapse(40)
        assert (short.is_whole, long.is_whole) == (True, False)
        entrance.write(TOKENS.replace("issuer.example", "another.example"))
        entrance.seconds += 2
        await elapse(40)
        assert long.is_whole, "its issuer counts no more"


@scene_out_of_time
async def test_a_stream_of_the_oldest_revision_ends_so_too(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, ANN + BOB + ROLES)
    async with entrance.visit(patience=1000, sse=True) as site:
        ann, bob = [site.get("/sse", {"x-api-key": key}) for key in "ab"]
        assert [await ann.started(), await bob.started()] == [200, 200]
        take_away(entrance)
        entrance.seconds += 2
        await elapse(40)
        assert (ann.is_whole, bob.is_whole) == (True, False)
        assert await site.get("/sse", {"x-api-key": "a"}).started() == 200, "the key is eve's now"
