"""Both eras on one pipe: the handshake, the stateless requests beside it, and what each refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.stage import (
    LEGACY,
    META,
    MODERN,
    Connect,
    Dial,
    Json,
    in_every_revision,
    modern,
    scene,
    shake_hands,
    text_of,
)

from mcp_kernel import Context, Server
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"


def make_server() -> Server:
    server = Server(
        "shop", "2", title="The shop", instructions="Ask before you buy.", website_url="https://shop.example"
    )

    @server.tool(title="Say it")
    async def say(ctx: Context, text: str = "hello") -> str:
        return f"{text} {ctx.client.get('name', 'nobody')}"

    @server.resource("shop://about")
    def about() -> str:
        return "A shop."

    @server.resource("shop://items/{name}")
    def item(name: str) -> str:
        return name

    @server.prompt()
    def buy(what: str) -> str:
        return f"Buy {what}"

    return server


@pytest.mark.parametrize("revision", LEGACY)
@scene
async def test_a_handshake_agrees_on_the_revision_asked_for(dial: Dial, revision: str) -> None:
    async with dial(make_server()) as wire:
        said = await shake_hands(wire, revision)
        assert said["protocolVersion"] == revision
        assert said["instructions"] == "Ask before you buy."
        assert said["serverInfo"]["name"] == "shop"


@pytest.mark.parametrize("revision", ["2026-07-28", "2099-12-31", "", "latest"])
@scene
async def test_a_handshake_for_what_has_none_is_answered_and_never_echoed(dial: Dial, revision: str) -> None:
    async with dial(make_server()) as wire:
        assert (await shake_hands(wire, revision))["protocolVersion"] == "2025-11-25"
        assert "tools" in await wire.call("tools/list")


@scene
async def test_a_handshake_that_says_it_is_modern_is_an_unknown_method(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        params = modern(protocolVersion=MODERN, capabilities={}, clientInfo={"name": "c", "version": "1"})
        wire.request("initialize", params, id=1, malformed=True)
        assert cast("Any", await wire.answer(1))["error"]["code"] == -32601
        assert (await shake_hands(wire))["protocolVersion"] == "2025-11-25"


@scene
async def test_cancelling_the_handshake_does_nothing(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        info = {"name": "c", "version": "1"}
        hello: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        first = wire.request("initialize", hello)
        wire.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": first}}, malformed=True
        )
        assert "result" in await wire.answer(first)
        assert "tools" in await wire.call("tools/list")


@scene
async def test_stateless_requests_are_served_before_between_and_after_the_handshake(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        info = {"name": "old", "version": "1"}
        hello: Json = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info}
        steps: list[Callable[[], object]] = [
            lambda: None,
            lambda: wire.request("initialize", hello),
            lambda: wire.notify("notifications/initialized"),
        ]
        for step in steps:
            step()
            result = await wire.call("tools/call", modern(name="say"))
            assert result["resultType"] == "complete"
            assert text_of(result) == "hello nobody"
        legacy = await wire.call("tools/call", {"name": "say"})
        assert text_of(legacy) == "hello old"
        assert "resultType" not in legacy


@scene
async def test_a_stateless_request_learns_nothing_from_the_session_nor_from_the_request_before(dial: Dial) -> None:
    server = make_server()

    @server.tool()
    async def who(ctx: Context) -> str:
        return f"{ctx.client.get('name')} {ctx.supports(sampling={})}"

    async with dial(server) as wire:
        await shake_hands(wire, sampling={})
        known: Json = {
            VERSION: MODERN,
            CAPABILITIES: {"sampling": {}},
            "io.modelcontextprotocol/clientInfo": {"name": "a", "version": "1"},
        }
        assert text_of(await wire.call("tools/call", {"name": "who"})) == "tester True"
        assert text_of(await wire.call("tools/call", {"name": "who", "_meta": known})) == "a True"
        assert text_of(await wire.call("tools/call", modern(name="who"))) == "None False"


@pytest.mark.parametrize("asked", ["2025-11-25", "2024-11-05", "2099-12-31", ""])
@scene
async def test_a_stateless_request_in_a_revision_that_is_not_is_told_those_that_are(dial: Dial, asked: str) -> None:
    async with dial(make_server()) as wire:
        for method in ("tools/list", "server/discover"):
            with pytest.raises(Refused) as caught:
                await wire.call(method, {"_meta": {**META, VERSION: asked}})
            assert caught.value.code == -32022
            discovered = await wire.call("server/discover", modern())
            assert caught.value.data == {"supported": discovered["supportedVersions"], "requested": asked}


@pytest.mark.parametrize(
    "meta", [{VERSION: MODERN}, {VERSION: 7, CAPABILITIES: {}}, {VERSION: MODERN, CAPABILITIES: []}]
)
@scene
async def test_an_incomplete_meta_is_invalid(dial: Dial, meta: dict[str, Any]) -> None:
    async with dial(make_server()) as wire:
        wire.request("tools/list", {"_meta": meta}, id="x", malformed=True)
        assert cast("Any", await wire.answer("x"))["error"]["code"] == -32602


@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
    ],
)
@scene
async def test_what_the_modern_era_dropped_is_unknown_there(dial: Dial, method: str) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire)
        wire.request(method, modern(uri="shop://about", level="info"), id=1, malformed=True)
        assert cast("Any", await wire.answer(1))["error"]["code"] == -32601


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "no/such", "tasks/list"])
@scene
async def test_what_a_session_does_not_have_is_unknown_there(dial: Dial, method: str) -> None:
    async with dial(make_server()) as wire:
        await shake_hands(wire)
        wire.request(method, {"notifications": {}}, id=1, malformed=True)
        assert cast("Any", await wire.answer(1))["error"]["code"] == -32601


@scene
async def test_a_session_comes_before_its_requests(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        assert await wire.call("ping") == {}
        with pytest.raises(Refused, match="initialize") as caught:
            await wire.call("tools/list")
        assert caught.value.code == -32600
        await shake_hands(wire)
        with pytest.raises(Refused):
            await shake_hands(wire)
        assert "tools" in await wire.call("tools/list")


STAMPS = {"resultType", "_meta", "ttlMs", "cacheScope"}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("tools/list", {}),
    ("tools/call", {"name": "say"}),
    ("tools/call", {"name": "say", "arguments": {"text": 1}}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "shop://about"}),
    ("resources/read", {"uri": "shop://items/tea"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "buy", "arguments": {"what": "tea"}}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "buy"}, "argument": {"name": "what", "value": "t"}}),
]
CACHED = {
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
}


@in_every_revision
@pytest.mark.parametrize(("method", "params"), CALLS, ids=lambda each: str(each)[:30])
@scene
async def test_results_are_stamped_as_the_revision_wants(
    connect: Connect, revision: str, method: str, params: dict[str, Any]
) -> None:
    async with connect(make_server(), revision) as client:
        stamps = STAMPS & (await client.call(method, params)).keys()
        expected = {"resultType", "_meta"} | ({"ttlMs", "cacheScope"} if method in CACHED else set[str]())
        assert stamps == (expected if revision == MODERN else set())


@scene
async def test_every_modern_result_says_who_answers(connect: Connect) -> None:
    async with connect(make_server()) as client:
        for method, params in [*CALLS, ("server/discover", {})]:
            result: Any = await client.call(method, params)
            assert result["_meta"][SERVER_INFO]["name"] == "shop"
            if method in CACHED:
                assert type(result["ttlMs"]) is int
                assert result["ttlMs"] >= 0
                assert result["cacheScope"] in ("public", "private")


@in_every_revision
@scene
async def test_the_server_describes_itself_as_the_revision_can_carry(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        tool = (await client.list_all("tools/list", "tools"))[0]
        assert ("title" in tool) == (revision >= "2025-06-18")
        assert ("annotations" in tool) == (revision >= "2025-03-26")


@in_every_revision
@scene
async def test_what_is_not_offered_is_not_declared(dial: Dial, revision: str) -> None:
    async with dial(Server("bare", "1")) as wire:
        said: Any = await (
            wire.call("server/discover", modern()) if revision == MODERN else shake_hands(wire, revision)
        )
        assert said["capabilities"] == {"logging": {}}
        assert "instructions" not in said


@scene
async def test_what_is_offered_is_declared(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        said = await shake_hands(wire)
        assert said["capabilities"] == {
            "logging": {},
            "tools": {"listChanged": True},
            "resources": {"listChanged": True, "subscribe": True},
            "prompts": {"listChanged": True},
            "completions": {},
        }
        assert (await wire.call("server/discover", modern()))["capabilities"] == said["capabilities"]


@scene
async def test_discovery_names_the_modern_revisions_alone(dial: Dial) -> None:
    async with dial(make_server()) as wire:
        said: Any = await wire.call("server/discover", modern())
        assert said["supportedVersions"] == ["2026-07-28"]
        assert said["instructions"] == "Ask before you buy."
        assert said["_meta"][SERVER_INFO]["title"] == "The shop"
