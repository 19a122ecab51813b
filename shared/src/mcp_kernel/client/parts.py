"""A tool's result as the parts that a model's API can take: texts, and the pictures that it knows how to see."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

MOST_CHARACTERS: Final = 200  # of what is quoted in an error


@dataclass(frozen=True, slots=True)
class Picture:
    """Base64 `data` of a type that the API takes."""

    mime_type: str
    data: str


Part: TypeAlias = str | Picture


def parts_of(result: Mapping[str, object], pictures: Collection[str]) -> list[Part]:
    """The content of a result of `tools/call`, in its order, without empty texts.

    A picture whose type is not among `pictures`, a sound, or any other data is described by a text. The structured
    content is used only where there is no content: a server repeats it there as text.
    """
    content = result.get("content")
    blocks = cast("list[object]", content) if isinstance(content, list) else []
    parts = [part for block in blocks if isinstance(block, Mapping) for part in _parts(cast(_Block, block), pictures)]
    if not parts and "structuredContent" in result:
        return [_compact(result["structuredContent"])]
    return parts


def text_of(parts: Collection[Part]) -> str:
    """The texts alone, a line for each."""
    return "\n".join(part for part in parts if isinstance(part, str))


def describe(value: object) -> str:
    """A value as short JSON, for an error."""
    text = _compact(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


_Block: TypeAlias = Mapping[str, object]


def _parts(block: _Block, pictures: Collection[str]) -> list[Part]:
    match block:
        case {"type": "text", "text": str(text)}:
            return [text] if text else []
        case {"type": "image", "data": str(data), "mimeType": str(mime_type)}:
            return [_picture(data, mime_type, pictures) or _unseen("image", mime_type, data)]
        case {"type": "audio", "data": str(data), "mimeType": str(mime_type)}:
            return [_unseen("audio", mime_type, data)]
        case {"type": "resource_link", "uri": str(uri)}:
            return [_link(block, uri)]
        case {"type": "resource", "resource": {"uri": str(uri), "text": str(text)}}:
            return [f"{uri}:\n{text}"]
        case {"type": "resource", "resource": {"uri": str(uri), "blob": str(blob)} as resource}:
            mime_type = str(cast("_Block", resource).get("mimeType") or "application/octet-stream")
            picture = _picture(blob, mime_type, pictures)
            return [f"{uri}:", picture] if picture else [f"{uri}: {_unseen('resource', mime_type, blob)}"]
        case _:
            return [_compact(block)]


def _picture(data: str, mime_type: str, pictures: Collection[str]) -> Picture | None:
    return Picture(mime_type, data) if mime_type in pictures else None


def _unseen(what: str, mime_type: str, data: str) -> str:
    size = len(data.rstrip("=")) * 3 // 4
    return f"[{what} of type {mime_type}, {size} bytes, which cannot be shown here]"


def _link(block: _Block, uri: str) -> str:
    name = block.get("title") or block.get("name")
    about = ", ".join(str(block[key]) for key in ("mimeType", "description") if block.get(key))
    return f"[resource {f'{name}: ' if name else ''}{uri}{f' ({about})' if about else ''}]"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr)
