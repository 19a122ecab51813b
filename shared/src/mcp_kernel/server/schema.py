"""Signatures to JSON Schema (2020-12) and compiled validators: the only module that knows pydantic.

Everything here is done once, when a handler is registered; what runs for each call is pydantic-core's validator.
pydantic itself is imported when a hint needs it (a model, a `Field`, a date, …); `hints` knows the common ones.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Final, cast

from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator, ValidationError, core_schema, from_json

from mcp_kernel.errors import InvalidArguments
from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes
from mcp_kernel.server import docstrings
from mcp_kernel.server.complaints import explain
from mcp_kernel.server.hints import Described, Hints, with_default


class Arguments:
    """The input side of a handler: its schema, and the way from a client's arguments to keyword arguments.

    `context` is the name of the parameter annotated with `Context`, which the client never sees, or None.
    """

    __slots__ = ("_fields", "_validate", "context", "schema")

    def __init__(self, function: Callable[..., object], context_type: type) -> None:
        annotations = typing.get_type_hints(function, include_extras=True)
        documented = docstrings.read(function).arguments
        hints = Hints(ask_pydantic)
        self.context: str | None = None
        self._fields: dict[str, JsonObject] = {}
        fields: dict[str, core_schema.TypedDictField] = {}
        open_ended = False
        for parameter in inspect.signature(function).parameters.values():
            annotation = annotations.get(parameter.name, object)
            if isinstance(annotation, type) and issubclass(annotation, context_type):
                self.context = parameter.name
            elif parameter.kind is parameter.VAR_KEYWORD:
                open_ended = True
            elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise TypeError(f"{function.__qualname__}: {parameter.name} cannot be passed by name")
            else:
                try:
                    described = _describe_parameter(parameter, annotation, hints)
                except TypeError as error:
                    raise TypeError(f"{function.__qualname__}, its {parameter.name}: {error}") from None
                required = described.core["type"] != "default"
                fields[parameter.name] = core_schema.typed_dict_field(described.core, required=required)
                self._fields[parameter.name] = _show(described.json, documented.get(parameter.name))
        extra = "allow" if open_ended else "forbid"
        core = hints.close(core_schema.typed_dict_schema(fields, extra_behavior=extra))
        self._validate = SchemaValidator(core).validate_python
        required_names = [name for name, field in fields.items() if field.get("required")]
        self.schema = _object_schema(self._fields, required_names, open_ended, hints.definitions)

    def parse(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """Return keyword arguments; raises `InvalidArguments` with one line for each field that does not fit.

        A list or an object that came as a JSON string is decoded only where the schema wants one and the value
        failed as it stood; a `str` parameter is never touched.
        """
        try:
            return self._validate(arguments)
        except ValidationError as error:
            decoded = self._decode_strings(arguments, error)
            if decoded is None:
                raise InvalidArguments(explain(error.errors(include_url=False), self.schema)) from None
        try:
            return self._validate(decoded)
        except ValidationError as error:
            raise InvalidArguments(explain(error.errors(include_url=False), self.schema)) from None

    def _decode_strings(self, arguments: Mapping[str, object], error: ValidationError) -> dict[str, object] | None:
        decoded: dict[str, object] = {}
        for problem in error.errors(include_url=False, include_context=False):
            name = problem["loc"][0] if problem["loc"] else None
            value = arguments.get(name) if isinstance(name, str) else None
            if isinstance(value, str) and _wants_structure(self._fields.get(str(name), {}), self.schema):
                try:
                    decoded[str(name)] = from_json(value)
                except ValueError:
                    return None
        return {**arguments, **decoded} if decoded else None


def _describe_parameter(parameter: inspect.Parameter, annotation: object, hints: Hints) -> Described:
    """Describe a parameter with its default; a default that is a pydantic `Field` belongs to the annotation."""
    default = cast("object", parameter.default)
    if type(default).__name__ == "FieldInfo":
        return hints.describe(typing.Annotated[annotation, default])  # pyright: ignore[reportInvalidTypeForm]  # made at run time
    described = hints.describe(annotation)
    return described if default is parameter.empty else with_default(described, default)


def _show(described: JsonObject, documented: str | None) -> JsonObject:
    """The schema of one argument as a model reads it: the docstring's line, and no null for what may be left out."""
    described = dict(described)
    choices = described.get("anyOf")
    if described.get("default", ...) is None:
        del described["default"]
        if isinstance(choices, list):
            others = [choice for choice in cast("list[JsonObject]", choices) if choice != {"type": "null"}]
            del described["anyOf"]
            described.update(others[0] if len(others) == 1 else {"anyOf": others})
    if documented is not None:
        described.setdefault("description", documented)
    return described


def _object_schema(
    properties: dict[str, JsonObject], required: list[str], open_ended: bool, definitions: dict[str, JsonObject]
) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = open_ended
    if definitions:
        schema["$defs"] = definitions
    return schema


def ask_pydantic(hint: object) -> tuple[CoreSchema, JsonObject, dict[str, JsonObject]]:
    """Describe a type that only pydantic knows; raises `TypeError` for one that even pydantic does not."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class Titleless(GenerateJsonSchema):
        """JSON Schema without the titles that pydantic derives from names: a model reads the names already."""

        def field_title_should_be_set(self, schema: object) -> bool:
            return False

    try:
        adapter: TypeAdapter[object] = TypeAdapter(cast("type[object]", hint))
        schema = adapter.json_schema(schema_generator=Titleless)
    except PydanticUserError as error:
        raise TypeError(error.message) from None
    definitions: dict[str, JsonObject] = schema.pop("$defs", {})
    for described in (schema, *definitions.values()):
        if described.get("title") in (getattr(hint, "__name__", ""), *definitions):
            del described["title"]
    return adapter.core_schema, schema, definitions


def _wants_structure(described: JsonObject, root: JsonObject) -> bool:
    """Tell whether a schema takes an array or an object, and no string."""
    reference = described.get("$ref")
    if isinstance(reference, str):
        definitions = cast("dict[str, JsonObject]", root.get("$defs", {}))
        described = definitions.get(reference.rpartition("/")[2], {})
    choices = described.get("anyOf")
    if isinstance(choices, list):
        kinds = [_wants_structure(choice, root) for choice in cast("list[JsonObject]", choices)]
        texts = any(choice.get("type") == "string" for choice in cast("list[JsonObject]", choices))
        return any(kinds) and not texts
    return described.get("type") in ("array", "object")


def _compile(hint: object) -> tuple[CoreSchema, JsonObject]:
    """Describe a type by itself: a root without a reference, its definitions beside it."""
    hints = Hints(ask_pydantic)
    described = hints.describe(hint)
    schema = described.json
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in hints.uses:
        schema = dict(hints.definitions[name])
        if hints.uses[name] == 1:  # a type that does not refer to itself needs no definition beside the root
            del hints.definitions[name]
    if hints.definitions:
        schema = {**schema, "$defs": hints.definitions}
    return hints.close(described.core), schema


class Output:
    """The output side of a handler: the schema of its structured result and the encoder for it."""

    __slots__ = ("_serializer", "schema")

    def __init__(self, annotation: object, where: str) -> None:
        try:
            core, self.schema = _compile(annotation)
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from None
        self._serializer = SchemaSerializer(core)

    def to_value(self, value: object) -> object:
        """Turn a result into plain JSON values (dates to ISO 8601 text, enums to their values, …)."""
        return self._serializer.to_python(value, mode="json", warnings="error")

    def to_json(self, value: object) -> bytes:
        """Encode a result as JSON; what is NaN or infinite becomes null."""
        return self._serializer.to_json(value, warnings="error")


class Form:
    """A model of the answer to a question: flat primitives, as forms are (client/elicitation, "Requested Schema")."""

    __slots__ = ("_validator", "schema")

    def __init__(self, model: type) -> None:
        core, schema = _compile(model)
        self._validator = SchemaValidator(core)
        self.schema = flatten(schema)

    def parse(self, content: object) -> object:
        """Return an instance of the model; raises `ValueError` that tells which fields do not fit."""
        try:
            # As JSON and strictly: "yes" is no answer to a checkbox, while the text "red" is one to an enum.
            return self._validator.validate_json(to_bytes(content), strict=True)
        except ValidationError as error:
            raise ValueError(explain(error.errors(include_url=False), self.schema)) from None


_FORM_KEYWORDS: Final = frozenset(
    {"type", "title", "description", "default", "enum", "enumNames", "oneOf", "items", "format"}
    | {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"}
)


def flatten(schema: JsonObject) -> JsonObject:
    """Bring the schema of a model down to what a form may have; raises `TypeError` for a nested model."""
    definitions = cast("dict[str, JsonObject]", schema.get("$defs", {}))
    properties = cast("dict[str, JsonObject]", schema.get("properties", {}))
    flat = {name: _flatten_field(name, field, definitions) for name, field in properties.items()}
    form: JsonObject = {"type": "object", "properties": flat}
    if schema.get("required"):
        form["required"] = schema["required"]
    return form


def _flatten_field(name: str, field: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    field = dict(field)
    choices = field.pop("anyOf", None)
    if isinstance(choices, list):  # X | None: a field that may be left out
        others = [choice for choice in cast("list[JsonObject]", choices) if choice != {"type": "null"}]
        if len(others) != 1:
            raise TypeError(f"A form cannot have a choice of types: {name}")
        field = {**others[0], **field}
    if "$ref" in field:
        field = {**definitions[str(field.pop("$ref")).rpartition("/")[2]], **field}
    if "const" in field and "enum" not in field and "oneOf" not in field:
        field["enum"] = [field.pop("const")]
        field.setdefault("type", "string")
    if field.get("default", ...) is None:
        del field["default"]
    if isinstance(field.get("items"), dict):
        field["items"] = _flatten_items(cast("JsonObject", field["items"]), definitions)
    if field.get("type") not in ("string", "number", "integer", "boolean", "array"):
        raise TypeError(f"A form holds strings, numbers, booleans and choices; {name} is none of them")
    if field["type"] == "number":
        field.pop("exclusiveMinimum", None)
    return {keyword: value for keyword, value in field.items() if keyword in _FORM_KEYWORDS}


def _flatten_items(items: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    if "$ref" in items:
        items = definitions[str(items["$ref"]).rpartition("/")[2]]
    if "const" in items:
        items = {"type": "string", "enum": [items["const"]]}
    if "enum" not in items and "anyOf" not in items:
        raise TypeError("A form's list is a choice from an enum")
    return {keyword: value for keyword, value in items.items() if keyword in ("type", "enum", "anyOf")}
