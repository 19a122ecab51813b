"""What a server or an API sent, read without trusting its shape."""

from __future__ import annotations

import json
from typing import cast

JsonObject = dict[str, object]


def members(value: object) -> JsonObject:
    """A value as an object, empty where it is none."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """A value as a list, empty where it is none."""
    return cast("list[object]", value) if isinstance(value, list) else []


def parse(text: str | bytes) -> object:
    """A JSON text as a value, None where it is no JSON."""
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return None
