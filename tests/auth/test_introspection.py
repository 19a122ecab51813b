"""Tokens that the issuer is asked about: what is kept of its answers, and what happens while it gives none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.auth.authority import ISSUER, RESOURCE, Authority, bearer
from tests.auth.entrance import knock, name_at
from tests.auth.realm import Answer
from tests.stage import scene

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_kernel.testing.asgi import Site

INTROSPECT = f"POST {ISSUER}/introspect"
FILE = f"""resource = "{RESOURCE}"
[introspection]
issuer = "{ISSUER}"
url = "{ISSUER}/introspect"
client_id = "club"
client_secret_env = "CLUB_SECRET"
role_claim = "role"
required_scopes = ["mcp"]
[roles.analyst]
tools = ["*"]
"""


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("CLUB_SECRET", "s&cret")
    found = Authority()
    found.active["opaque"] = {"active": True, **found.claims()}
    return found


async def enter(site: Site, token: str = "opaque") -> int:
    return await knock(site, bearer(token)).started()


@scene
async def test_a_token_that_is_active_lets_its_bearer_in(tmp_path: Path, authority: Authority) -> None:
    async with authority.entrance(tmp_path, FILE).visit() as site:
        assert await name_at(site, bearer("opaque")) == f"jwt {ISSUER} ann app ['analyst'] ['mcp', 'more']"
        assert await enter(site, "unknown") == 401
        refused = knock(site, bearer("unknown"))
        assert await refused.started() == 401
        assert "resource_metadata" in refused.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"aud": None}, 401),
        ({"aud": "https://other.example/mcp"}, 401),
        ({"aud": [RESOURCE]}, 200),
        ({"iss": None, "exp": None}, 200),
        ({"iss": "https://evil.example"}, 401),
        ({"exp": 999_999}, 401),
        ({"exp": "soon"}, 401),
        ({"nbf": 1_000_001}, 401),
        ({"active": False}, 401),
        ({"sub": None, "client_id": None}, 401),
        ({"cnf": {"jkt": "x"}}, 401),
        ({"scope": "other"}, 403),
        ({"sub": "\ud800"}, 503),
        ({"scope": "mcp \udfff"}, 503),
        ({"cnf": {"jkt": "\ud800"}}, 503),
        ({"exp": float("nan")}, 503),
        ({"exp": 10**400}, 401),
        ({"scope": [["mcp"]], "aud": [[RESOURCE]]}, 401),
        ({"active": "true"}, 503),
        ({"active": None}, 503),
    ],
)
@scene
async def test_an_answer_is_checked_as_a_token_is(
    tmp_path: Path, authority: Authority, claims: dict[str, object], status: int
) -> None:
    said = {"active": True, **authority.claims(), **claims}
    authority.active["opaque"] = {name: value for name, value in said.items() if value is not None}
    async with authority.entrance(tmp_path, FILE).visit() as site:
        assert await enter(site) == status


@scene
async def test_an_answer_is_kept_for_its_time_and_not_beyond_the_tokens_end(
    tmp_path: Path, authority: Authority
) -> None:
    async with authority.entrance(tmp_path, FILE).visit() as site:
        assert [await enter(site) for _ in range(5)] == [200] * 5
        assert authority.realm.count(INTROSPECT) == 1
        authority.active.clear()  # withdrawn
        authority.seconds += 29
        assert await enter(site) == 200
        authority.seconds += 1
        assert await enter(site) == 401
        authority.active["short"] = {"active": True, **authority.claims(exp=authority.seconds + 10)}
        assert await enter(site, "short") == 200
        authority.seconds += 10
        assert await enter(site, "short") == 401


@scene
async def test_without_keeping_every_request_asks(tmp_path: Path, authority: Authority) -> None:
    text = FILE.replace("role_claim", "cache_seconds = 0\nrole_claim")
    async with authority.entrance(tmp_path, text).visit() as site:
        assert await enter(site) == 200
        authority.active.clear()
        assert await enter(site) == 401


@scene
async def test_requests_with_one_token_share_one_question(tmp_path: Path, authority: Authority) -> None:
    async with authority.entrance(tmp_path, FILE).visit() as site:
        assert set(await asyncio.gather(*(enter(site) for _ in range(20)))) == {200}
        assert authority.realm.count(INTROSPECT) == 1


@scene
async def test_whoever_makes_tokens_up_asks_the_issuer_so_often_at_once_and_no_more(
    tmp_path: Path, authority: Authority
) -> None:
    async with authority.entrance(tmp_path, FILE).visit() as site:
        found = await asyncio.gather(*(enter(site, f"made-up-{number}") for number in range(200)))
        assert set(found) == {401, 503}
        assert authority.realm.count(INTROSPECT) == 64
        assert await enter(site) == 200


@scene
async def test_while_the_issuer_is_down_what_is_kept_goes_on(tmp_path: Path, authority: Authority) -> None:
    async with authority.entrance(tmp_path, FILE).visit() as site:
        assert await enter(site) == 200
        authority.trouble = Answer(401)  # or it does not know us any more
        assert await enter(site) == 200
        assert await enter(site, "another") == 503
        authority.seconds += 30
        waiting = knock(site, bearer("opaque"))
        assert await waiting.started() == 503
        assert waiting.headers["retry-after"] == "5"
        authority.trouble = None
        assert await enter(site) == 200
