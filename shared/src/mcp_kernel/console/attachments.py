"""Pictures, sounds and files that a server sends: described, and saved where the user says so."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from mcp_kernel.protocol.jsonrpc import JsonObject

_SUFFIXES: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/plain": ".txt",
}


class Attachments:
    """Saves what comes, in a directory; without one it only says what came.

    Names are made here, from what the user wrote, and no file that is there is written over.
    """

    def __init__(self, directory: Path | None, name: str) -> None:
        self._directory = directory
        self._name = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "attachment"

    def take(self, what: str, mime_type: str | None, data: bytes) -> str:
        """Say what it is and where it was saved; raises `OSError`."""
        kind = mime_type or "application/octet-stream"
        size = f"{len(data):,} bytes"
        if self._directory is None:
            return f"[{what}: {kind}, {size}; --save DIR saves it]"
        self._directory.mkdir(parents=True, exist_ok=True)
        suffix = _SUFFIXES.get(kind.partition(";")[0].strip().lower(), ".bin")
        for path in self._names(suffix):
            try:
                with path.open("xb") as file:
                    file.write(data)
            except FileExistsError:
                continue
            return f"[{what}: {kind}, {size}, saved as {path}]"
        raise AssertionError("names do not end")

    def _names(self, suffix: str) -> Iterator[Path]:
        directory = cast("Path", self._directory)
        number = 0
        while True:
            number += 1
            yield directory / f"{self._name}-{number}{suffix}"

    def describe(self, block: JsonObject) -> str:
        """A content block of a result as text."""
        kind = block.get("type")
        if kind == "text":
            return str(block.get("text", ""))
        if kind in ("image", "audio"):
            return self._decode(str(kind), block.get("mimeType"), block.get("data"))
        if kind == "resource_link":
            return f"[link to {block.get('uri')}: {block.get('title') or block.get('name') or 'a resource'}]"
        inner = block.get("resource")
        if kind == "resource" and isinstance(inner, dict):
            resource = cast("JsonObject", inner)
            if isinstance(resource.get("text"), str):
                return f"[{resource.get('uri')}]\n{resource['text']}"
            return self._decode(str(resource.get("uri")), resource.get("mimeType"), resource.get("blob"))
        return f"[content of the unknown type {kind}]"

    def _decode(self, what: str, mime_type: object, data: object) -> str:
        try:
            decoded = b64decode(str(data), validate=True)
        except (Error, ValueError):
            return f"[{what}: what the server sent is no base64]"
        return self.take(what, mime_type if isinstance(mime_type, str) else None, decoded)
