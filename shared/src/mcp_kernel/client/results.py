"""What calls result in; `wire` is each result as it came."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from mcp_kernel.client.failures import InvalidAnswer
from mcp_kernel.protocol.jsonrpc import JsonObject


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool: blocks for a model, and where the tool has an output schema the value for a program.

    `is_error` says that the tool failed, and the text why: that is for the model to read, so nothing is raised.
    """

    content: Sequence[JsonObject]
    structured: object
    is_error: bool
    wire: JsonObject = field(repr=False)

    @classmethod
    def read(cls, wire: JsonObject) -> ToolResult:
        """Read a `CallToolResult`."""
        return cls(_objects(wire, "content"), wire.get("structuredContent"), wire.get("isError") is True, wire)

    @property
    def text(self) -> str:
        """The text blocks, one below the other."""
        return "\n".join(str(block.get("text", "")) for block in self.content if block.get("type") == "text")


@dataclass(frozen=True, slots=True)
class InputRequired:
    """A call that asks: `questions` are requests by key; their results go into the retry, with `state` as it is."""

    questions: Mapping[str, JsonObject]
    state: str | None

    @classmethod
    def read(cls, wire: JsonObject) -> InputRequired:
        """Read an `InputRequiredResult`."""
        given, state = wire.get("inputRequests"), wire.get("requestState")
        questions = cast("dict[str, object]", given) if isinstance(given, dict) else {}
        if not all(isinstance(each, dict) for each in questions.values()):
            raise InvalidAnswer("The server asks with something that is no request.")
        return cls(cast("dict[str, JsonObject]", questions), state if isinstance(state, str) else None)

    def retry(self, answers: Mapping[str, object]) -> JsonObject:
        """What the retry adds to the params of the call: no state where there was none."""
        added: JsonObject = {"inputResponses": dict(answers)} if self.questions else {}
        return added if self.state is None else {**added, "requestState": self.state}


@dataclass(frozen=True, slots=True)
class Contents:
    """One part of a resource: text, or bytes."""

    uri: str
    mime_type: str | None
    text: str | None
    data: bytes | None
    wire: JsonObject = field(repr=False)

    @classmethod
    def read_all(cls, wire: JsonObject) -> list[Contents]:
        """Read a `ReadResourceResult`."""
        return [cls._read(each) for each in _objects(wire, "contents")]

    @classmethod
    def _read(cls, wire: JsonObject) -> Contents:
        text, blob, kind = wire.get("text"), wire.get("blob"), wire.get("mimeType")
        try:
            data = b64decode(blob, validate=True) if isinstance(blob, str) else None
        except (Error, ValueError):
            raise InvalidAnswer(f"The server sent a blob that is no base64: {wire.get('uri')}") from None
        return cls(
            str(wire.get("uri", "")),
            kind if isinstance(kind, str) else None,
            text if isinstance(text, str) else None,
            data,
            wire,
        )


@dataclass(frozen=True, slots=True)
class PromptResult:
    """A prompt, filled in: messages with a role and content."""

    messages: Sequence[JsonObject]
    description: str | None
    wire: JsonObject = field(repr=False)

    @classmethod
    def read(cls, wire: JsonObject) -> PromptResult:
        """Read a `GetPromptResult`."""
        description = wire.get("description")
        return cls(_objects(wire, "messages"), description if isinstance(description, str) else None, wire)


@dataclass(frozen=True, slots=True)
class Completion:
    """Values that complete what was typed; `total` is how many there are in all, where that is known."""

    values: Sequence[str]
    total: int | None
    has_more: bool

    @classmethod
    def read(cls, wire: JsonObject) -> Completion:
        """Read a `CompleteResult`."""
        given = wire.get("completion")
        fields = cast("JsonObject", given) if isinstance(given, dict) else {}
        values, total = fields.get("values"), fields.get("total")
        if not isinstance(values, list):
            raise InvalidAnswer("The server's completion has no values.")
        return cls(
            [str(each) for each in cast("list[object]", values)],
            total if isinstance(total, int) else None,
            fields.get("hasMore") is True,
        )


def _objects(wire: JsonObject, member: str) -> list[JsonObject]:
    value = wire.get(member)
    items = cast("list[object]", value) if isinstance(value, list) else None
    if items is None or not all(isinstance(each, dict) for each in items):
        raise InvalidAnswer(f"The server's result has no list of {member}.")
    return cast("list[JsonObject]", items)
