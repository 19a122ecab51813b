"""The APIs of the models, each as its vendor's own client speaks it, and as the agent must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from tests.examples.support_agent.service import Reply

Json = dict[str, Any]

KEY: Final = "sk-test-4f1c9b7e"
LETTER: Final = "Hi, your new password works again. Write to us if it does not. — Support Team"


@dataclass(frozen=True)
class Dialect:
    """How one API is set up, where it is asked, what it answers, and how its vendor's own client asks it."""

    variables: Callable[[str], dict[str, str]]
    path: str
    reply: Callable[[str], Json]
    refusal: Callable[[str], Json]
    authorization: tuple[str, str] | None
    ask: Callable[[str, Json], str]
    """Sends a request with the members of a body to a URL, and returns the text of the answer."""

    def replies(self, text: str = LETTER, **more: Any) -> dict[str, Reply]:
        """A service that answers this, with other members of the answer where they are given."""
        return {self.path: Reply({**self.reply(text), **more}), "/api/tags": Reply({"models": [{"name": "qwen3:4b"}]})}


def _ask_anthropic(url: str, body: Json) -> str:
    from anthropic import Anthropic

    with Anthropic(api_key=KEY, base_url=url, max_retries=0) as client:
        create: Any = client.messages.create  # its overloads are for arguments that are spelled out
        blocks = create(**body).content
    return "".join(block.text for block in blocks if block.type == "text")


def _ask_openai(url: str, body: Json) -> str:
    from openai import OpenAI

    with OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as client:
        create: Any = client.chat.completions.create  # as above
        return create(**body).choices[0].message.content


def _ask_ollama(url: str, body: Json) -> str:
    from ollama import Client

    with cast("Any", Client(host=url)) as client:
        return client.chat(**body).message.content


def _reply_anthropic(text: str) -> Json:
    usage = {"input_tokens": 1, "output_tokens": 1}
    block = {"type": "text", "text": text}
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "usage": usage}
    return {**about, "content": [block], "stop_reason": "end_turn", "stop_sequence": None}


def _reply_openai(text: str) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-5.4-mini", "choices": [choice]}


def _reply_ollama(text: str) -> Json:
    message = {"role": "assistant", "content": text}
    return {"model": "qwen3:4b", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": True} | {
        "done_reason": "stop"
    }


DIALECTS: Final = {
    "anthropic": Dialect(
        lambda url: {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": url},
        "/v1/messages",
        _reply_anthropic,
        lambda text: {"type": "error", "error": {"type": "some_error", "message": text}},
        ("x-api-key", KEY),
        _ask_anthropic,
    ),
    "openai": Dialect(
        lambda url: {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/v1"},
        "/v1/chat/completions",
        _reply_openai,
        lambda text: {"error": {"message": text, "type": "some_error", "param": None, "code": None}},
        ("authorization", f"Bearer {KEY}"),
        _ask_openai,
    ),
    "ollama": Dialect(
        lambda url: {"OLLAMA_URL": url},
        "/api/chat",
        _reply_ollama,
        lambda text: {"error": text},
        None,
        _ask_ollama,
    ),
}
