"""Who may talk to the server at all: Host, Origin, and what pages may read."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.stage import META, MODERN, scene
from tests.transports.guests import Hall, Modern, visiting

from mcp_kernel.testing.asgi import Headers, Site, Visit
from mcp_kernel.transports.admission import Admission, find_mistake
from mcp_kernel.transports.http import HttpOptions

OPTIONS = HttpOptions(hosts=["Files.example", "exact.example:8443", "::2"], origins=["https://App.example/"])

LOCAL_HOSTS = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:80", "LocalHost", "[::1]", "[::1]:80"]
NAMED_HOSTS = ["files.example", "FILES.EXAMPLE:1", "exact.example:8443", "[::2]:9"]
EVIL_HOSTS = [
    "",
    " ",
    "evil.example",
    "evil.example:8000",
    "127.0.0.1:evil",
    "127.0.0.1:80:80",
    "127.0.0.1:",
    "127.0.0.1:80@evil.example",
    "127.0.0.1@evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example.localhost",
    "xlocalhost",
    "localhost.",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0.0.0.0",
    "0x7f000001",
    "127.0.0.1/",
    "127.0.0.1\t",
    "127.0.0.1, evil.example",
    "::1",
    "[::1",
    "::1]",
    "[::1]evil",
    "[::1]:80x",
    "[::1]:",
    "[::1%25lo]",
    "[::ffff:127.0.0.1]",
    "exact.example",
    "exact.example:443",
    "exact.example:08443",
    "127.0.0.1:\u0668\u0660".encode().decode("latin-1"),
    "localhost:²",
    "\uff4cocalhost".encode().decode("latin-1"),
    "*",
]
LOCAL_ORIGINS = ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:80", "HTTP://LOCALHOST"]
EVIL_ORIGINS = [
    "",
    "null",
    "NULL",
    "*",
    "https://evil.example",
    "https://app.example.evil.example",
    "https://evil.example/https://app.example",
    "https://app.example:444",
    "http://app.example",
    "app.example",
    "file://",
    "file://localhost",
    "chrome-extension://localhost",
    "http://localhost:evil",
    "http://localhost:80:80",
    "http://localhost.evil.example",
    "http://user@localhost",
    "http://localhost@evil.example",
    "http://localhost/path",
    "http://localhost/",
    "http://localhost?",
    "http://localhost#",
    "http://local\thost",
    "http://localhost, http://localhost",
    "http:localhost",
    "http://",
    "http://[",
    "http://[::1",
    "http://[localhost",
    "http://]",
    "http://[v1.x]",
    "http://localhost\\@evil.example",
    "\xffhttp://localhost",
    "http://localhost\xff",
]


def ask(site: Site, headers: Headers, id: int = 1) -> Visit:
    """Ask for the tools under other headers."""
    given = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list", **headers}
    return site.post(Modern(site).message("tools/list", {"_meta": META}, id), given)


@pytest.mark.parametrize("host", LOCAL_HOSTS + NAMED_HOSTS)
@scene
async def test_names_of_this_machine_and_those_that_were_named_are_served(host: str) -> None:
    async with visiting(Hall().server, OPTIONS) as site:
        assert "result" in await ask(site, {"host": host}).json()


@pytest.mark.parametrize("host", [*EVIL_HOSTS, None])
@scene
async def test_every_other_host_is_refused_with_421_and_the_option_to_set(
    host: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mcp_kernel"):
        async with visiting(Hall().server, OPTIONS) as site:
            visit = ask(site, {"host": host})
            assert "--allowed-host" in str(await visit.json())
            assert visit.status == 421
    assert "--allowed-host" in caplog.text
    assert caplog.text.count("\n") == 1


@pytest.mark.parametrize("origin", [*LOCAL_ORIGINS, "https://app.example", "https://APP.example", None])
@scene
async def test_origins_of_this_machine_and_those_that_were_named_are_served(origin: str | None) -> None:
    async with visiting(Hall().server, OPTIONS) as site:
        assert "result" in await ask(site, {"origin": origin}).json()


@pytest.mark.parametrize("origin", EVIL_ORIGINS)
@scene
async def test_every_other_origin_is_refused_with_403_and_the_option_to_set(
    origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mcp_kernel"):
        async with visiting(Hall().server, OPTIONS) as site:
            visit = ask(site, {"origin": origin})
            assert "--allowed-origin" in str(await visit.json())
            assert visit.status == 403
            assert not [name for name in visit.headers if name.startswith("access-control")]
    assert "--allowed-origin" in caplog.text
    assert caplog.text.count("\n") == 1


@pytest.mark.parametrize("headers", [{"host": ["localhost", "evil.example"]}, {"host": ["evil.example", "localhost"]}])
@scene
async def test_two_hosts_are_none(headers: Headers) -> None:
    async with visiting(Hall().server) as site:
        assert await ask(site, headers).started() == 421


@scene
async def test_two_origins_are_refused() -> None:
    async with visiting(Hall().server, OPTIONS) as site:
        for id, origins in enumerate((["http://localhost", "https://evil.example"], ["https://app.example"] * 2)):
            assert await ask(site, {"origin": origins}, id).started() == 403


@pytest.mark.parametrize("path", ["/mcp", "/healthz", "/nothing", "/sse"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
@scene
async def test_no_address_and_no_method_is_open_to_strangers(path: str, method: str) -> None:
    async with visiting(Hall().server) as site:
        for headers, status in (({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403)):
            assert await site.send(method, path, headers).started() == status


@scene
async def test_a_stranger_is_refused_before_its_body_is_read() -> None:
    async with visiting(Hall().server) as site:
        visit = site.open("POST", headers={"host": "evil.example"})
        assert await visit.started() == 421
        await visit.whole()
        await visit.over()


def test_a_refusal_does_not_repeat_what_a_terminal_would_obey() -> None:
    refusals = [
        Admission().refuse({"host": "\x1b[31mevil\n"}),
        Admission().refuse({"host": "localhost", "origin": "\x1b[31mevil\n"}),
    ]
    for refusal in refusals:
        assert refusal is not None
        assert refusal.reason.isprintable()


def test_a_port_can_be_named_with_an_address_of_six() -> None:
    admission = Admission(hosts=["[2001:db8::1]:8443", "[2001:db8::2]"])
    assert admission.refuse({"host": "[2001:db8::1]:8443"}) is None
    assert admission.refuse({"host": "[2001:DB8::2]:1"}) is None
    assert admission.refuse({"host": "[2001:db8::1]:1"}) is not None


# --- what pages may read ---


@scene
async def test_only_pages_of_a_named_origin_may_read_the_answers() -> None:
    async with visiting(Hall().server, OPTIONS) as site:
        named = ask(site, {"origin": "https://app.example"})
        await named.json()
        assert named.headers["access-control-allow-origin"] == "https://app.example"
        assert "mcp-session-id" in named.headers["access-control-expose-headers"]
        assert named.headers["vary"] == "origin"
        for origin in ("http://localhost:3000", None):
            visit = ask(site, {"origin": origin})
            await visit.json()
            assert not [name for name in visit.headers if name.startswith("access-control")]


@scene
async def test_a_named_origin_may_read_streams_and_refusals_too() -> None:
    async with visiting(Hall().server, OPTIONS) as site:
        guest, origin = Modern(site), "https://app.example"
        stream = guest.ask("subscriptions/listen", {"notifications": {}}, {"origin": origin})
        await stream.started()
        wrong = site.get("/nothing", {"origin": origin})
        await wrong.started()
        for visit in (stream, wrong):
            assert visit.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    ("origin", "status"), [("https://app.example", 204), ("http://localhost:30", 405), (None, 405)]
)
@scene
async def test_a_preflight_is_answered_for_named_origins_only(origin: str | None, status: int) -> None:
    async with visiting(Hall().server, OPTIONS) as site:
        asked = "content-type, mcp-method, mcp-param-region"
        headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": asked}
        visit = site.send("OPTIONS", headers=headers)
        assert await visit.started() == status
        if status == 204:
            assert visit.headers["access-control-allow-headers"] == asked
            assert "content-length" not in visit.headers
        else:
            assert not [name for name in visit.headers if name.startswith("access-control")]


@scene
async def test_a_preflight_is_answered_for_both_addresses_of_the_old_pair() -> None:
    options = HttpOptions(origins=["https://app.example"], sse=True)
    async with visiting(Hall().server, options) as site:
        for path in ("/sse", "/messages?session_id=x"):
            assert await site.send("OPTIONS", path, {"origin": "https://app.example"}).started() == 204


# --- other addresses ---


@scene
async def test_health_tells_whether_the_server_is_closing() -> None:
    app = Hall().server.asgi()
    async with visiting(app) as site:
        healthy = site.get("/healthz")
        assert (await healthy.whole(), healthy.status) == (b"ok", 200)
        head = site.send("HEAD", "/healthz")
        assert await head.started() == 200
        await app.close()
        assert await site.get("/healthz").started() == 503
        assert await ask(site, {}).started() == 503
        assert await site.get("/mcp", {"mcp-session-id": "x"}).started() == 503


@pytest.mark.parametrize("path", ["/", "/mcpx", "/mcp/x", "//mcp", "/MCP", "/mcp/../mcp", "/healthz/x", "/sse"])
@scene
async def test_there_is_nothing_at_other_addresses(path: str) -> None:
    async with visiting(Hall().server) as site:
        visit = site.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, path=path)
        assert "/mcp" in str(await visit.json())
        assert visit.status == 404


@scene
async def test_other_scopes_of_asgi_are_left_alone() -> None:
    app = Hall().server.asgi()

    async def nothing(*_: object) -> dict[str, object]:
        return {"type": "websocket.connect"}

    async with asyncio.timeout(5):
        await app({"type": "websocket", "path": "/mcp", "headers": []}, nothing, nothing)  # pyright: ignore[reportArgumentType]  # a stub


@pytest.mark.parametrize("host", ["files.example", "Files.Example:8443", "10.0.0.7", "::2", "[::2]:9", "front"])
def test_a_host_that_can_fit_is_no_mistake(host: str) -> None:
    assert find_mistake([host], []) is None
    assert Admission([host]).refuse({"host": f"[{host}]" if host == "::2" else host}) is None


@pytest.mark.parametrize(
    "host", ["", "*", "*.example", "https://files.example", "files.example/mcp", "a b", "a:x", "a:", "ü.example"]
)
def test_a_host_that_fits_nothing_is_told_to_the_operator(host: str) -> None:
    assert "as files.example:8443" in str(find_mistake(["files.example", host], []))


@pytest.mark.parametrize("origin", ["https://app.example", "http://App.example:3000/", "app://obsidian.md", "null"])
def test_an_origin_that_can_fit_is_no_mistake(origin: str) -> None:
    assert find_mistake([], [origin]) is None
    assert Admission([], [origin]).refuse({"host": "localhost", "origin": origin.rstrip("/")}) is None


@pytest.mark.parametrize(
    "origin", ["", "*", "app.example", "https://", "https://app.example/page", "https://*.example"]
)
def test_an_origin_that_fits_nothing_is_told_to_the_operator(origin: str) -> None:
    assert "as https://app.example" in str(find_mistake([], ["https://app.example", origin]))
