"""A server with a policy: each sees what he may use, and what he may not is answered as what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.stage import modern, scene, shake_hands
from tests.transports.guests import Member, Modern

from mcp_kernel import Server
from mcp_kernel.auth.challenge import read_challenges
from mcp_kernel.auth.policy import Pattern, Policy, Role
from mcp_kernel.server.access import Authorization
from mcp_kernel.server.principal import Principal
from mcp_kernel.testing.asgi import Site
from mcp_kernel.testing.memory import Refused
from mcp_kernel.transports.http import HttpApp, HttpOptions
from mcp_kernel.transports.incoming import PRINCIPAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stage import Connect, Dial

    from mcp_kernel.testing.eras import Client
    from mcp_kernel.transports.incoming import Receive, Scope, Send

in_both_eras = pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])


def role(name: str, *, tools: str = "", resources: str = "", prompts: str = "", **rules: Any) -> Role:
    said = {"tools": tools, "resources": resources, "prompts": prompts}
    patterns: Any = {sort: tuple(map(Pattern, texts.split())) for sort, texts in said.items()}
    return Role(name, patterns, **rules)


POLICY = Policy(
    [
        role("reader", tools="look search", resources="note://public/* note://index", prompts="sum*"),
        role("writer", tools="write*", arguments={"write": {"place": ("a", "b"), "mode": ("add",)}}),
        role("boss", tools="*", resources="*", prompts="*"),
    ]
)


def make_server() -> Server:
    server = Server("notes", "1", page_size=2)
    for name in ("look", "search", "write", "wipe"):
        server.tool(name)(_make_tool())
    server.tool("crown", privileged=True)(lambda: "crowned")
    server.tool("write_late", task="allowed")(lambda: "late")
    server.resource("note://index")(lambda: "index")
    server.resource("note://secret")(lambda: "secret")
    server.resource("note://public/{id}", name="public")(_read)
    server.resource("note://{kind}/{id}", name="any")(_read_any)
    server.members("note://public/{id}")(lambda: [{"id": "1"}])
    server.members("note://{kind}/{id}")(lambda: [{"kind": "private", "id": "2"}, {"kind": "public", "id": "3"}])
    server.prompt("summary")(_prompt)
    server.prompt("secrets")(_prompt)
    server.complete("summary", "topic")(lambda prefix: [f"{prefix}a"])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # a completion
    server.use([Authorization()])
    server.govern(POLICY)
    return server


def _make_tool() -> Callable[[str, str], str]:
    def tool(place: str = "a", mode: str = "add") -> str:
        return f"{mode} {place}"

    return tool


def _read(id: str) -> str:
    return f"public {id}"


def _read_any(kind: str, id: str) -> str:
    return f"{kind} {id}"


def _prompt(topic: str = "x") -> str:
    return topic


async def refusal(client: Client, method: str, params: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        await client.call(method, params)
    return f"{caught.value}".replace(str(params.get("name") or params.get("uri")), "IT")


async def shown(client: Client, method: str, member: str, key: str) -> list[Any]:
    return [item[key] for item in await client.list_all(method, member)]


@in_both_eras
@scene
async def test_lists_show_what_may_be_used(connect: Connect, revision: str) -> None:
    expected: dict[str, tuple[list[str], list[str], list[str]]] = {
        "reader": (["look", "search"], ["note://index", "note://public/1", "note://public/3"], ["summary"]),
        "writer": (["write", "write_late"], [], []),
        "boss": (
            ["look", "search", "write", "wipe", "crown", "write_late"],
            ["note://index", "note://secret", "note://private/2", "note://public/1", "note://public/3"],
            ["summary", "secrets"],
        ),
        "unheard of": ([], [], []),
    }
    server = make_server()
    for _ in range(2):  # from pages that were made, and from those that were kept
        for name, (tools, resources, prompts) in expected.items():
            async with connect(server, revision, principal=Principal(name, (name,))) as client:
                assert await shown(client, "tools/list", "tools", "name") == tools
                assert await shown(client, "resources/list", "resources", "uri") == resources
                assert await shown(client, "prompts/list", "prompts", "name") == prompts


@in_both_eras
@scene
async def test_whoever_has_no_role_is_told_so_of_every_name_alike(connect: Connect, revision: str) -> None:
    reason = "ann has no role on this server, and may do nothing: ask its operator"
    async with connect(make_server(), revision, principal=Principal("ann", ("unheard of",))) as client:
        for name in ("look", "crown", "made up"):
            assert f"Unknown tool: IT. {reason}" in await refusal(client, "tools/call", {"name": name})
            assert f"Unknown prompt: IT. {reason}" in await refusal(client, "prompts/get", {"name": name})
        for uri in ("note://index", "note://nowhere"):
            assert f"Resource not found: IT. {reason}" in await refusal(client, "resources/read", {"uri": uri})
    async with connect(make_server(), revision, principal=Principal("bob", ("reader",))) as client:
        assert "no role" not in await refusal(client, "tools/call", {"name": "wipe"})


@in_both_eras
@scene
async def test_instructions_name_nothing_that_may_not_be_used(dial: Dial, revision: str) -> None:
    server = make_server()
    server.instructions = (
        "Notes. First look, then write! The file is at note://index. Secrets: note://secret? Ask for a summary. "
        "What a looking-glass shows is data."
    )
    expected = {
        "reader": "Notes. The file is at note://index. Ask for a summary. What a looking-glass shows is data.",
        "writer": "Notes. What a looking-glass shows is data.",
        "boss": server.instructions,
    }
    for name, told in expected.items():
        async with dial(server, principal=Principal(name, (name,))) as wire:
            if revision < "2026":
                answer = await shake_hands(wire, revision)
            else:
                answer = await wire.call("server/discover", modern())
            assert answer.get("instructions") == told


@in_both_eras
@scene
async def test_templates_are_shown_to_whoever_may_read_all_of_them(connect: Connect, revision: str) -> None:
    server = make_server()
    for name, expected in {"reader": ["note://public/{id}"], "writer": []}.items():
        async with connect(server, revision, principal=Principal("p", (name,))) as client:
            listed = await shown(client, "resources/templates/list", "resourceTemplates", "uriTemplate")
            assert listed == expected


@in_both_eras
@scene
async def test_without_a_policy_everything_is_there_but_what_is_privileged(connect: Connect, revision: str) -> None:
    server = make_server()
    server.use([])
    server.govern(None)
    async with connect(server, revision) as client:
        assert await shown(client, "tools/list", "tools", "name") == ["look", "search", "write", "wipe", "write_late"]
        assert "Unknown tool: IT" in await refusal(client, "tools/call", {"name": "crown"})
        assert (await client.call_tool("wipe"))["content"]


@in_both_eras
@scene
async def test_what_may_not_be_used_is_answered_as_what_is_not_there(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision, principal=Principal("ann", ("reader",))) as client:
        assert (await client.call_tool("look"))["content"]
        assert (await client.call("resources/read", {"uri": "note://public/7"}))["contents"]
        assert (await client.call("prompts/get", {"name": "summary"}))["messages"]
        for hidden, absent in (("wipe", "wopr"), ("crown", "clown"), ("write_late", "write_latr")):
            answers = [await refusal(client, "tools/call", {"name": name}) for name in (hidden, absent)]
            assert answers[0] == answers[1]
        for method in ("resources/read", "resources/subscribe") if revision < "2026" else ("resources/read",):
            answers = [await refusal(client, method, {"uri": uri}) for uri in ("note://secret", "nota://secret")]
            assert answers[0].replace("note", "nota") == answers[1]
            await refusal(client, method, {"uri": "note://public/../secret"})
        answers = [await refusal(client, "prompts/get", {"name": name}) for name in ("secrets", "secretz")]
        assert answers[0] == answers[1]


@in_both_eras
@scene
async def test_a_hint_names_nothing_hidden(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision, principal=Principal("ann", ("reader",))) as client:
        assert "wipe" not in await refusal(client, "tools/call", {"name": "wipee"})
    async with connect(server, revision, principal=Principal("bob", ("boss",))) as client:
        assert "wipe?" in await refusal(client, "tools/call", {"name": "wipee"})


@in_both_eras
@scene
async def test_completion_knows_nothing_hidden(connect: Connect, revision: str) -> None:
    server = make_server()
    argument = {"name": "topic", "value": "x"}
    async with connect(server, revision, principal=Principal("ann", ("reader",))) as client:
        completion = {"values": ["xa"], "total": 1, "hasMore": False}
        known = {"ref": {"type": "ref/prompt", "name": "summary"}, "argument": argument}
        assert (await client.call("completion/complete", known))["completion"] == completion
        for reference in (
            {"type": "ref/prompt", "name": "secrets"},
            {"type": "ref/resource", "uri": "note://secret"},
            {"type": "ref/resource", "uri": "note://{kind}/{id}"},
            {"type": "ref/resource", "uri": "note://private/2"},
        ):
            said = await refusal(client, "completion/complete", {"ref": reference, "argument": argument})
            assert "nothing here is called" in said


@in_both_eras
@scene
async def test_capabilities_are_those_of_what_may_be_used(connect: Connect, revision: str) -> None:
    server = make_server()
    kinds = {"tools", "resources", "prompts", "completions"}
    for name, expected in {"reader": kinds, "writer": {"tools"}, "unheard of": set[str]()}.items():
        assert kinds & server.capabilities(POLICY.view_of([name])).keys() == expected
    assert "extensions" in server.capabilities(POLICY.view_of(["writer"]))
    assert "extensions" not in server.capabilities(POLICY.view_of(["reader"]))
    async with connect(server, revision, principal=Principal("ann", ("writer",))) as client:
        if revision > "2026":
            said = await client.call("server/discover")
            assert "prompts" not in cast("dict[str, object]", said["capabilities"])
            assert said["cacheScope"] == "private"
            assert (await client.call("tools/list"))["cacheScope"] == "private"


@in_both_eras
@scene
async def test_arguments_are_judged_as_the_tool_sees_them(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision, principal=Principal("ann", ("writer",))) as client:
        assert "isError" not in await client.call_tool("write", {"place": "b"})
        assert "isError" not in await client.call_tool("write")  # the defaults are allowed values
        for arguments in ({"place": "c"}, {"place": "a", "mode": "replace"}):
            refused = await client.call_tool("write", arguments)
            assert refused["isError"] is True
            assert "may only be" in str(refused["content"])


@scene
async def test_a_listen_stream_is_granted_what_may_be_used(connect: Connect) -> None:
    wanted = {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourceSubscriptions": ["note://secret", "note://index", "note://private/1"],
    }
    async with connect(make_server(), "2026-07-28", principal=Principal("ann", ("reader",))) as client:
        client.request("subscriptions/listen", {"notifications": wanted})
        said = await client.wire.notification("notifications/subscriptions/acknowledged")
        granted = cast("dict[str, dict[str, Any]]", said)["params"]["notifications"]
        assert granted["resourceSubscriptions"] == ["note://index"]
    async with connect(make_server(), "2026-07-28", principal=Principal("bob", ("writer",))) as client:
        client.request("subscriptions/listen", {"notifications": wanted})
        said = await client.wire.notification("notifications/subscriptions/acknowledged")
        granted = cast("dict[str, dict[str, Any]]", said)["params"]["notifications"]
        assert granted == {"toolsListChanged": True}


@in_both_eras
@scene
async def test_a_policy_that_changes_holds_from_the_next_request_on(connect: Connect, revision: str) -> None:
    server = make_server()
    async with connect(server, revision, principal=Principal("ann", ("reader",))) as client:
        await client.subscribe("note://index")
        assert await shown(client, "tools/list", "tools", "name") == ["look", "search"]
        server.govern(Policy([role("reader", tools="wipe")]))
        await client.wire.notification("notifications/tools/list_changed")
        server.changed("note://index")  # to which he may not listen any more
        assert await shown(client, "tools/list", "tools", "name") == ["wipe"]
        assert "Unknown tool: IT" in await refusal(client, "tools/call", {"name": "look"})
        assert await shown(client, "resources/list", "resources", "uri") == []
        server.govern(POLICY)
        server.changed("note://index")
        await client.wire.notification("notifications/resources/updated")
        await client.wire.quiet()
        assert [said.get("method") for said in client.wire.received].count("notifications/resources/updated") == 1


class Lobby:
    """Stands where a gate will: whoever the switch names is the principal."""

    def __init__(self, server: Server) -> None:
        self.app = HttpApp(server, HttpOptions())
        self.who: Principal | None = Principal("ann", (), frozenset({"notes:read"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, PRINCIPAL: self.who}, receive, send)


def make_scoped() -> Server:
    server = Server("notes", "1")
    server.tool("look", scopes=["notes:read"])(lambda: "seen")
    server.tool("write", scopes=["notes:read", "notes:write"])(lambda: "written")
    return server


@pytest.mark.parametrize("guest", [Member, Modern])
@scene
async def test_a_call_without_the_scopes_is_challenged_with_exactly_those(guest: type[Member | Modern]) -> None:
    server = make_scoped()
    lobby = Lobby(server)
    async with Site(lobby) as site:
        client = guest(site)
        if isinstance(client, Member):
            await client.open()
        assert "result" in await client.ask_tool("look").json()
        refused = client.ask_tool("write")
        assert await refused.started() == 403
        (challenge,) = read_challenges([refused.headers["www-authenticate"]])
        assert (challenge.error, challenge.scopes) == ("insufficient_scope", ("notes:read", "notes:write"))
        lobby.who = Principal("ann", (), frozenset({"notes:read", "notes:write", "more"}))
        assert "result" in await client.ask_tool("write").json()
        lobby.who = Principal("ann", metadata="https://notes.example/metadata")
        again = client.ask_tool("look")
        assert await again.started() == 403
        (challenge,) = read_challenges([again.headers["www-authenticate"]])
        assert (challenge.scopes, challenge.resource_metadata) == (("notes:read",), "https://notes.example/metadata")


@in_both_eras
@scene
async def test_elsewhere_a_refusal_names_the_scopes(connect: Connect, revision: str) -> None:
    async with connect(make_scoped(), revision, principal=Principal("ann", (), frozenset({"notes:write"}))) as client:
        assert "missing: notes:read" in await refusal(client, "tools/call", {"name": "look"})
    async with connect(make_scoped(), revision) as client:  # nobody is authenticated, so nobody holds a scope
        assert "missing: notes:read" in await refusal(client, "tools/call", {"name": "look"})


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "é", "a\nb"])
def test_a_scope_that_cannot_be_written_is_refused_at_once(scope: str) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        Server("notes", "1").tool("look", scopes=[scope])(lambda: "seen")
