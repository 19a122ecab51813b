"""A contact, described with the whole vocabulary of JSON Schema 2020-12, and held to that description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

Contact = Mapping[str, object]

_METHODS: Final = ("phone", "email")

SCHEMA: Final[Mapping[str, object]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": list(_METHODS)},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def explain_misfit(contact: Contact) -> str | None:
    """Say why a contact does not fit the schema; None for one that fits."""
    properties = cast("Mapping[str, object]", SCHEMA["properties"])
    for name, value in contact.items():
        if name not in properties:
            return f"{name} is no member of a contact"
        if name != "address" and not isinstance(value, str):
            return f"{name} must be a string"
    method = contact.get("contactMethod")
    if method not in (None, *_METHODS):
        return f"contactMethod must be one of {', '.join(_METHODS)}"
    needed = "phone" if method == "phone" else "email"
    if needed not in contact:
        return f"{needed} is missing"
    return None if _is_address(contact.get("address", {})) else "address must be an object of strings"


def _is_address(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    address = cast("Mapping[str, object]", value)
    return all(isinstance(address.get(name, ""), str) for name in ("street", "city"))
