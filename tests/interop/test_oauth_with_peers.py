"""The whole flow over loopback: a real issuer, a server that takes its tokens, the peer's client and ours."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from tests.auth.serving import Served, free_port, serve_issuer
from tests.served import serve
from tests.stage import scene

from mcp_kernel.auth import AuthorizationCode, MemoryStore, OAuth
from mcp_kernel.client import Client, Reach

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
SERVER = Path(sys.executable).with_name("mcp-server-sqlite")
REDIRECT = "http://127.0.0.1:3000/callback"
TOOLS = ["query", "list_tables"]


@pytest.fixture(scope="module")
def issuer() -> Generator[Served]:
    with serve_issuer() as served:
        served.issuer.claims = {"role": "analyst"}
        yield served


@pytest.fixture(scope="module")
def server(issuer: Served, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    place = tmp_path_factory.mktemp("oauth")
    port = free_port()
    (place / "auth.toml").write_text(
        f"""resource = "http://127.0.0.1:{port}/mcp"
[jwt]
issuer = "{issuer.issuer.issuer}"
role_claim = "role"
required_scopes = ["mcp"]
[roles.analyst]
tools = {json.dumps(TOOLS)}
"""
    )
    database = ["--db-path", str(place / "x.db"), "--sample"]
    options = [
        "--transport",
        "http",
        "--auth",
        str(place / "auth.toml"),
        "--public-url",
        f"http://127.0.0.1:{port}/mcp",
    ]
    with serve([str(SERVER), *database], options, port) as url:
        yield url


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_the_peers_client_authorises_itself_and_calls(server: str, issuer: Served, mode: str, revision: str) -> None:
    issuer.asked.clear()
    command = [sys.executable, str(HERE / "authorized_sdk_2.py"), mode, server]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    learned = json.loads(done.stdout)
    assert learned["revision"] == revision
    assert learned["tools"] == TOOLS
    assert learned["query"]["rows"] == [[42]]
    assert learned["scope"] == "mcp"  # as the challenge said
    assert [path for path in issuer.asked if path in ("/register", "/authorize", "/token")] == [
        "/register",
        "/authorize",
        "/token",
    ]


async def agree(url: str) -> str:
    """The user's browser."""
    async with httpx.AsyncClient() as browser:
        return (await browser.get(url)).headers["location"]


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-06-18"])
def test_our_client_authorises_itself_and_calls(server: str, revision: str) -> None:
    @scene
    async def visit() -> None:
        auth = OAuth(server, AuthorizationCode(agree, REDIRECT), store=MemoryStore())
        async with Client(server, revision=revision, reach=Reach(auth=auth)) as client:
            assert [tool.name for tool in await client.list_tools()] == TOOLS
            answer = await client.call_tool("query", {"sql": "SELECT 6 * 7 AS n"})
            assert cast("dict[str, object]", answer.structured)["rows"] == [[42]]

    visit()


def test_the_token_of_another_server_is_not_taken(server: str, issuer: Served) -> None:
    given = {"resource": "http://127.0.0.1:1/mcp", "scope": "mcp", "client_id": "client-1", "bound": ""}
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for resource, status in (("http://127.0.0.1:1/mcp", 401), (server, 400)):  # 400: it is let in, without a session
        token = issuer.issuer.token({**given, "resource": resource})["access_token"]
        answer = httpx.post(server, json=message, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status, answer.text


@pytest.fixture(scope="module")
def guarded(issuer: Served) -> Generator[str]:
    """The peer's server behind the same issuer."""
    port = free_port()
    command = [sys.executable, str(HERE / "guarded_by_sdk_2.py"), str(port), issuer.issuer.issuer]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            wait_listening(port)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


def wait_listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
    raise TimeoutError(f"nothing listens on {port}")


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-06-18"])
def test_our_client_authorises_itself_at_the_peers_server(guarded: str, issuer: Served, revision: str) -> None:
    issuer.asked.clear()

    @scene
    async def visit() -> None:
        auth = OAuth(guarded, AuthorizationCode(agree, REDIRECT), store=MemoryStore())
        async with Client(guarded, revision=revision, reach=Reach(auth=auth)) as client:
            assert (await client.call_tool("add", {"a": 20, "b": 22})).text == "42"

    visit()
    assert {"/register", "/authorize", "/token"} <= set(issuer.asked)
