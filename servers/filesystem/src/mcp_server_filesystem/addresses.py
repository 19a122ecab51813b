"""Paths and `file://` URIs."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote_to_bytes, urlsplit


def to_uri(path: str) -> str:
    r"""The URI of an absolute path; bytes that are not UTF-8 stand in it as in all answers, as \xNN."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "file://" + quote(text, safe="/:@!$&'()*+,;=~-._")


def read_uri(uri: str) -> str | None:
    """The absolute path of a `file://` URI of this machine, decoded once; None for any other URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme.lower() != "file" or parts.netloc.lower() not in ("", "localhost"):
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    return path if path.startswith("/") and "\0" not in path else None
