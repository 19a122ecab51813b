"""The arguments of a call as a person writes them: `key=value` by the tool's schema, `key:=json` as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from mcp_kernel.console.terminal import Misuse

Schema = Mapping[str, object]

_DEPTH: Final = 8  # of schemas within a schema, and of references
_TYPE_OF: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Written:
    """One argument of the command line: `json` says that its value is JSON, whatever the schema wants."""

    key: str
    value: str
    json: bool


def split_words(words: Sequence[str]) -> list[Written]:
    """Read `key=value` and `key:=json`; raises `Misuse`."""
    written: list[Written] = []
    for word in words:
        key, equals, value = word.partition("=")
        is_json = key.endswith(":")
        key = key.removesuffix(":") if is_json else key
        if not equals or not key:
            raise Misuse(f"the argument {word!r} is written key=value, or key:=JSON")
        if any(other.key == key for other in written):
            raise Misuse(f"{key} is given twice; several values are written as JSON: {key}:='[1, 2]'")
        written.append(Written(key, value, is_json))
        if is_json:
            _parse(key, value)
    return written


def read_object(text: str) -> dict[str, object]:
    """Read the JSON of `--arguments`; raises `Misuse`."""
    value = _parse("--arguments", text)
    if not isinstance(value, dict):
        raise Misuse('--arguments takes a JSON object, as \'{"query": "x"}\'')
    return cast("dict[str, object]", value)


def fill_in(schema: Schema, written: Sequence[Written]) -> dict[str, object]:
    """The values of what is written, as the tool's schema has them; raises `Misuse`."""
    properties = schema.get("properties")
    known = cast("Schema", properties) if isinstance(properties, dict) else dict[str, object]()
    return {each.key: _value(each, _types(known.get(each.key), schema)) for each in written}


def _value(written: Written, types: set[str]) -> object:
    if written.json:
        return _parse(written.key, written.value)
    if "string" in types:
        return written.value
    try:
        return json.loads(written.value)
    except ValueError:
        if not types:
            return written.value  # the schema does not say, so that a word is a text
    wanted = " or ".join(sorted(types))
    raise Misuse(f"{written.key} takes a value of the type {wanted}, as JSON, and {written.value!r} is none")


def _types(schema: object, root: Schema, depth: int = 0) -> set[str]:
    """The types that a schema allows; none where it does not say."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return set()
    fields = cast("Schema", schema)
    reference = fields.get("$ref")
    if isinstance(reference, str):
        return _types(_follow(reference, root), root, depth + 1)
    named = fields.get("type")
    if isinstance(named, str):
        return {named}
    if isinstance(named, list):
        return {str(each) for each in cast("list[object]", named)}
    found = {_TYPE_OF.get(type(each), "object") for each in _values(fields)}
    for word in ("anyOf", "oneOf", "allOf"):
        branches = fields.get(word)
        for branch in cast("list[object]", branches) if isinstance(branches, list) else []:
            found |= _types(branch, root, depth + 1)
    return found


def _values(schema: Schema) -> list[object]:
    """The values that a schema names."""
    named = schema.get("enum")
    values = cast("list[object]", named) if isinstance(named, list) else []
    return [*values, schema["const"]] if "const" in schema else values


def _follow(reference: str, root: Schema) -> object:
    """What a reference within the schema points to; one that leaves it is not followed."""
    if not reference.startswith("#/"):
        return None
    place: object = root
    for step in reference[2:].split("/"):
        if not isinstance(place, dict):
            return None
        place = cast("Schema", place).get(step.replace("~1", "/").replace("~0", "~"))
    return place


def _parse(name: str, text: str) -> object:
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Misuse(f"the value of {name} is no JSON: {error}") from None
