"""What a server asks of the host: in sessions by requests, in the modern era in rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from tests.client.origin import TEXT
from tests.client.puppet import Answer, play
from tests.client.ways import Open, in_every_way
from tests.stage import MODERN, elapse, scene, scene_out_of_time

from mcp_kernel.client import Elicitation, InputRequired, InvalidAnswer, Page, TaskHandle, ToolResult, TooManyRounds

Json = dict[str, Any]

FORM: Json = {"type": "object", "properties": {"name": {"type": "string", "default": "Ada"}}, "required": ["name"]}
QUESTION: Json = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": FORM}}


def ask(state: str | None = None, **questions: Json) -> Json:
    """A result that asks."""
    asked = {"resultType": "input_required", **({"inputRequests": questions} if questions else {})}
    return asked if state is None else {**asked, "requestState": state}


def in_turn(*answers: Answer) -> Callable[[Json], Answer]:
    """Answer with one after the other."""
    left = list(answers)

    def answer(request: Json) -> Answer:
        return left.pop(0)

    return answer


def fill_in(form: Elicitation) -> Json:
    """Give each field of the everything server's forms something that fits it."""
    known = {"username": "ada", "email": "ada@example.com", "name": "Ada", "color": "green", "ok": True}
    properties = form.schema["properties"]
    assert isinstance(properties, dict)
    return {name: value for name, value in known.items() if name in properties}


@in_every_way
@scene
async def test_the_user_the_model_and_the_roots_are_asked_in_one_call(reach: Open, way: str, revision: str) -> None:
    roots = [Path("/work"), "https://example.com/x"]
    async with reach(way, revision, elicit=fill_in, sample=lambda params: "Hi", roots=roots) as client:
        answered = await client.call_tool("test_input_required_result_multiple_inputs")
        if revision < "2025-06-18":  # which has no elicitation: the server says so, to the model
            assert answered.is_error
            assert (await client.call_tool("test_sampling", {"prompt": "p"})).text == "LLM response: Hi"
            return
        assert answered.text == "Ada: Hi (2 roots)"
        rounds = await client.call_tool("test_input_required_result_multi_round")
        assert rounds.text == "Ada likes green."
        listed = await client.call_tool("test_input_required_result_list_roots")
        assert listed.text == "Roots: file:///work, https://example.com/x"


@in_every_way
@scene
async def test_a_prompt_asks_too_and_defaults_fill_what_is_left_open(reach: Open, way: str, revision: str) -> None:
    if revision < "2025-06-18":
        pytest.skip("it has no elicitation")
    async with reach(way, revision, elicit=lambda form: {"context": "rain"}) as client:
        filled = await client.get_prompt("test_input_required_result_prompt")
        assert filled.messages[0]["content"] == {"type": "text", "text": "Use this context: rain"}
    async with reach(way, revision, elicit=lambda form: {"score": 7}) as client:
        completed = await client.call_tool("test_elicitation_sep1034_defaults")
        assert "action=accept" in completed.text
        assert "'John Doe'" in completed.text
        assert "'score': 7" in completed.text


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@pytest.mark.parametrize(("reply", "told"), [("decline", "decline"), (None, "decline"), ("cancel", "cancel")])
@scene
async def test_a_refusal_is_an_answer(reach: Open, revision: str, reply: Any, told: str) -> None:
    async with reach("codec", revision, elicit=lambda form: reply, open_page=lambda page: reply) as client:
        refused = await client.call_tool("test_elicitation", {"message": "m"})
        assert refused.text == f"User response: action={told}"
        assert (await client.call_tool("test_url_elicitation")).text == f"action={told}"


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_a_page_is_shown_whole_and_never_fetched(reach: Open, revision: str) -> None:
    shown: list[Page] = []

    def show(page: Page) -> Literal["accept"]:
        shown.append(page)
        return "accept"

    async with reach("codec", revision, open_page=show) as client:
        assert (await client.call_tool("test_url_elicitation")).text == "action=accept"
    assert shown == [Page("Open this page to go on.", "https://example.com/authorize?state=test")]


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_what_a_callback_is_not_there_for_is_not_declared(reach: Open, revision: str) -> None:
    async with reach("codec", revision) as client:
        view = cast("Json", (await client.call_tool("test_client_view")).structured)
        assert [view[name] for name in ("elicitation", "url_elicitation", "sampling", "roots")] == [False] * 4
    async with reach("codec", revision, open_page=lambda page: "accept", capabilities={"sampling": {}}) as client:
        view = cast("Json", (await client.call_tool("test_client_view")).structured)
        assert [view[name] for name in ("url_elicitation", "sampling", "roots")] == [True, True, False]


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
@scene
async def test_a_host_that_fails_to_answer_ends_the_call_and_not_the_client(reach: Open, revision: str) -> None:
    def break_down(form: Elicitation) -> None:
        raise LookupError("the host's own")

    async with reach("codec", revision, elicit=break_down) as client:
        if revision == MODERN:
            with pytest.raises(LookupError, match="the host's own"):
                await client.call_tool("test_elicitation", {"message": "m"})
        else:
            answered = await client.call_tool("test_elicitation", {"message": "m"})
            assert answered.is_error
            assert "own" not in answered.text
        assert (await client.call_tool("greet", {"name": "Ada"})).text == "Hello, Ada!"


# --- rounds ---


@pytest.mark.parametrize("state", ["", ' {"x":1} ', "ä\u2028\n\0\U0001f600", "=?base64?x?="])
@scene
async def test_a_state_comes_back_as_it_was_under_a_fresh_id(state: str) -> None:
    turns = in_turn(ask(state, who=QUESTION), ask("second"), TEXT)
    async with play({"tools/call": turns}, elicit=lambda form: {"name": "B"}) as (client, puppet):
        assert (await client.call_tool("x", {"a": 1})).text == "done"
        first, second, third = puppet.sent("tools/call")
        assert second["inputResponses"] == {"who": {"action": "accept", "content": {"name": "B"}}}
        assert (second["requestState"], third["requestState"]) == (state, "second")
        assert "requestState" not in first
        assert "inputResponses" not in third, "a round without questions has no answers"
        assert [turn["arguments"] for turn in (first, second, third)] == [{"a": 1}] * 3
        ids = [message["id"] for message in puppet.seen if message["method"] == "tools/call"]
        assert len(set(ids)) == 3


@scene
async def test_no_state_goes_back_where_none_came_and_defaults_are_filled_in() -> None:
    turns = in_turn(ask(who=QUESTION), ask("late", again=QUESTION), ask(who=QUESTION), TEXT)
    async with play({"tools/call": turns}, elicit=lambda form: "accept") as (client, puppet):
        await client.call_tool("x")
        _, second, third, fourth = puppet.sent("tools/call")
        assert "requestState" not in second
        assert third["requestState"] == "late"
        assert "requestState" not in fourth, "a state serves one retry"
        assert list(third["inputResponses"]) == ["again"]
        assert fourth["inputResponses"] == {"who": {"action": "accept", "content": {"name": "Ada"}}}


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
@scene
async def test_a_server_that_asks_for_ever_is_left(method: str) -> None:
    async with play({method: ask("s", who=QUESTION)}, elicit=lambda form: "accept") as (client, puppet):
        with pytest.raises(TooManyRounds, match="10 rounds"):
            await {
                "tools/call": lambda: client.call_tool("x"),
                "prompts/get": lambda: client.get_prompt("x"),
                "resources/read": lambda: client.read_resource("x://y"),
            }[method]()
        assert len(puppet.sent(method)) == 11


@pytest.mark.contrary
@pytest.mark.parametrize(
    "asked",
    [
        {"method": "elicitation/create", "params": {}},
        {"method": "sampling/createMessage", "params": {"messages": []}},
        {"method": "roots/list"},
        {"method": "tools/list"},
        {"method": None},
        {},
        {"method": "elicitation/create", "params": {"mode": "url", "url": "x"}},
        {"method": "elicitation/create", "params": "x"},
    ],
)
@scene
async def test_a_question_that_was_not_offered_is_a_typed_error(asked: Json) -> None:
    async with play({"tools/call": ask("s", x=asked)}) as (client, puppet):
        with pytest.raises(InvalidAnswer):
            await client.call_tool("x")
        assert len(puppet.sent("tools/call")) == 1


@scene
async def test_one_round_at_a_time_is_in_the_callers_hand() -> None:
    turns = in_turn(ask("s1", who=QUESTION), TEXT)
    async with play({"tools/call": turns}) as (client, puppet):
        asked = await client.call_tool_once("x", {"a": 1})
        assert isinstance(asked, InputRequired)
        assert asked.questions == {"who": QUESTION}
        done = await client.call_tool_once("x", {"a": 1}, asked.retry({"who": {"action": "decline"}}))
        assert isinstance(done, ToolResult)
        _, second = puppet.sent("tools/call")
        assert (second["requestState"], second["inputResponses"]) == ("s1", {"who": {"action": "decline"}})


@scene_out_of_time
async def test_the_time_of_the_user_does_not_count() -> None:
    async def ponder(form: Elicitation) -> Json:
        await elapse(500)
        return {"name": "B"}

    turns = in_turn(ask("s", who=QUESTION), TEXT)
    async with play({"tools/call": turns}, elicit=ponder, timeout=10) as (client, _):
        assert (await client.call_tool("x")).text == "done"


@scene_out_of_time
async def test_a_caller_who_goes_away_takes_the_questions_with_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def ponder(form: Elicitation) -> None:
        begun.set()
        try:
            await elapse(500)
        finally:
            ended.set()

    async with play({"tools/call": ask("s", a=QUESTION, b=QUESTION)}, elicit=ponder) as (client, _):
        calling = asyncio.ensure_future(client.call_tool("x"))
        await begun.wait()
        calling.cancel()
        await asyncio.wait({calling})
        assert calling.cancelled()
        assert ended.is_set()


# --- sessions ---


@pytest.mark.contrary
@scene_out_of_time
async def test_a_session_answers_what_it_can_and_refuses_the_rest_by_name() -> None:
    async with play({}, "2025-11-25", roots=["file:///w"]) as (client, puppet):
        for number, method in enumerate(["ping", "roots/list", "sampling/createMessage", "no/such"]):
            puppet.say({"jsonrpc": "2.0", "id": f"q{number}", "method": method, "params": {}})
        answers = {name: await puppet.answer(name) for name in ("q0", "q1", "q2", "q3")}
        assert answers["q0"]["result"] == {}
        assert answers["q1"]["result"] == {"roots": [{"uri": "file:///w"}]}
        assert answers["q2"]["error"]["code"] == answers["q3"]["error"]["code"] == -32601
        await client.close()


@scene_out_of_time
async def test_a_server_may_withdraw_its_question() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def ponder(form: Elicitation) -> None:
        begun.set()
        try:
            await elapse(500)
        finally:
            ended.set()

    async with play({}, "2025-11-25", elicit=ponder) as (_, puppet):
        puppet.say({"jsonrpc": "2.0", "id": 7, **QUESTION})
        await begun.wait()
        puppet.notify("notifications/cancelled", requestId=7)
        await ended.wait()
        assert [each for each in puppet.seen if each.get("id") == 7] == []


@pytest.mark.contrary
@scene
async def test_a_modern_server_that_sends_a_request_is_never_answered() -> None:
    async with play({"tools/call": TEXT}, roots=["file:///w"]) as (client, puppet):
        puppet.say({"jsonrpc": "2.0", "id": 7, "method": "roots/list"})
        await client.call_tool("x")
        assert [each for each in puppet.seen if each.get("id") == 7] == []
        assert any("roots/list" in line for line in client.noise)


@scene
async def test_a_handle_is_no_result_in_a_revision_without_tasks(reach: Open) -> None:
    async with reach("codec", "2025-11-25") as client:
        done = await client.start_tool("slow_compute", {"seconds": 0.1, "label": "it"})
        assert not isinstance(done, TaskHandle)
        assert done.text == "it took 0.1 seconds."
