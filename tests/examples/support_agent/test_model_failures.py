"""What can become of a request to a model, over real HTTP; and which model it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.examples.support_agent.apis import DIALECTS, KEY, LETTER, Dialect
from tests.examples.support_agent.service import Reply, Service
from tests.stage import scene

from mcp_kernel.console.terminal import Misuse
from support_agent.choice import Choice, choose_model
from support_agent.model import Assignment, ModelFailed, Stopped, Turn, read_turns
from support_agent.resolution import check_resolution

if TYPE_CHECKING:
    from support_agent.choice import Name

in_every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
ASSIGNMENT = Assignment("resolution", "You write.", [Turn("user", "Write.")], 100)


def choose(dialect: Dialect, service: Service, name: str | None = None, timeout: float = 20.0) -> Choice:
    return choose_model(dialect.variables(service.url), None, name, timeout)


@in_every_dialect
@pytest.mark.parametrize(
    ("status", "headers", "advice"),
    [
        (401, {}, "See whom it lets in|Set .*_API_KEY to a valid key"),
        (404, {}, "Name a model that it has with --model"),
        (413, {}, "See whether the address and the model are right"),
        (429, {"Retry-After": "7"}, "Try again in 7 s"),
        (429, {}, "Try again later"),
        (500, {}, "Try again later"),
        (529, {}, "Try again later"),
        (302, {"Location": "http://127.0.0.1:9/"}, "See whether the address"),
    ],
)
@scene
async def test_a_refusal_says_what_to_do(dialect: Dialect, status: int, headers: dict[str, str], advice: str) -> None:
    refusal = Reply(dialect.refusal("because"), status, headers)
    with (
        Service({**dialect.replies(), dialect.path: refusal}) as service,
        pytest.raises(ModelFailed, match=rf"refused \({status}: because\)\. ({advice}).*, or use --api template\.$"),
    ):
        await choose(dialect, service).model.write(ASSIGNMENT)


@in_every_dialect
@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (Reply(b"<html>"), "no JSON object"),
        (Reply(b"[" * 100_000), "no JSON object"),
        (Reply(b" " * 2_000_000), "no JSON object"),
        (Reply(b"<html>", 502), r"refused \(502\)"),
        (Reply({"error": ["odd"]}, 400), r"refused \(400\)"),
    ],
)
@scene
async def test_an_answer_that_is_none_is_told(dialect: Dialect, reply: Reply, complaint: str) -> None:
    replies = {**dialect.replies(), dialect.path: reply}
    with Service(replies) as service, pytest.raises(ModelFailed, match=complaint):
        await choose(dialect, service).model.write(ASSIGNMENT)


@in_every_dialect
@scene
async def test_no_answer_in_time_is_told(dialect: Dialect) -> None:
    with Service({}) as service, pytest.raises(ModelFailed, match=r"has not answered in 0\.2 s"):
        await choose(dialect, service, timeout=0.2).model.write(ASSIGNMENT)


@in_every_dialect
@scene
async def test_nobody_at_the_address_is_told(dialect: Dialect) -> None:
    with Service({}) as service:
        pass
    with pytest.raises(ModelFailed, match="cannot be reached at http://127"):
        await choose(dialect, service).model.write(ASSIGNMENT)


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("anthropic", {"stop_reason": "max_tokens"}),
        ("anthropic", {"stop_reason": "refusal"}),
        ("openai", {"choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]}),
        ("openai", {"choices": []}),
        ("ollama", {"done_reason": "length"}),
    ],
)
@scene
async def test_an_answer_that_was_cut_is_not_taken_for_one(name: str, cut: dict[str, Any]) -> None:
    dialect = DIALECTS[name]
    with Service(dialect.replies(**cut)) as service, pytest.raises(ModelFailed, match="did not come to an end"):
        await choose(dialect, service).model.write(ASSIGNMENT)


@scene
async def test_ollama_is_asked_which_models_it_has() -> None:
    dialect = DIALECTS["ollama"]
    with Service(dialect.replies()) as service:
        assert await choose(dialect, service).model.write(ASSIGNMENT) == LETTER
        assert [(a.method, a.path) for a in service.asked] == [("GET", "/api/tags"), ("POST", "/api/chat")]
        assert service.asked[-1].body["model"] == "qwen3:4b"
        await choose(dialect, service, "gemma3").model.write(ASSIGNMENT)
        assert service.asked[-1].body["model"] == "gemma3"
        service.replies["/api/tags"] = Reply({"models": []})
        with pytest.raises(ModelFailed, match="ollama pull"):
            await choose(dialect, service).model.write(ASSIGNMENT)


@pytest.mark.parametrize(
    ("variables", "wanted", "chosen"),
    [
        ({}, None, "the built-in template"),
        ({"ANTHROPIC_API_KEY": "", "OPENAI_API_KEY": " "}, None, "the built-in template"),
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, None, "Anthropic"),
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k\n"}, "openai", "OpenAI"),
        ({"OPENAI_API_KEY": "k", "OLLAMA_HOST": "127.0.0.1:11434"}, "ollama", "Ollama"),
        ({"OLLAMA_HOST": "127.0.0.1:11434"}, None, "Ollama"),
        ({"ANTHROPIC_API_KEY": "k"}, "template", "the built-in template"),
    ],
)
def test_the_model_is_the_first_that_is_set_up(variables: dict[str, str], wanted: str | None, chosen: str) -> None:
    assert choose_model(variables, cast("Name | None", wanted), None, 1).model.name.endswith(chosen)


@pytest.mark.parametrize(
    ("variables", "wanted", "complaint"),
    [
        ({}, "openai", "needs the variable OPENAI_API_KEY"),
        ({}, "ollama", "OLLAMA_URL or OLLAMA_HOST"),
        ({"ANTHROPIC_API_KEY": f"{KEY}\n{KEY}"}, None, "ANTHROPIC_API_KEY holds a character that is in no key"),
        ({"ANTHROPIC_API_KEY": f"{KEY}ü"}, None, "ANTHROPIC_API_KEY holds a character that is in no key"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://example.com/v1"}, None, "in the clear"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1.example.com"}, None, "in the clear"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"https://me:{KEY}@example.com"}, None, "without a user's name"),
        ({"OLLAMA_URL": "ftp://127.0.0.1"}, None, "must be http"),
        ({"OLLAMA_URL": "http://[::1"}, None, "must be http"),
        ({"OLLAMA_URL": "http://127.0.0.1:99999"}, None, "must be http"),
    ],
)
def test_what_is_set_up_wrongly_is_bad_usage(variables: dict[str, str], wanted: str | None, complaint: str) -> None:
    with pytest.raises(Misuse, match=complaint) as caught:
        choose_model(variables, cast("Name | None", wanted), None, 1)
    assert KEY not in str(caught.value)


def test_a_model_s_name_without_a_model_is_bad_usage() -> None:
    with pytest.raises(Misuse, match="set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_URL"):
        choose_model({}, None, "gpt-5", 1)


def test_no_repr_shows_a_key() -> None:
    for dialect in DIALECTS.values():
        choice = choose_model(dialect.variables("http://127.0.0.1:1"), None, None, 1)
        assert KEY not in repr(choice) + repr(choice.model)


@pytest.mark.parametrize("text", ["", "Hi", "Hello, — Support Team", "Hi, " + "x" * 1000 + " — Support Team"])
def test_what_does_not_look_like_a_resolution_is_none(text: str) -> None:
    with pytest.raises(ModelFailed, match=re.escape("nothing was closed")):
        check_resolution(text, "the model")


def test_a_resolution_has_nothing_that_is_not_seen() -> None:
    assert check_resolution("  Hi, a\u202eb\x1b — Support Team\n", "it") == "Hi, a\\u202eb\\x1b — Support Team"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": "system", "content": {"type": "text", "text": "x"}},
        {"role": "user", "content": {"type": "image", "data": "", "mimeType": "image/png"}},
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "audio"}]},
        {"role": "user", "content": []},
    ],
)
def test_a_message_that_is_no_text_stops_the_agent(message: dict[str, object]) -> None:
    with pytest.raises(Stopped, match="reads text alone"):
        read_turns([message])
