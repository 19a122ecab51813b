"""What a model is told of arguments that do not fit: one line for each field, with the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes

_ARTICLES: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SHOWN: Final = 60  # characters of a value that came; enough to recognise it

Problem: TypeAlias = Mapping[str, object]


def explain(problems: Iterable[Problem], schema: JsonObject) -> str:
    """Write one line for each field: what was expected, what came, allowed values, the nearest name.

    `problems` are pydantic's error details (type, loc, msg, input); `schema` is the schema of all arguments.
    """
    properties = cast("dict[str, JsonObject]", schema.get("properties", {}))
    definitions = cast("dict[str, JsonObject]", schema.get("$defs", {}))
    lines: dict[str, str] = {}
    for problem in problems:
        path = cast("tuple[int | str, ...]", problem["loc"])
        name = str(path[0]) if path else "arguments"
        described = _resolve(properties.get(name, {}), definitions)
        lines.setdefault(".".join(str(step) for step in path[:1]), _line(name, path, problem, described, properties))
    return "Invalid arguments:\n" + "\n".join(f"- {line}" for line in lines.values())


def _line(
    name: str,
    path: Sequence[int | str],
    problem: Problem,
    described: JsonObject,
    properties: Mapping[str, JsonObject],
) -> str:
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = ", ".join(properties) or "none"
        return f"{name}: there is no such argument{_nearest(name, properties) or '.'} Known: {known}"
    wanted = describe(described)
    if problem["type"] in ("missing", "missing_argument", "missing_keyword_only_argument") and len(path) == 1:
        note = described.get("description")
        return f"{name}: required, {wanted}" + (f" ({note})" if note else "")
    value = problem["input"]
    if len(path) > 1 and not (len(path) == 2 and _is_choice_of_scalars(described)):  # path[1] only says which of them
        where = ".".join(str(step) for step in path)
        return f"{where}: {_lower_first(str(problem['msg']))}, got {_show(value)}"
    return f"{name}: expected {wanted}, got {_show(value)}{_closest_choice(value, described)}"


def _is_choice_of_scalars(described: JsonObject) -> bool:
    """Tell whether a schema takes one of several types, none of which has parts."""
    choices = described.get("anyOf")
    kinds = [each.get("type") for each in cast("list[JsonObject]", choices)] if isinstance(choices, list) else []
    return bool(kinds) and set(kinds) <= {"string", "integer", "number", "boolean", "null"}


def describe(schema: JsonObject) -> str:
    """Say in words what a schema takes: its type, its range, its allowed values."""
    choices = schema.get("enum")
    if isinstance(choices, list):
        return "one of " + ", ".join(_show(choice) for choice in cast("list[object]", choices))
    if "const" in schema:
        return _show(schema["const"])
    alternatives = schema.get("anyOf")
    if isinstance(alternatives, list):
        return " or ".join(describe(each) for each in cast("list[JsonObject]", alternatives))
    kind = schema.get("type")
    noun = _ARTICLES.get(kind, "a value") if isinstance(kind, str) else "a value"
    return noun + _describe_bounds(schema)


def _describe_bounds(schema: JsonObject) -> str:
    words: list[str] = []
    for keyword, word in (("minimum", "at least"), ("maximum", "at most")):
        if keyword in schema:
            words.append(f"{word} {schema[keyword]}")
    for keyword, word in (("exclusiveMinimum", "greater than"), ("exclusiveMaximum", "less than")):
        if keyword in schema:
            words.append(f"{word} {schema[keyword]}")
    for keyword, word in (("minLength", "at least"), ("maxLength", "at most")):
        if keyword in schema:
            words.append(f"{word} {schema[keyword]} characters")
    for keyword, word in (("minItems", "at least"), ("maxItems", "at most")):
        if keyword in schema:
            words.append(f"{word} {schema[keyword]} items")
    if "pattern" in schema:
        words.append(f"matching {schema['pattern']}")
    return " (" + ", ".join(words) + ")" if words else ""


def _resolve(schema: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return {**definitions.get(reference.rpartition("/")[2], {}), **schema}


def _nearest(name: str, known: Iterable[str]) -> str:
    match = nearest(name, known)
    return f"; did you mean {match}?" if match else ""


def _closest_choice(value: object, schema: JsonObject) -> str:
    choices = schema.get("enum")
    if not isinstance(value, str) or not isinstance(choices, list):
        return ""
    return _nearest(value, [str(choice) for choice in cast("list[object]", choices)])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a mistyped one most likely meant, or None."""
    import difflib  # only for a mistake, so no start pays for it

    folded = {each.lower(): each for each in known}
    matches = difflib.get_close_matches(name.lower(), folded, n=1)
    return folded[matches[0]] if matches else None


def _show(value: object) -> str:
    try:
        text = to_bytes(value).decode()
    except (ValueError, TypeError):
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
