"""The URL of the server, what it says of itself there, and whom it believes about it."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from tests.auth.authority import FILE, ISSUER, RESOURCE, Authority, bearer
from tests.auth.entrance import Entrance, key_lines, knock
from tests.stage import scene

from mcp_kernel.auth.metadata import read_resource
from mcp_kernel.auth.resource.place import Place, read_place
from mcp_kernel.server.principal import Knock

if TYPE_CHECKING:
    from pathlib import Path

WELL_KNOWN = "/.well-known/oauth-protected-resource"
FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-host": "club.example"}


@pytest.mark.parametrize("path", [f"{WELL_KNOWN}/mcp", WELL_KNOWN])
@scene
async def test_the_server_describes_itself_to_everybody_at_both_places(tmp_path: Path, path: str) -> None:
    async with Authority().entrance(tmp_path).visit() as site:
        visit = site.get(path)
        assert await visit.started() == 200
        assert visit.headers["content-type"] == "application/json"
        document: Any = await visit.json()
        assert document == {
            **document,
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp"],
        }
        assert read_resource(document, RESOURCE).issuers == (ISSUER,)  # as our own client reads it


@pytest.mark.parametrize("path", [f"{WELL_KNOWN}/other", f"{WELL_KNOWN}x", f"{WELL_KNOWN}/", "/.well-known/x"])
@scene
async def test_nothing_else_is_told_to_everybody(tmp_path: Path, path: str) -> None:
    async with Authority().entrance(tmp_path).visit() as site:
        assert await site.get(path).started() == 401
        assert await site.send("POST", f"{WELL_KNOWN}/mcp").started() == 401


@scene
async def test_with_keys_alone_there_is_nothing_to_describe(tmp_path: Path) -> None:
    text = f"resource = '{RESOURCE}'\n" + key_lines("a", "k")
    async with Entrance(tmp_path, text).visit() as site:
        assert await site.get(f"{WELL_KNOWN}/mcp").started() == 401
        visit = site.get(f"{WELL_KNOWN}/mcp", {"x-api-key": "k"})
        assert await visit.started() == 404


def knock_from(client: str | None, **headers: str | list[str]) -> Knock:
    pairs: list[tuple[bytes, bytes]] = []
    for name, values in {**FORWARDED, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
        pairs += [(name.encode(), each.encode()) for each in ([values] if isinstance(values, str) else values)]
    return Knock("POST", "/mcp", b"", tuple(pairs), client=client)


@pytest.mark.parametrize(
    ("knock", "url"),
    [
        (knock_from("10.1.2.3"), "https://club.example/mcp"),
        (knock_from("::ffff:10.1.2.3"), "https://club.example/mcp"),
        (knock_from("10.1.2.3", x_forwarded_host="CLUB.example"), "https://club.example/mcp"),
        (knock_from("11.1.2.3"), ""),
        (knock_from(None), ""),
        (knock_from("10.1.2.3", x_forwarded_host="evil.example"), ""),
        (knock_from("10.1.2.3", x_forwarded_host="club.example.evil.example"), ""),
        (knock_from("10.1.2.3", x_forwarded_host="club.example/x"), ""),
        (knock_from("10.1.2.3", x_forwarded_host="club.example, evil.example"), ""),
        (knock_from("10.1.2.3", x_forwarded_host=["club.example", "evil.example"]), ""),
        (knock_from("10.1.2.3", x_forwarded_host="user@club.example"), ""),
        (knock_from("10.1.2.3", x_forwarded_host='club.example"'), ""),
        (knock_from("10.1.2.3", x_forwarded_proto="http"), ""),
        (knock_from("10.1.2.3", x_forwarded_proto="javascript"), ""),
        (knock_from("10.1.2.3", x_forwarded_proto=""), ""),
    ],
)
def test_only_a_trusted_proxy_says_the_url_and_only_of_hosts_that_were_named(knock: Knock, url: str) -> None:
    place = Place("/mcp", proxies=[ip_network("10.0.0.0/8")], hosts=["club.example"])
    assert place.locate(knock) == url


@scene
async def test_behind_a_trusted_proxy_a_token_is_for_the_url_that_the_proxy_says(tmp_path: Path) -> None:
    authority = Authority()
    text = FILE.replace(f'resource = "{RESOURCE}"\n', "")
    place = read_place("/mcp", None, ["127.0.0.0/8"], ["club.example", "pub.example"])
    async with authority.entrance(tmp_path, text, place).visit() as site:
        token = bearer(authority.token())
        assert await knock(site, {**token, **FORWARDED}).started() == 200
        assert await knock(site, token).started() == 401
        assert await knock(site, {**token, **FORWARDED, "x-forwarded-host": "pub.example"}).started() == 401
        told = knock(site, FORWARDED)
        assert await told.started() == 401
        assert f'"https://club.example{WELL_KNOWN}/mcp"' in told.headers["www-authenticate"]
        visit = site.get(f"{WELL_KNOWN}/mcp", FORWARDED)
        assert json.loads(await visit.whole())["resource"] == RESOURCE
        assert await site.get(f"{WELL_KNOWN}/mcp").started() == 401


@scene
async def test_without_a_trusted_proxy_nobody_is_believed(tmp_path: Path) -> None:
    authority = Authority()
    async with authority.entrance(tmp_path).visit() as site:
        headers = {**FORWARDED, "x-forwarded-host": "evil.example"}
        assert "club.example" in await refusal_of(site, headers)
        assert (
            await knock(site, {**bearer(authority.token(aud="https://evil.example/mcp")), **headers}).started() == 401
        )


async def refusal_of(site: Any, headers: dict[str, str]) -> str:
    visit = knock(site, headers)
    assert await visit.started() == 401
    return visit.headers["www-authenticate"]
