"""Whether what a user filled in fits the form: flat primitives (client/elicitation, "Requested Schema")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from mcp_kernel.protocol.jsonrpc import JsonObject

# type() is compared, so that a bool is no integer.
_TYPES: Final[dict[object, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def fits(content: object, schema: Mapping[str, object]) -> bool:
    """Tell whether content fits a form's schema; fields that the form does not have are let pass."""
    if not isinstance(content, dict):
        return False
    fields = cast("JsonObject", content)
    properties = cast("Mapping[str, JsonObject]", schema.get("properties") or {})
    required = cast("Sequence[str]", schema.get("required") or ())
    if not all(name in fields for name in required):
        return False
    return all(_fits(value, properties[name]) for name, value in fields.items() if name in properties)


def _fits(value: object, field: Mapping[str, object]) -> bool:
    kind = field.get("type")
    if kind in _TYPES and type(value) not in _TYPES[kind]:
        return False
    choices = field.get("enum") or _constants(field.get("oneOf") or field.get("anyOf"))
    if choices and value not in cast("Sequence[object]", choices):
        return False
    if isinstance(value, list):
        items = cast("Mapping[str, object]", field.get("items") or {})
        chosen = cast("list[object]", value)
        return _within(len(chosen), field, "Items") and all(_fits(each, items) for each in chosen)
    if isinstance(value, str):
        return _within(len(value), field, "Length")
    return not isinstance(value, int | float) or _within(value, field, "imum")


def _constants(choices: object) -> list[object]:
    """The values of `[{"const": …, "title": …}, …]`."""
    return [choice.get("const") for choice in cast("list[JsonObject]", choices)] if isinstance(choices, list) else []


def _within(size: float, field: Mapping[str, object], of: str) -> bool:
    least, most = field.get(f"min{of}"), field.get(f"max{of}")
    return not (isinstance(least, int | float) and size < least) and not (isinstance(most, int | float) and size > most)
