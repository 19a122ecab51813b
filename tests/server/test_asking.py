"""What a handler asks of the client: one handler, every era."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import MODERN, Connect, Json, in_both_eras, in_every_revision, scene, text_of

from mcp_kernel import Context, Declined, Message, Sampling, Server
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Answerer

EVERYTHING: Json = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
WITH_FORMS = pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25", MODERN])


@dataclass
class Confirm:
    sure: bool
    reason: str = ""


def accept(**content: object) -> Answerer:
    return lambda method, params: {"action": "accept", "content": content}


def make_server(done: list[str]) -> Server:
    server = Server("asker", "1")

    @server.tool()
    async def drop(name: str, ctx: Context) -> str:
        answer = await ctx.elicit("confirm", f"Delete {name}?", Confirm)
        done.append(name)
        return f"{answer.sure} {answer.reason}".strip()

    return server


@WITH_FORMS
@scene
async def test_a_form_is_answered_and_the_handler_goes_on(connect: Connect, revision: str) -> None:
    done: list[str] = []
    answer = accept(sure=True, reason="old")
    async with connect(make_server(done), revision, capabilities={"elicitation": {}}, answer=answer) as client:
        assert text_of(await client.call_tool("drop", {"name": "notes"})) == "True old"
        assert done == ["notes"]
        assert client.asked == [
            (
                "elicitation/create",
                {
                    "message": "Delete notes?",
                    "requestedSchema": {
                        "type": "object",
                        "properties": {"sure": {"type": "boolean"}, "reason": {"type": "string", "default": ""}},
                        "required": ["sure"],
                    },
                },
            )
        ]


@WITH_FORMS
@pytest.mark.parametrize("action", ["decline", "cancel"])
@scene
async def test_a_declined_question_ends_the_call(connect: Connect, revision: str, action: str) -> None:
    done: list[str] = []

    def say(method: str, params: Json) -> Json:
        return {"action": action}

    async with connect(make_server(done), revision, capabilities={"elicitation": {}}, answer=say) as client:
        result = await client.call_tool("drop", {"name": "notes"})
        assert result["isError"] is True
        assert "Delete notes?" in text_of(result)
        assert "nothing was done" in text_of(result)
        assert done == []


@WITH_FORMS
@scene
async def test_a_handler_may_take_no_for_an_answer(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def ask(ctx: Context) -> str:
        try:
            await ctx.elicit("q", "Really?", Confirm)
        except Declined as declined:
            return f"no: {declined.action}"
        return "yes"

    def say(method: str, params: Json) -> Json:
        return {"action": "cancel"}

    async with connect(server, revision, capabilities={"elicitation": {}}, answer=say) as client:
        assert text_of(await client.call_tool("ask")) == "no: cancel"


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_a_page_is_agreed_to(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def pay(ctx: Context) -> str:
        await ctx.elicit_url("pay", "Please pay", "https://pay.example/7")
        return "thanks"

    def say(method: str, params: Json) -> Json:
        return {"action": "accept"}

    async with connect(server, revision, capabilities={"elicitation": {"url": {}}}, answer=say) as client:
        assert text_of(await client.call_tool("pay")) == "thanks"
        _, params = client.asked[0]
        assert (params["mode"], params["url"]) == ("url", "https://pay.example/7")
        assert ("elicitationId" in params) == (revision == "2025-11-25")


def model_says(text: str) -> Answerer:
    return lambda method, params: {"role": "assistant", "model": "m", "content": {"type": "text", "text": text}}


@in_every_revision
@scene
async def test_the_model_of_the_host_is_asked(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def rhyme(word: str, ctx: Context) -> str:
        sampling = Sampling(max_tokens=5, system_prompt="You rhyme.", temperature=0.0)
        answer = await ctx.sample("rhyme", [Message("A rhyme, please"), Message(word)], sampling)
        return f"{answer.model}: {answer.text}"

    async with connect(server, revision, capabilities={"sampling": {}}, answer=model_says("cat")) as client:
        assert text_of(await client.call_tool("rhyme", {"word": "hat"})) == "m: cat"
        assert client.asked == [
            (
                "sampling/createMessage",
                {
                    "messages": [
                        {"role": "user", "content": {"type": "text", "text": "A rhyme, please"}},
                        {"role": "user", "content": {"type": "text", "text": "hat"}},
                    ],
                    "maxTokens": 5,
                    "systemPrompt": "You rhyme.",
                    "temperature": 0.0,
                },
            )
        ]


TOOL: Json = {"name": "weather", "inputSchema": {"type": "object"}}


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_the_model_may_be_given_tools(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def plan(ctx: Context) -> str:
        answer = await ctx.sample("plan", "Weather?", Sampling(tools=[TOOL], tool_choice={"mode": "required"}))
        return f"{answer.stop_reason} {answer.tool_uses[0]['name']}"

    def say(method: str, params: Json) -> Json:
        use: Json = {"type": "tool_use", "id": "1", "name": "weather", "input": {}}
        return {"role": "assistant", "model": "m", "content": [use], "stopReason": "toolUse"}

    async with connect(server, revision, capabilities={"sampling": {"tools": {}}}, answer=say) as client:
        assert text_of(await client.call_tool("plan")) == "toolUse weather"
        assert client.asked[0][1]["tools"] == [TOOL]


@in_every_revision
@scene
async def test_the_roots_are_asked_once_in_a_call(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def where(ctx: Context) -> str:
        roots = [*await ctx.roots(), *await ctx.roots()]
        return " ".join(f"{root.uri}={root.name}" for root in roots)

    def say(method: str, params: Json) -> Json:
        return {"roots": [{"uri": "file:///a", "name": "A"}, {"uri": "file:///b"}]}

    async with connect(server, revision, capabilities={"roots": {}}, answer=say) as client:
        said = text_of(await client.call_tool("where"))
        assert said == "file:///a=A file:///b=None file:///a=A file:///b=None"
        assert client.asked == [("roots/list", {})]


@WITH_FORMS
@scene
async def test_one_question_after_the_other(connect: Connect, revision: str) -> None:
    server = Server("s", "1")
    runs = 0

    @server.tool()
    async def interview(ctx: Context) -> str:
        nonlocal runs
        runs += 1
        first = await ctx.elicit("first", "One?", Confirm)
        second = await ctx.elicit("second", f"Two, after {first.reason}?", Confirm)
        (root,) = await ctx.roots()
        return f"{first.reason} {second.reason} {root.uri}"

    def say(method: str, params: Json) -> Json:
        if method == "roots/list":
            return {"roots": [{"uri": "file:///r"}]}
        return {"action": "accept", "content": {"sure": True, "reason": params["message"][:3].lower()}}

    async with connect(server, revision, capabilities=EVERYTHING, answer=say) as client:
        assert text_of(await client.call_tool("interview")) == "one two file:///r"
        assert [params.get("message") for _, params in client.asked] == ["One?", "Two, after one?", None]
        assert getattr(client, "rounds", None) in (None, [["first"], ["second"], ["roots"]])
        assert runs == (4 if revision == MODERN else 1)


@WITH_FORMS
@scene
async def test_questions_asked_together_travel_together(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def both(ctx: Context) -> str:
        one, two, three = await asyncio.gather(
            ctx.elicit("one", "One?", Confirm), ctx.elicit("two", "Two?", Confirm), ctx.sample("three", "Three?")
        )
        return f"{one.reason} {two.reason} {three.text}"

    def say(method: str, params: Json) -> Json:
        if method == "sampling/createMessage":
            return {"role": "assistant", "model": "m", "content": {"type": "text", "text": "3"}}
        return {"action": "accept", "content": {"sure": True, "reason": params["message"][:1]}}

    async with connect(server, revision, capabilities=EVERYTHING, answer=say) as client:
        assert text_of(await client.call_tool("both")) == "O T 3"
        assert getattr(client, "rounds", None) in (None, [["one", "two", "three"]])


@WITH_FORMS
@scene
async def test_a_task_group_asks_as_gather_does(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def both(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.elicit(key, f"{key}?", Confirm)) for key in "ab"]
        return "".join(task.result().reason for task in tasks)

    def say(method: str, params: Json) -> Json:
        return {"action": "accept", "content": {"sure": True, "reason": params["message"][0]}}

    async with connect(server, revision, capabilities=EVERYTHING, answer=say) as client:
        assert text_of(await client.call_tool("both")) == "ab"
        assert getattr(client, "rounds", None) in (None, [["a", "b"]])


@WITH_FORMS
@scene
async def test_a_question_declined_in_a_task_group_ends_the_call(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def both(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            for key in "ab":
                group.create_task(ctx.elicit(key, f"{key}?", Confirm))
        return "never"

    def say(method: str, params: Json) -> Json:
        return {"action": "decline"}

    async with connect(server, revision, capabilities=EVERYTHING, answer=say) as client:
        result = await client.call_tool("both")
        assert result["isError"] is True
        assert "declined" in text_of(result)


@in_both_eras
@scene
async def test_prompts_and_resources_ask_as_tools_do(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.prompt()
    async def letter(ctx: Context) -> str:
        return f"Write to {(await ctx.elicit('to', 'To whom?', Confirm)).reason}"

    @server.resource("secret://{name}")
    async def secret(name: str, ctx: Context) -> str:
        await ctx.elicit("open", f"Open {name}?", Confirm)
        return "sesame"

    answer = accept(sure=True, reason="Ada")
    async with connect(server, revision, capabilities=EVERYTHING, answer=answer) as client:
        prompt: Any = await client.call("prompts/get", {"name": "letter"})
        assert prompt["messages"][0]["content"]["text"] == "Write to Ada"
        read: Any = await client.call("resources/read", {"uri": "secret://door"})
        assert read["contents"][0]["text"] == "sesame"
        assert len(client.asked) == 2


@in_both_eras
@scene
async def test_a_key_is_asked_once_in_a_call(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def twice(ctx: Context) -> str:
        await ctx.elicit("q", "One?", Confirm)
        await ctx.elicit("q", "Two?", Confirm)
        return "never"

    async with connect(server, revision, capabilities=EVERYTHING, answer=accept(sure=True)) as client:
        with pytest.raises(Refused, match="incident"):
            await client.call_tool("twice")


@pytest.mark.parametrize("broken", [{"result": "yes"}, {"result": None}, {"error": "no"}, {"result": {}, "error": {}}])
@scene
async def test_an_answer_that_is_no_message_does_not_leave_the_call_waiting(connect: Connect, broken: Json) -> None:
    async with connect(make_server([]), "2025-11-25", capabilities={"elicitation": {}}) as client:
        wire = client.wire
        wire.on_question = None
        identifier = client.request("tools/call", {"name": "drop", "arguments": {"name": "notes"}})
        question = await wire.question()
        wire.send({"jsonrpc": "2.0", "id": question["id"], **broken}, malformed=True)
        assert "result" in await wire.answer(identifier)
