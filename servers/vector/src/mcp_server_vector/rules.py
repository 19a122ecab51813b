"""What names, ids, texts, metadata and filters may be. Checked here, so that no engine's own error has to be read."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

from .refusals import Refusal

Scalar: TypeAlias = str | int | float | bool
Metadata: TypeAlias = dict[str, Scalar]
Filter: TypeAlias = Mapping[str, object]

MAX_TEXT: Final = 4 << 20  # bytes of UTF-8
MAX_ID: Final = 1024
MAX_QUERY: Final = 10_000
RESERVED: Final = ("mcp:", "chroma:")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,60}[A-Za-z0-9]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_KEYS: Final = 32
_KEY_LENGTH: Final = 64
_VALUE_BYTES: Final = 1024
_FILTER_DEPTH: Final = 8
_FILTER_NODES: Final = 256
_FILTER_TEXT: Final = 10_000  # of a pattern, SQLite takes 50,000 bytes
_DEPTH_OF_OPERATORS: Final = frozenset({"$and", "$or"})


def check_collection(name: str) -> str:
    """Return the name, or refuse it."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise Refusal(
            f"{_shorten(name)} cannot name a collection: take 3 to 62 letters, digits, dots, hyphens and underscores, "
            "with a letter or digit at both ends."
        )
    return name


def check_id(identifier: str) -> str:
    """Return the id of a document, or refuse it."""
    if not identifier or len(identifier) > MAX_ID or _CONTROL.search(identifier) or _SURROGATE.search(identifier):
        raise Refusal(f"{_shorten(identifier)} cannot be an id: take 1 to {MAX_ID} characters, none of them a control.")
    return identifier


def check_text(text: str) -> str:
    """Return the text of a document, lone surrogates replaced, or refuse it."""
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    if "\x00" in text:
        raise Refusal("The text holds NUL characters, as binary data does: pass text.")
    if not any(character.isalnum() for character in text):
        raise Refusal("The text has no letters or digits, so that nothing could find it: pass the document's text.")
    if len(text) > MAX_TEXT or len(text) * 4 > MAX_TEXT < len(text.encode()):
        raise Refusal(f"The text has more than {MAX_TEXT} bytes: index it in parts, each under its own id.")
    return text


def check_query(query: str) -> str:
    """Return what is searched for, or refuse it."""
    query = _SURROGATE.sub(" ", query).replace("\x00", " ")
    if not any(character.isalnum() for character in query):
        raise Refusal("The query has no letters or digits: say in words what to look for.")
    if len(query) > MAX_QUERY:
        raise Refusal(f"The query has more than {MAX_QUERY} characters: ask in a sentence or two.")
    return query


def check_metadata(metadata: Mapping[str, object]) -> Metadata:
    """Return metadata that can be stored and filtered by, or refuse it."""
    if len(metadata) > _KEYS:
        raise Refusal(f"The metadata has {len(metadata)} keys: keep to {_KEYS}.")
    return {_check_key(key): _check_value(key, value) for key, value in metadata.items()}


def _check_key(key: str) -> str:
    if not key or len(key) > _KEY_LENGTH or _CONTROL.search(key) or _SURROGATE.search(key):
        raise Refusal(f"{_shorten(key)} cannot be a metadata key: take 1 to {_KEY_LENGTH} characters, no controls.")
    if key.startswith((*RESERVED, "$", "#")):
        raise Refusal(f"The metadata key {_shorten(key)} begins as the store's own do: call it something else.")
    return key


def _check_value(key: str, value: object) -> Scalar:
    if not isinstance(value, str | int | float | bool):
        kind = "null" if value is None else "a list" if isinstance(value, Sequence) else "an object"
        raise Refusal(f"The metadata value of {_shorten(key)} is {kind}: use a text, a number, true or false.")
    if isinstance(value, str):
        value = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
        if len(value.encode()) > _VALUE_BYTES:
            raise Refusal(f"The metadata value of {_shorten(key)} is longer than {_VALUE_BYTES} bytes: shorten it.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"The metadata value of {_shorten(key)} is no finite number.")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Refusal(f"The metadata value of {_shorten(key)} needs more than 64 bits: pass it as a text.")
    return value


def check_filter(given: Filter | None, name: str) -> dict[str, object] | None:
    """Return a filter of a size that the engine can bear; what it says is the engine's to judge.

    Several conditions side by side are joined with `$and`, which the engine wants spelled out.
    """
    if not given:
        return None
    nodes, waiting = 0, [(cast("object", given), 1)]
    while waiting:
        value, depth = waiting.pop()
        nodes += 1
        if depth > _FILTER_DEPTH * 2 or nodes > _FILTER_NODES:
            raise Refusal(f"The filter {name} is too big: at most {_FILTER_NODES} parts, {_FILTER_DEPTH} levels deep.")
        if isinstance(value, Mapping):
            waiting += [(each, depth + 1) for each in cast("Mapping[str, object]", value).values()]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in cast("list[object]", value)]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise Refusal(f"A number in the filter {name} needs more than 64 bits.")
        elif isinstance(value, str):
            _check_filter_text(value, name)
    if len(given) > 1:
        return {"$and": [{key: value} for key, value in given.items()]}
    return dict(given)


def _check_filter_text(text: str, name: str) -> None:
    if len(text) > _FILTER_TEXT:
        raise Refusal(f"A text in the filter {name} has more than {_FILTER_TEXT} characters: give a part of it.")
    if _SURROGATE.search(text) or "\x00" in text:  # at a NUL SQLite's patterns end, and let everything pass
        raise Refusal(f"A text in the filter {name} holds NUL or half a character, which no document does.")


def make_id(text: str) -> str:
    """The id of a document that was given none."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(text: str, metadata: Mapping[str, Scalar]) -> str:
    """What tells one version of a document from another."""
    digest = hashlib.sha256(text.encode())
    digest.update(json.dumps(metadata, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def _shorten(text: str) -> str:
    shown = ascii(text[:60])
    return shown if len(text) <= 60 else f"{shown}…"
