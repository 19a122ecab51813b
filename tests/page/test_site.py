"""Who serves the page: its files and nothing else, with the headers that keep it safe, under the server's own names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic_core import from_json
from tests.house.source import ROOT
from tests.stage import META, MODERN, scene
from tests.transports.guests import Hall

from mcp_kernel.page.site import Listed, PageApp
from mcp_kernel.testing.asgi import App, Site

if TYPE_CHECKING:
    from mcp_kernel.testing.asgi import Visit

FILES = ROOT / "shared/src/mcp_kernel/page/files"
SERVERS = [Listed("sqlite", "SQLite", "/sqlite/mcp"), Listed("git", "Git", "/git/mcp")]
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


def page(*, behind: App | None = None, **allowed: Any) -> App:
    return cast("App", PageApp(SERVERS, behind=cast("Any", behind), **allowed))


def policy(visit: Visit) -> dict[str, str]:
    """The directives of the content security policy of an answer."""
    parts = (directive.strip().partition(" ") for directive in visit.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@scene
async def test_every_file_is_served_with_its_type_and_guarded() -> None:
    async with Site(page()) as site:
        for file in FILES.iterdir():
            visit = site.get("/" if file.name == "index.html" else f"/page/{file.name}")
            assert await visit.whole() == file.read_bytes()
            assert visit.status == 200
            assert visit.headers["content-type"].startswith(TYPES[file.suffix])
            assert visit.headers["x-content-type-options"] == "nosniff"
            assert policy(visit)["default-src"] == "'none'"


@scene
async def test_the_policy_lets_nothing_in_that_is_not_of_the_page() -> None:
    async with Site(page()) as site:
        visit = site.get("/")
        await visit.whole()
    found = policy(visit)
    assert (found["script-src"], found["style-src"], found["connect-src"]) == ("'self'", "'self'", "'self'")
    assert found["frame-ancestors"] == found["base-uri"] == found["form-action"] == found["trusted-types"] == "'none'"
    assert found["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in visit.headers["content-security-policy"]
    assert "http" not in visit.headers["content-security-policy"]


@pytest.mark.parametrize("root", ["", "/tools/console"])
@scene
async def test_the_list_names_the_servers_at_their_paths(root: str) -> None:
    async with Site(page(), root=root) as site:
        listed = from_json(await site.get("/servers.json").whole())
    assert [each["path"] for each in listed] == [f"{root}/sqlite/mcp", f"{root}/git/mcp"]
    assert listed[0]["name"] == "sqlite"
    assert listed[0]["title"] == "SQLite"


@scene
async def test_a_file_that_the_browser_holds_is_not_sent_again() -> None:
    async with Site(page()) as site:
        first = site.get("/page/main.js")
        await first.whole()
        tag = first.headers["etag"]
        for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = site.get("/page/main.js", {"if-none-match": given})
            assert await again.whole() == b""
            assert (again.status, again.headers["etag"]) == (304, tag)
        other = site.get("/page/page.css", {"if-none-match": tag})
        assert await other.started() == 200


@scene
async def test_head_is_answered_as_get() -> None:
    async with Site(page()) as site:
        visit = site.send("HEAD", "/")
        await visit.whole()
        assert visit.status == 200
        assert int(visit.headers["content-length"]) == (FILES / "index.html").stat().st_size


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@scene
async def test_the_files_are_for_reading(method: str) -> None:
    async with Site(page()) as site:
        visit = site.send(method, "/page/main.js")
        await visit.whole()
        assert (visit.status, visit.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page", "/page/../site.py", "/page/%2e%2e/site.py", "/page/site.py", "//", "/page/main.js/", "/x"],
)
@scene
async def test_what_is_not_of_the_page_is_not_there(path: str) -> None:
    async with Site(page()) as site:
        visit = site.get(path)
        await visit.whole()
        assert visit.status == 404
        assert policy(visit)["default-src"] == "'none'"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"host": "tools.example"}, 200),
        ({"host": "localhost:1"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/servers.json", "/page/main.js"])
@scene
async def test_other_names_than_the_servers_own_are_refused(path: str, headers: dict[str, str], status: int) -> None:
    async with Site(page(hosts=["tools.example"])) as site:
        assert await site.get(path, cast("Any", headers)).started() == status


@scene
async def test_all_else_goes_to_the_application_behind() -> None:
    async with Site(page(behind=cast("App", Hall().server.asgi()))) as site:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
        visit = site.post(message, {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"})
        assert "result" in await visit.json()
        assert "content-security-policy" not in visit.headers
        assert await site.get("/healthz").started() == 200
        assert await site.get("/").started() == 200


def test_the_page_asks_for_no_file_that_is_not_there() -> None:
    index = (FILES / "index.html").read_text()
    asked = set(re.findall(r'(?:href|src)="page/([^"]+)"', index))
    for script in FILES.glob("*.js"):
        asked |= set(re.findall(r'from "\./([^"]+)"', script.read_text()))
    assert asked == {file.name for file in FILES.iterdir()} - {"index.html"}
