"""Roots that a server follows, over HTTP: a session hears the question on its own stream, or on that of a call."""

from __future__ import annotations

from tests.stage import in_every_session, scene, scene_out_of_time
from tests.transports.guests import Json, Member, Modern, hear, visiting

from mcp_kernel import Context, Server

CHANGED: Json = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}


def make_server() -> Server:
    server = Server("rooted", "1", follow_roots=True)

    @server.tool()
    async def where(ctx: Context) -> str:
        return " ".join(root.uri for root in await ctx.roots())

    return server


def roots(*names: str) -> Json:
    return {"roots": [{"uri": f"file:///{name}"} for name in names]}


async def reply(member: Member, question: Json, result: Json) -> None:
    assert question["method"] == "roots/list"
    assert await member.reply(question, result).started() == 202


@in_every_session
@scene
async def test_the_stream_of_a_session_is_asked_first(revision: str) -> None:
    async with visiting(make_server()) as site:
        member = Member(site, revision)
        await member.open(roots={"listChanged": True})
        stream = member.get()
        await reply(member, await hear(stream), roots("a"))
        for _ in range(2):
            visit = member.ask_tool("where")
            assert "file:///a" in str(await visit.json())
            assert visit.headers["content-type"] == "application/json", "the call itself asks nothing"
        await member.tell(CHANGED).whole()
        await reply(member, await hear(stream), roots("b"))
        assert "file:///b" in str(await member.ask_tool("where").json())


@scene
async def test_without_a_stream_the_first_call_asks_and_the_session_remembers() -> None:
    async with visiting(make_server()) as site:
        member = Member(site)
        await member.open(roots={"listChanged": True})
        for name in ("a", "b"):
            first = member.ask_tool("where")
            await reply(member, await hear(first), roots(name))
            assert f"file:///{name}" in str(await hear(first))
            assert f"file:///{name}" in str(await member.ask_tool("where").json())
            await member.tell(CHANGED).whole()


@scene
async def test_a_stream_that_opens_when_the_roots_are_known_is_not_asked() -> None:
    async with visiting(make_server()) as site:
        member = Member(site)
        await member.open(roots={"listChanged": True})
        first = member.ask_tool("where")
        await reply(member, await hear(first), roots("a"))
        await hear(first)
        stream = member.get()
        await stream.started()
        await member.tell(CHANGED).whole()
        question = await hear(stream)
        assert question["method"] == "roots/list"
        await reply(member, question, roots("b"))
        assert "file:///b" in str(await member.ask_tool("where").json())
        stream.hang_up()


@scene_out_of_time
async def test_a_question_that_was_lost_with_its_stream_is_asked_in_the_call() -> None:
    async with visiting(make_server(), patience=100) as site:
        member = Member(site)
        await member.open(roots={})
        stream = member.get()
        lost = await hear(stream)
        stream.hang_up()
        visit = member.ask_tool("where")
        asked = await hear(visit)
        assert asked["id"] != lost["id"]
        await reply(member, asked, roots("a"))
        assert "file:///a" in str(await hear(visit))


@scene
async def test_each_session_has_its_own_roots() -> None:
    async with visiting(make_server()) as site:
        one, two = Member(site), Member(site, number=100)
        for member, name in ((one, "one"), (two, "two")):
            await member.open(roots={})
            await reply(member, await hear(member.get()), roots(name))
        assert "file:///one" in str(await one.ask_tool("where").json())
        assert "file:///two" in str(await two.ask_tool("where").json())


@scene
async def test_a_stateless_call_asks_each_time() -> None:
    async with visiting(make_server()) as site:
        modern = Modern(site)
        modern.capabilities = {"roots": {}}
        for _ in range(2):
            told = await modern.call("where")
            assert told["resultType"] == "input_required"
            assert told["inputRequests"]["roots"]["method"] == "roots/list"
