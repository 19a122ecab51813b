"""The forms that users are asked to fill in, as they travel: flat objects of primitives and choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Form = Mapping[str, object]

_PLAIN: Final = ["option1", "option2", "option3"]


def _titled(word: str) -> list[dict[str, str]]:
    return [
        {"const": f"value{number}", "title": f"{ordinal} {word}"}
        for number, ordinal in enumerate(("First", "Second", "Third"), 1)
    ]


def text(name: str) -> Form:
    """A form of one text, which must be given."""
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def tick(name: str) -> Form:
    """A form of one box to tick, which must be answered."""
    return {"type": "object", "properties": {name: {"type": "boolean"}}, "required": [name]}


IDENTITY: Final[Form] = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}

DEFAULTS: Final[Form] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "A name", "default": "John Doe"},
        "age": {"type": "integer", "description": "An age in years", "default": 30},
        "score": {"type": "number", "description": "A score", "default": 95.5},
        "status": {
            "type": "string",
            "description": "A status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "description": "Whether all this was verified", "default": True},
    },
    "required": [],
}
"""Each kind of field with a default."""

CHOICES: Final[Form] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "description": "One of three", "enum": _PLAIN},
        "titledSingle": {"type": "string", "description": "One of three with titles", "oneOf": _titled("Option")},
        "legacyEnum": {
            "type": "string",
            "description": "One of three with titles, as older clients know them",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "description": "Up to three",
            "items": {"type": "string", "enum": _PLAIN},
        },
        "titledMulti": {
            "type": "array",
            "description": "Up to three with titles",
            "items": {"anyOf": _titled("Choice")},
        },
    },
    "required": [],
}
"""Each way to offer a choice."""
