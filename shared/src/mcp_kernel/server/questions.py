"""What a handler asks of the client: a form or a page for the user, a model's answer, the client's roots.

A question is the same in every era; how it travels is a matter of the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from mcp_kernel.errors import Declined
from mcp_kernel.protocol import capabilities, forms
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.content import EmbeddedResource, Message, ResourceLink
from mcp_kernel.server.schema import Form

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One question of a handler.

    `key` names it within its request, `required` is the capability that the client must have declared, and `read`
    turns the client's result into the answer: it raises `ValueError` when that is no answer, so that the question is
    asked again, and `Declined` when the user said no.
    """

    key: str
    method: str
    params: JsonObject
    required: JsonObject
    read: Callable[[JsonObject], T]

    def to_wire(self) -> JsonObject:
        """The request as it travels inside an `input_required` result."""
        return {"method": self.method, "params": self.params} if self.params else {"method": self.method}


@dataclass(frozen=True, slots=True)
class Root:
    """A directory or file that the client works on; `uri` is a `file://` URI."""

    uri: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the host's model answered; `blocks` are the wire's content blocks."""

    role: str
    model: str
    blocks: list[JsonObject]
    stop_reason: str | None = None

    @property
    def text(self) -> str:
        """The texts of the answer, one below the other."""
        return "\n".join(str(block["text"]) for block in self.blocks if block.get("type") == "text")

    @property
    def tool_uses(self) -> list[JsonObject]:
        """The calls that the model wants made: the wire's `ToolUseContent`."""
        return [block for block in self.blocks if block.get("type") == "tool_use"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample; the fields are those of `CreateMessageRequestParams`, left out where None."""

    max_tokens: int = 1000
    system_prompt: str | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    model_preferences: JsonObject | None = None
    tools: list[JsonObject] | None = None
    tool_choice: JsonObject | None = None
    metadata: JsonObject | None = field(default=None)

    def to_params(self, messages: Sequence[JsonObject]) -> JsonObject:
        """The params of `sampling/createMessage`."""
        optional: JsonObject = {
            "systemPrompt": self.system_prompt,
            "temperature": self.temperature,
            "stopSequences": self.stop_sequences,
            "modelPreferences": self.model_preferences,
            "tools": self.tools,
            "toolChoice": self.tool_choice,
            "metadata": self.metadata,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        return {"messages": list(messages), "maxTokens": self.max_tokens, **given}


def ask_form(key: str, message: str, form: type[T]) -> Question[T]:
    """A form made from a model (a dataclass or a pydantic model of flat primitives)."""
    compiled = Form(form)
    params: JsonObject = {"message": message, "requestedSchema": compiled.schema}

    def read(result: JsonObject) -> T:
        return cast("T", compiled.parse(_accepted(result, message).get("content") or {}))

    return Question(key, "elicitation/create", params, capabilities.FORM, read)


def ask_schema(key: str, message: str, schema: Mapping[str, object]) -> Question[JsonObject]:
    """A form given as its schema, which is passed on untouched; what was filled in must fit it."""
    params: JsonObject = {"message": message, "requestedSchema": dict(schema)}

    def read(result: JsonObject) -> JsonObject:
        content = cast("JsonObject", _accepted(result, message).get("content") or {})
        if not forms.fits(content, schema):
            raise ValueError("the content does not fit the form")
        return content

    return Question(key, "elicitation/create", params, capabilities.FORM, read)


def ask_url(key: str, message: str, url: str) -> Question[None]:
    """A page that the user is to visit; the answer says that the user agreed, not that it is done."""
    params: JsonObject = {"mode": "url", "message": message, "url": url}

    def read(result: JsonObject) -> None:
        _accepted(result, message)

    return Question(key, "elicitation/create", params, capabilities.URL, read)


def _accepted(result: JsonObject, message: str) -> JsonObject:
    action = result.get("action")
    if action == "accept":
        return result
    if action in ("decline", "cancel"):
        verb = "declined" if action == "decline" else "dismissed"
        raise Declined(f"The user {verb} this, and nothing was done: {message}", str(action))
    raise ValueError("action must be accept, decline or cancel")


def ask_sample(key: str, messages: str | Sequence[Message], sampling: Sampling) -> Question[Sampled]:
    """An answer of the host's model."""
    conversation = [Message(messages)] if isinstance(messages, str) else messages
    if any(isinstance(message.content, EmbeddedResource | ResourceLink) for message in conversation):
        raise TypeError("A model is sent text, images and sound; read a resource and send what it holds")
    params = sampling.to_params([message.to_wire() for message in conversation])
    plain = sampling.tools is None and sampling.tool_choice is None
    required = capabilities.SAMPLING if plain else capabilities.SAMPLING_WITH_TOOLS
    return Question(key, "sampling/createMessage", params, required, _read_sampled)


def _read_sampled(result: JsonObject) -> Sampled:
    content = result.get("content")
    blocks = cast("list[object]", content) if isinstance(content, list) else [content]
    if not all(_is_block(block) for block in blocks):
        raise ValueError("content must be a content block or a list of them")
    role, model, stop = result.get("role"), result.get("model"), result.get("stopReason")
    if not isinstance(role, str) or not isinstance(model, str):
        raise ValueError("role and model must be strings")
    return Sampled(role, model, cast("list[JsonObject]", blocks), stop if isinstance(stop, str) else None)


def _is_block(block: object) -> bool:
    if not isinstance(block, dict):
        return False
    fields = cast("JsonObject", block)
    return isinstance(fields.get("text"), str) if fields.get("type") == "text" else "type" in fields


def ask_roots(key: str) -> Question[list[Root]]:
    """The directories and files that the client works on."""
    return Question(key, "roots/list", {}, capabilities.ROOTS, _read_roots)


def _read_roots(result: JsonObject) -> list[Root]:
    given = result.get("roots")
    if not isinstance(given, list):
        raise ValueError("roots must be a list")
    roots: list[Root] = []
    for item in cast("list[object]", given):
        root = cast("JsonObject", item) if isinstance(item, dict) else {}
        uri, name = root.get("uri"), root.get("name")
        if not isinstance(uri, str):
            raise ValueError("a root needs a uri")
        roots.append(Root(uri, name if isinstance(name, str) else None))
    return roots
