"""What a handler may return besides text and data: pictures, sound, resources, messages, tables."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast

from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes
from mcp_kernel.server.untrusted import Untrusted

_CELL = 120  # characters of one value in a table's text; the structured rows have it whole
_SPECIAL = "|\n\r"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Annotated:
    """`annotations` has the wire's shape: audience, priority (0 to 1), lastModified (ISO 8601)."""

    annotations: JsonObject | None = None

    def annotate(self, block: JsonObject) -> JsonObject:
        if self.annotations is not None:
            block["annotations"] = self.annotations
        return block


@dataclass(frozen=True, slots=True)
class Image(_Annotated):
    """A picture; `data` are its bytes as a file holds them."""

    data: bytes
    mime_type: str = "image/png"

    def to_block(self) -> JsonObject:
        """The wire's `ImageContent`."""
        return self.annotate({"type": "image", "data": _base64(self.data), "mimeType": self.mime_type})


@dataclass(frozen=True, slots=True)
class Audio(_Annotated):
    """A sound; `data` are its bytes as a file holds them."""

    data: bytes
    mime_type: str = "audio/wav"

    def to_block(self) -> JsonObject:
        """The wire's `AudioContent`."""
        return self.annotate({"type": "audio", "data": _base64(self.data), "mimeType": self.mime_type})


@dataclass(frozen=True, slots=True)
class EmbeddedResource(_Annotated):
    """The content of a resource inside a result: text, or bytes that travel as base64."""

    uri: str
    content: str | bytes
    mime_type: str | None = None

    def to_contents(self) -> JsonObject:
        """The wire's `TextResourceContents` or `BlobResourceContents`."""
        contents: JsonObject = {"uri": self.uri}
        if self.mime_type is not None:
            contents["mimeType"] = self.mime_type
        if isinstance(self.content, str):
            contents["text"] = self.content
        else:
            contents["blob"] = _base64(self.content)
        return contents

    def to_block(self) -> JsonObject:
        """The wire's `EmbeddedResource`."""
        return self.annotate({"type": "resource", "resource": self.to_contents()})


@dataclass(frozen=True, slots=True)
class ResourceLink(_Annotated):
    """A link to a resource that the client may read or not; a text for clients before 2025-06-18."""

    uri: str
    name: str
    description: str | None = None
    mime_type: str | None = None

    def to_block(self) -> JsonObject:
        """The wire's `ResourceLink`."""
        block: JsonObject = {"type": "resource_link", "uri": self.uri, "name": self.name}
        if self.description is not None:
            block["description"] = self.description
        if self.mime_type is not None:
            block["mimeType"] = self.mime_type
        return self.annotate(block)


Content: TypeAlias = str | Untrusted | Image | Audio | EmbeddedResource | ResourceLink


def to_block(content: Content) -> JsonObject:
    """The wire's `ContentBlock` of one piece of content."""
    if isinstance(content, str) and not isinstance(content, Untrusted):
        return {"type": "text", "text": content}
    return content.to_block()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt, or of a conversation to sample."""

    content: Content
    role: Literal["user", "assistant"] = "user"

    def to_wire(self) -> JsonObject:
        """The wire's `PromptMessage`, which is also a `SamplingMessage`."""
        return {"role": self.role, "content": to_block(self.content)}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, with the type that its source declares."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that a program gets as data and a model as text.

    `truncated` says that there is more than these rows, and `note` how to get at it.
    """

    columns: list[Column]
    rows: list[list[object]] = field(default_factory=list[list[object]])
    row_count: int = 0
    truncated: bool = False
    elapsed_ms: float = 0.0
    note: str | None = None

    def __str__(self) -> str:
        lines = [
            " | ".join(_cell(column.name) for column in self.columns),
            " | ".join("---" for _ in self.columns),
            *map(" | ".join, _cells(self.rows)),
        ]
        rows = "1 row" if self.row_count == 1 else f"{self.row_count} rows"
        lines.append(f"({rows}{', more left out' if self.truncated else ''})")
        if self.note:
            lines.append(self.note)
        return "\n".join(lines)

    def fit(self, budget: int) -> Table:
        """Return the table with as many rows as fit into `budget` bytes, marked as truncated if any are left out."""
        spent = len(to_bytes([column.name for column in self.columns])) + 500
        kept = 0
        for row in self.rows:
            spent += len(to_bytes(row)) + 1
            if spent > budget:
                break
            kept += 1
        if kept == len(self.rows):
            return self
        note = f"Cut to {kept} of {len(self.rows)} rows to stay under {budget} bytes: ask for fewer columns or rows."
        return replace(self, rows=self.rows[:kept], row_count=kept, truncated=True, note=note)


def _cells(rows: list[list[object]]) -> Iterable[Sequence[str]]:
    """The texts of all cells, column by column, which takes a third of the time that cell by cell does."""
    if len({len(row) for row in rows}) != 1:
        return ([_cell(value) for value in row] for row in rows)
    return zip(*map(_column, zip(*rows, strict=True)), strict=True) if rows[0] else ([] for _ in rows)


def _column(values: Sequence[object]) -> Sequence[str]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds == {float}:
        return to_bytes(values)[1:-1].decode().split(",")
    if kinds == {str}:
        texts = cast("Sequence[str]", values)
        together = "".join(texts)
        if not any(letter in together for letter in _SPECIAL) and max(map(len, texts)) <= _CELL:
            return texts
    return list(map(_cell, values))


def _cell(value: object) -> str:
    if type(value) is int:
        return str(value)
    text = "NULL" if value is None else value if isinstance(value, str) else to_bytes(value).decode()
    if "|" in text or "\n" in text or "\r" in text:  # in a row of ifs: a loop takes three times as long
        text = text.replace("|", "\\|").replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
