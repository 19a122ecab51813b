"""Stages around every request: their order, what they refuse, what a refusal brings over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from tests.stage import scene
from tests.transports.guests import Member, Modern

from mcp_kernel import Server, ToolError
from mcp_kernel.errors import ProtocolError
from mcp_kernel.server.principal import Knock, Principal, Refusal
from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from tests.stage import Connect

    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed


class Note:
    """A stage that writes down what passes it, and refuses what it is told to."""

    def __init__(self, name: str, notes: list[str], refusal: Exception | None = None) -> None:
        self.name, self.notes, self.refusal = name, notes, refusal

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        self.notes.append(f"{self.name} in {exchange.request.method}")
        if self.refusal is not None and exchange.request.method == "tools/call":
            exchange.headers = ((b"retry-after", b"7"),)
            raise self.refusal
        answer = await proceed(exchange)
        self.notes.append(f"{self.name} out")
        return answer


def make_server() -> Server:
    server = Server("shop", "1")

    @server.tool()
    async def echo(text: str) -> str:
        """Say it again."""
        return text

    return server


@pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])
@scene
async def test_the_first_stage_is_the_outermost(connect: Connect, revision: str) -> None:
    server, notes = make_server(), list[str]()
    server.use([Note("a", notes), Note("b", notes)])
    async with connect(server, revision) as client:
        notes.clear()
        assert (await client.call_tool("echo", {"text": "x"}))["content"] == [{"type": "text", "text": "x"}]
        assert notes == ["a in tools/call", "b in tools/call", "b out", "a out"]
        notes.clear()
        await client.call("tools/list", {})
        assert notes == ["a in tools/list", "b in tools/list", "b out", "a out"]


@pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])
@scene
async def test_a_refusal_is_told_like_a_handlers(connect: Connect, revision: str) -> None:
    server, notes = make_server(), list[str]()
    server.use([Note("a", notes, ToolError("not now"))])
    async with connect(server, revision) as client:
        refused = await client.call_tool("echo", {"text": "x"})
        assert refused["isError"] is True
        assert "not now" in str(refused["content"])


@scene
async def test_without_stages_nothing_stands_around_a_request() -> None:
    server = make_server()
    server.use([])
    assert server.stages is None


@pytest.mark.parametrize("guest", [Member, Modern])
@scene
async def test_a_refusal_has_its_status_and_headers(guest: type[Member | Modern]) -> None:
    server = make_server()
    server.use([Note("a", [], ProtocolError(-32000, "Too many", status=429))])
    async with Site(HttpApp(server)) as site:
        client = guest(site)
        if isinstance(client, Member):
            await client.open()
        reply = client.ask_tool("echo", text="x")
        assert await reply.started() == 429
        assert reply.headers["retry-after"] == "7"
        assert cast("dict[str, object]", (await reply.json())["error"])["message"] == "Too many"


class Doorman:
    """A gate that knows one word."""

    async def admit(self, knock: Knock) -> Principal | Refusal:
        if knock.values(b"authorization") == [b"Bearer open"]:
            return Principal("ann")
        return Refusal(401, "Say the word", ((b"www-authenticate", b"Bearer"),))

    def document(self, knock: Knock) -> bytes | None:
        return b'{"resource":"x"}' if knock.path == "/.well-known/oauth-protected-resource" else None

    async def close(self) -> None:
        pass


@scene
async def test_the_gate_comes_before_the_endpoint() -> None:
    async with Site(HttpApp(make_server(), HttpOptions(gate=Doorman()))) as site:
        refused = site.post("{")
        assert await refused.started() == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        admitted = site.post("{", {"authorization": "Bearer open"})
        assert await admitted.started() == 400
        assert await site.get("/healthz").started() == 200
        document = site.get("/.well-known/oauth-protected-resource")
        assert await document.json() == {"resource": "x"}
