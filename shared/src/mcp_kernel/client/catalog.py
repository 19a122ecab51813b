"""What a server offers, as it says it: tools, resources, templates, prompts.

Only the members that a program decides on have names here; `wire` is each item as it came, with its schemas untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from mcp_kernel.client.failures import InvalidAnswer
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.protocol.mirroring import find_mirrored

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool; `annotations` are its hints, which a server may be wrong about."""

    name: str
    title: str | None
    description: str
    input_schema: JsonObject
    output_schema: JsonObject | None
    annotations: JsonObject
    wire: JsonObject = field(repr=False)

    @classmethod
    def read(cls, wire: JsonObject) -> Tool:
        """Read an item of `tools/list`."""
        annotations = _object(wire.get("annotations")) or {}
        return cls(
            _name(wire, "name"),
            _text(wire.get("title")) or _text(annotations.get("title")),
            _text(wire.get("description")) or "",
            _object(wire.get("inputSchema")) or {},
            _object(wire.get("outputSchema")),
            annotations,
            wire,
        )

    @property
    def is_read_only(self) -> bool:
        """Whether it says that it changes nothing."""
        return self.annotations.get("readOnlyHint") is True

    @property
    def is_repeatable(self) -> bool:
        """Whether it says that calling it twice does what calling it once does."""
        return self.is_read_only or self.annotations.get("idempotentHint") is True

    def mirrored(self) -> Mapping[str, Sequence[str]]:
        """Which arguments are repeated in headers; raises `ValueError` for an annotation that is forbidden."""
        return find_mirrored(self.input_schema)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource; `size` is in bytes, where it is known."""

    uri: str
    name: str
    title: str | None
    description: str
    mime_type: str | None
    size: int | None
    wire: JsonObject = field(repr=False)

    @classmethod
    def read(cls, wire: JsonObject) -> Resource:
        """Read an item of `resources/list`."""
        size = wire.get("size")
        return cls(
            _name(wire, "uri"),
            _text(wire.get("name")) or "",
            _text(wire.get("title")),
            _text(wire.get("description")) or "",
            _text(wire.get("mimeType")),
            size if isinstance(size, int) else None,
            wire,
        )


@dataclass(frozen=True, slots=True)
class ResourceTemplate:
    """Resources by the pattern of their URIs (RFC 6570)."""

    uri_template: str
    name: str
    title: str | None
    description: str
    mime_type: str | None
    wire: JsonObject = field(repr=False)

    @classmethod
    def read(cls, wire: JsonObject) -> ResourceTemplate:
        """Read an item of `resources/templates/list`."""
        return cls(
            _name(wire, "uriTemplate"),
            _text(wire.get("name")) or "",
            _text(wire.get("title")),
            _text(wire.get("description")) or "",
            _text(wire.get("mimeType")),
            wire,
        )


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt; `arguments` are as the wire has them (name, description, required)."""

    name: str
    title: str | None
    description: str
    arguments: Sequence[JsonObject]
    wire: JsonObject = field(repr=False)

    @classmethod
    def read(cls, wire: JsonObject) -> Prompt:
        """Read an item of `prompts/list`."""
        given = wire.get("arguments")
        arguments = cast("list[object]", given) if isinstance(given, list) else []
        return cls(
            _name(wire, "name"),
            _text(wire.get("title")),
            _text(wire.get("description")) or "",
            [cast("JsonObject", each) for each in arguments if isinstance(each, dict)],
            wire,
        )


def _name(wire: JsonObject, member: str) -> str:
    value = wire.get(member)
    if not isinstance(value, str):
        raise InvalidAnswer(f"The server lists something without a {member}: {str(wire)[:100]}")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: object) -> JsonObject | None:
    return cast("JsonObject", value) if isinstance(value, dict) else None
