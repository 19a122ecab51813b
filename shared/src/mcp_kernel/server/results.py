"""Return values to what travels: content blocks, structured content, resource contents, prompt messages.

What a handler returns is known from its annotation when it is registered; the values themselves are fitted into the
output budget here, and nowhere else.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast, runtime_checkable

from pydantic_core import PydanticSerializationError

from mcp_kernel.errors import ToolError
from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes
from mcp_kernel.server.content import (
    Audio,
    Content,
    EmbeddedResource,
    Image,
    Message,
    ResourceLink,
    to_block,
)
from mcp_kernel.server.schema import Output
from mcp_kernel.server.untrusted import Untrusted, find_sources, flag, is_mentioned

_CONTENT: Final = (Image, Audio, EmbeddedResource, ResourceLink, Untrusted)


@dataclass(slots=True)
class ToolResult:
    """The result of a call before an exchange brings it into its era's form.

    `structured` is JSON, and `is_object` says whether the tool's schema promises an object for every result.
    """

    content: list[JsonObject]
    structured: bytes | None = None
    is_error: bool = False
    is_object: bool = True


@runtime_checkable
class Fitting(Protocol):
    """A result that knows how to make itself smaller."""

    def fit(self, budget: int) -> object:
        """Return the result cut to about `budget` bytes, saying so and how to go on."""
        ...


def error_result(text: str) -> ToolResult:
    """A result that tells the model what went wrong."""
    return ToolResult([{"type": "text", "text": text}], is_error=True)


class ToolOutput:
    """How the results of one tool travel, compiled from its return annotation.

    A `str` is text alone and content is content alone; everything else is structured, with a text beside it: the
    value's own `__str__` where its class defines one, its JSON otherwise.
    """

    __slots__ = ("_is_object", "_is_untrusted", "_output", "schema")

    def __init__(self, annotation: object, where: str) -> None:
        self._output = None if _is_unstructured(annotation) else Output(annotation, where)
        self.schema = None if self._output is None else self._output.schema
        self._is_object = self.schema is not None and self.schema.get("type") == "object"
        self._is_untrusted = self.schema is not None and is_mentioned(annotation)

    def encode(self, value: object, budget: int) -> ToolResult:
        """Bring a return value into its form, cut to `budget` bytes (0: no limit)."""
        if type(value) is str and self._output is None:
            if budget and len(value) > budget // 4:  # four bytes are the most that a character takes
                value = cut(value, budget)
            return ToolResult([{"type": "text", "text": value}])
        if self._output is None:
            return self._encode_loose(value, budget)
        result = _encode_structured(value, self._output, budget)
        result.is_object = self._is_object
        if self._is_untrusted:
            flag(result.content[0], find_sources(value))
        return result

    def _encode_loose(self, value: object, budget: int) -> ToolResult:
        if value is None:
            return ToolResult([])
        if isinstance(value, _CONTENT):
            return ToolResult([_fit_block(value, budget)])
        if isinstance(value, list | tuple):
            pieces = cast("Sequence[object]", value)
            if all(isinstance(piece, (*_CONTENT, str)) for piece in pieces):
                return ToolResult([_fit_block(cast("Content", piece), budget) for piece in pieces])
        return _encode_structured(cast("object", value), _Plain(), budget)


class _Encoder(Protocol):
    def to_json(self, value: object) -> bytes: ...
    def to_value(self, value: object) -> object: ...


class _Plain:
    """The encoder of a value whose type no annotation tells."""

    def to_json(self, value: object) -> bytes:
        return to_bytes(value)

    def to_value(self, value: object) -> object:
        return value


def _is_unstructured(annotation: object) -> bool:
    if annotation in (str, None, type(None), object, typing.Any):
        return True
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _is_unstructured(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return all(_is_unstructured(each) for each in typing.get_args(annotation))
    return _is_content(annotation)


def _is_content(annotation: object) -> bool:
    """Tell whether every value of a type is content; a list of plain strings is data and not content."""
    if any(annotation is each for each in _CONTENT):
        return True
    arguments = [each for each in typing.get_args(annotation) if each is not ...]
    return any(_is_content(each) for each in arguments) and all(each is str or _is_content(each) for each in arguments)


def _encode_structured(value: object, encoder: _Encoder, budget: int) -> ToolResult:
    structured, text = _render(value, encoder)
    if budget and max(len(structured), len(text)) > budget:
        if not isinstance(value, Fitting):
            raise ToolError(
                f"The result has {len(structured)} bytes, more than the {budget} that this server returns. "
                "Ask for less: fewer items, a narrower filter."
            )
        structured, text = _render(value.fit(budget), encoder)
        text = cut(text, budget)
    return ToolResult([{"type": "text", "text": text}], structured, is_object=structured.startswith(b"{"))


def _render(value: object, encoder: _Encoder) -> tuple[bytes, str]:
    try:
        structured = encoder.to_json(value)
    except PydanticSerializationError as error:
        if "surrogates" not in str(error):
            raise
        structured = to_bytes(encoder.to_value(value))  # file names that are not UTF-8
    text = str(value) if type(value) is str or _has_own_text(type(value)) else structured.decode()
    return structured, text


def _has_own_text(kind: type) -> bool:
    """Tell whether a result's class says how it reads, as `Table` does; built-in types, enums and models do not."""
    if kind.__module__ == "builtins" or kind.__str__ in (object.__str__, str.__str__, int.__str__):
        return False
    return getattr(kind.__str__, "__module__", "") not in ("enum", "pydantic.main")


def _fit_block(content: Content, budget: int) -> JsonObject:
    if isinstance(content, Untrusted):
        return Untrusted(cut(content, budget), content.source).to_block()  # cut inside, so that its closing line stays
    if isinstance(content, str):
        return to_block(cut(content, budget))
    block = to_block(content)
    if not _holds_text(content):
        return block  # the budget is of text: what a host makes of a picture does not grow with its bytes
    size = len(to_bytes(block)) if budget else 0
    if size > budget:
        raise ToolError(f"The result has {size} bytes, more than the {budget} that this server returns.")
    return block


def _holds_text(content: Content) -> bool:
    return not isinstance(content.content if isinstance(content, EmbeddedResource) else content, bytes | Image | Audio)


def cut(text: str, budget: int) -> str:
    """Cut a text to `budget` bytes of UTF-8 (0: no limit); a cut text says so and how to go on."""
    if not budget or len(text) * 4 <= budget:
        return text
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= budget:
        return text
    kept = data[:budget].decode("utf-8", "ignore")
    return f"{kept}\n[Cut: {budget} of {len(data)} bytes are shown. Ask for a smaller part to see the rest.]"


def to_contents(value: object, uri: str, mime_type: str | None) -> list[JsonObject]:
    """The contents of a resource: text, bytes, `EmbeddedResource`, a list of these, or data that becomes JSON."""
    if isinstance(value, EmbeddedResource):
        return [value.to_contents()]
    if isinstance(value, Untrusted):
        return [flag(EmbeddedResource(uri, value.fenced, mime_type or "text/plain").to_contents(), [value.source])]
    if isinstance(value, str | bytes):
        default = "text/plain" if isinstance(value, str) else "application/octet-stream"
        return [EmbeddedResource(uri, value, mime_type or default).to_contents()]
    if isinstance(value, list | tuple):
        parts = cast("Sequence[object]", value)
        if parts and all(isinstance(part, EmbeddedResource) for part in parts):
            return [cast("EmbeddedResource", part).to_contents() for part in parts]
    if _has_own_text(type(cast("object", value))):
        contents = EmbeddedResource(uri, str(cast("object", value)), mime_type or "text/plain").to_contents()
        return [flag(contents, find_sources(cast("object", value)))]
    text = to_bytes(cast("object", value)).decode()
    return [EmbeddedResource(uri, text, mime_type or "application/json").to_contents()]


def to_messages(value: object) -> list[JsonObject]:
    """The messages of a prompt: one text is one message of the user."""
    if isinstance(value, Message):
        return [value.to_wire()]
    if isinstance(value, list | tuple):
        return [message for item in cast("Sequence[object]", value) for message in to_messages(item)]
    if isinstance(value, (str, *_CONTENT)):
        return [Message(value).to_wire()]
    raise TypeError(f"A prompt returns text or messages, not {type(value).__name__}")
