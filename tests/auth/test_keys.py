"""API keys: who is let in by one, how long, and what is said to everybody else."""

from __future__ import annotations

import logging
import os
import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from tests.auth.entrance import Entrance, key_lines, knock, name_at, request
from tests.stage import scene

from mcp_kernel.auth.policy import Policy, read_policy
from mcp_kernel.auth.resource.document import Mistaken, read
from mcp_kernel.auth.resource.settings import read_settings
from mcp_kernel.console.program import main

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_kernel.testing.asgi import Headers

ALICE = "mcp_alice-1"
TEXT = key_lines("alice", ALICE, 'roles = ["analyst"]', 'scopes = ["mcp"]') + "[roles.analyst]\ntools = ['*']\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {ALICE}"},
        {"authorization": f"bearer   {ALICE}"},
        {"x-api-key": ALICE},
        {"X-API-Key": ALICE},
    ],
)
@scene
async def test_a_key_lets_its_holder_in(tmp_path: Path, headers: Headers) -> None:
    async with Entrance(tmp_path, TEXT).visit() as site:
        assert await name_at(site, headers) == "key alice ['analyst'] ['mcp']"


@pytest.mark.parametrize(
    ("headers", "status", "challenge"),
    [
        ({}, 401, "Bearer"),
        ({"authorization": "Bearer mcp_alice-2"}, 401, 'error="invalid_token"'),
        ({"x-api-key": "mcp_alice-2"}, 401, 'error="invalid_token"'),
        ({"x-api-key": ""}, 401, 'error="invalid_token"'),
        ({"x-api-key": "ü"}, 401, 'error="invalid_token"'),
        ({"authorization": "Basic YTpi"}, 401, "Bearer"),
        ({"authorization": ALICE}, 401, "Bearer"),
        ({"authorization": "Bearer"}, 401, 'error="invalid_token"'),
        ({"authorization": f"Bearer {ALICE} {ALICE}"}, 401, 'error="invalid_token"'),
        ({"authorization": f"Bearer {ALICE},{ALICE}"}, 401, 'error="invalid_token"'),
        ({"authorization": f"DPoP {ALICE}"}, 401, 'error="invalid_token"'),
        ({"authorization": "Bearer " + "a" * 20_000}, 401, 'error="invalid_token"'),
        ({"authorization": f"Bearer {ALICE}", "x-api-key": ALICE}, 400, 'error="invalid_request"'),
        ({"authorization": [f"Bearer {ALICE}", f"Bearer {ALICE}"]}, 400, 'error="invalid_request"'),
        ({"x-api-key": [ALICE, ALICE]}, 400, 'error="invalid_request"'),
    ],
)
@scene
async def test_nobody_else_is_let_in(tmp_path: Path, headers: Headers, status: int, challenge: str) -> None:
    async with Entrance(tmp_path, TEXT).visit() as site:
        visit = knock(site, headers)
        assert await visit.started() == status
        said = visit.headers["www-authenticate"]
        assert said.startswith("Bearer")
        assert challenge in said
        assert "resource_metadata" not in said  # there is no authorisation server
        assert ALICE.encode() not in await visit.whole()


@pytest.mark.parametrize("query", ["access_token={}", "a=b&API_KEY={}", "x-api-key={}", "access%5Ftoken={}", "token"])
@scene
async def test_a_key_in_an_address_is_refused_and_not_logged(
    tmp_path: Path, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Entrance(tmp_path, TEXT).visit() as site:
        for headers in ({}, {"x-api-key": ALICE}):
            visit = knock(site, headers, "/mcp?" + query.format(ALICE))
            expected = 401 if "=" in query or not headers else 200
            assert await visit.started() == expected
    assert ALICE not in caplog.text


@scene
async def test_another_query_is_nobodys_business(tmp_path: Path) -> None:
    async with Entrance(tmp_path, TEXT).visit() as site:
        assert await knock(site, {"x-api-key": ALICE}, "/mcp?tokens=1&session=2").started() == 200


@scene
async def test_nobody_reads_the_body_of_who_is_not_let_in(tmp_path: Path) -> None:
    async with Entrance(tmp_path, TEXT).visit() as site:
        visit = site.open("POST")
        assert await visit.started() == 401


@scene
async def test_every_path_but_the_health_check_is_behind_the_gate(tmp_path: Path) -> None:
    async with Entrance(tmp_path, TEXT).visit() as site:
        assert await site.get("/healthz").started() == 200
        for path in ("/mcp", "/", "/healthz/x", "/.well-known/oauth-protected-resource"):
            assert await site.get(path).started() == 401
        for method in ("DELETE", "PUT", "OPTIONS", "POST"):
            assert await site.send(method).started() == 401


@scene
async def test_a_key_ends_with_its_date_in_utc(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, key_lines("bob", "b", "expires = 2027-01-01"))
    async with entrance.visit() as site:
        entrance.seconds = 1798761599.0  # 2026-12-31T23:59:59Z
        assert await name_at(site, {"x-api-key": "b"}) == "key bob [] []"
        entrance.seconds += 1
        refused = knock(site, {"x-api-key": "b"})
        assert await refused.started() == 401
        assert "expired" in refused.headers["www-authenticate"]


@scene
async def test_a_changed_file_holds_at_once_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entrance = Entrance(tmp_path, TEXT)
    async with entrance.visit() as site:
        entrance.write(TEXT + key_lines("bob", "b"))
        entrance.seconds += 1
        assert await knock(site, {"x-api-key": "b"}).started() == 200
        entrance.write(TEXT + key_lines("bob", "b", "roles = ['king']"))
        entrance.seconds += 1
        for key in (ALICE, "b", ALICE):
            assert await knock(site, {"x-api-key": key}).started() == 200
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
        assert f"{entrance.path}:11: " in caplog.text
        entrance.path.unlink()
        entrance.seconds += 1
        assert await knock(site, {"x-api-key": "b"}).started() == 200
        entrance.write(key_lines("bob", "b"))
        entrance.seconds += 1
        assert await knock(site, {"x-api-key": ALICE}).started() == 401
        assert await knock(site, {"x-api-key": "b"}).started() == 200


@scene
async def test_a_file_of_the_same_size_and_time_that_took_its_place_is_seen(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, key_lines("bob", "b"))
    async with entrance.visit() as site:
        found = entrance.path.stat()
        other = tmp_path / "other"
        other.write_text(key_lines("bob", "c"))
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
        other.replace(entrance.path)
        entrance.seconds += 1
        assert await knock(site, {"x-api-key": "c"}).started() == 200
        assert await knock(site, {"x-api-key": "b"}).started() == 401


@scene
async def test_pages_of_an_origin_that_was_named_can_read_the_refusal(tmp_path: Path) -> None:
    async with Entrance(tmp_path, TEXT).visit(origins=["https://app.example"]) as site:
        refused = knock(site, {"origin": "https://app.example"})
        assert await refused.started() == 401
        assert refused.headers["access-control-allow-origin"] == "https://app.example"
        assert "www-authenticate" in refused.headers["access-control-expose-headers"]
        asked = {"origin": "https://app.example", "access-control-request-headers": "authorization,x-api-key"}
        preflight = site.send("OPTIONS", headers=asked)
        assert await preflight.started() == 204
        assert preflight.headers["access-control-allow-headers"] == "authorization,x-api-key"
        assert await knock(site, {"origin": "https://evil.example", "x-api-key": ALICE}).started() == 403


@scene
async def test_a_session_belongs_to_the_key_that_opened_it(tmp_path: Path) -> None:
    async with Entrance(tmp_path, TEXT + key_lines("bob", "b")).visit() as site:
        info = {"name": "c", "version": "1"}
        hello = request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info})
        opened = site.post(hello, {"x-api-key": ALICE})
        assert await opened.started() == 200
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        for key, status in (("b", 404), ("", 401), (ALICE, 200)):
            assert await site.post(request("ping", {}), {**session, "x-api-key": key}).started() == status


def test_a_new_key_is_printed_with_the_lines_that_let_it_in(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["keys", "new", "--name", "al ice", "--role", "analyst"]) == 0
    first = capsys.readouterr().out
    assert main(["keys", "new"]) == 0
    assert first.split("\n")[0] != capsys.readouterr().out.split("\n")[0]
    key, _, lines = first.partition("\n")
    assert re.fullmatch(r"mcp_[\w-]{43}", key)
    assert key not in lines
    assert tomllib.loads(lines)["keys"][0]["name"] == "al ice"

    @scene
    async def come_in() -> None:
        async with Entrance(tmp_path, lines + "[roles.analyst]\n").visit() as site:
            assert await name_at(site, {"authorization": f"Bearer {key}"}) == "key al%20ice ['analyst'] []"

    come_in()


def test_the_lines_of_a_key_without_a_role_say_how_it_may_do_anything(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    keys: list[str] = []
    for name in ("alice", "bob"):
        assert main(["keys", "new", "--name", name]) == 0
        keys.append(capsys.readouterr().out.partition("\n")[2])
    (tmp_path / "auth.toml").write_text("".join(keys))  # one after the other, as somebody puts them there
    with pytest.raises(Mistaken, match=r"auth.toml:2: nobody may do anything: .*\[roles.everyone\]"):
        permitted(tmp_path / "auth.toml")
    told = [line.removeprefix("# ") for line in keys[1].splitlines()[-2:]]
    (tmp_path / "auth.toml").write_text("\n".join([*keys, *told]))
    assert permitted(tmp_path / "auth.toml").view_of([]).allows("tools", "anything")


def permitted(path: Path) -> Policy:
    """What a file allows, all of which is sound."""
    document = read(path)
    read_settings(document)
    policy = read_policy(document)
    document.require_sound()
    return policy
