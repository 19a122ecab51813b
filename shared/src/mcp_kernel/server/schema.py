"""Signatures to JSON Schema (2020-12) and compiled validators: the only module that knows pydantic.

Everything here is done once, when a handler is registered; what runs for each call is pydantic-core's validator.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Final, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import from_json

from mcp_kernel.errors import InvalidArguments
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server import docstrings
from mcp_kernel.server.complaints import explain


class _Titleless(GenerateJsonSchema):
    """JSON Schema without the titles that pydantic derives from names: a model reads the names already."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def dataclass_schema(self, schema: typing.Any) -> dict[str, typing.Any]:
        return _without_title(super().dataclass_schema(schema))

    def model_schema(self, schema: typing.Any) -> dict[str, typing.Any]:
        return _without_title(super().model_schema(schema))

    def typed_dict_schema(self, schema: typing.Any) -> dict[str, typing.Any]:
        return _without_title(super().typed_dict_schema(schema))

    def enum_schema(self, schema: typing.Any) -> dict[str, typing.Any]:
        return _without_title(super().enum_schema(schema))


def _without_title(schema: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {name: value for name, value in schema.items() if name != "title"}


class Arguments:
    """The input side of a handler: its schema, and the way from a client's arguments to keyword arguments.

    `context` is the name of the parameter annotated with `Context`, which the client never sees, or None.
    """

    __slots__ = ("_fields", "_validate", "context", "schema")

    def __init__(self, function: Callable[..., object], context_type: type) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        self.context: str | None = None
        fields: list[tuple[str, object, object]] = []
        open_ended = False
        for parameter in signature.parameters.values():
            annotation = hints.get(parameter.name, object)
            if _is_context(annotation, context_type):
                self.context = parameter.name
            elif parameter.kind is parameter.VAR_KEYWORD:
                open_ended = True
            elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise TypeError(f"{function.__qualname__}: {parameter.name} cannot be passed by name")
            else:
                fields.append((parameter.name, annotation, _default(parameter)))
        adapter = _adapter_of_fields(function, fields, open_ended)
        self._validate = adapter.validator.validate_python
        self.schema = _describe_arguments(adapter, docstrings.read(function).arguments)
        self._fields = cast("dict[str, JsonObject]", self.schema.get("properties", {}))

    def parse(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """Return keyword arguments; raises `InvalidArguments` with one line for each field that does not fit.

        A list or an object that came as a JSON string is decoded only where the schema wants one and the value
        failed as it stood; a `str` parameter is never touched.
        """
        try:
            return cast("dict[str, object]", vars(self._validate(arguments)))
        except ValidationError as error:
            decoded = self._decode_strings(arguments, error)
            if decoded is None:
                raise InvalidArguments(explain(error.errors(include_url=False), self.schema)) from None
        try:
            return cast("dict[str, object]", vars(self._validate(decoded)))
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


def _is_context(annotation: object, context_type: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, context_type)


def _default(parameter: inspect.Parameter) -> object:
    """A dataclass field for a parameter; a mutable default is copied for each call."""
    if parameter.default is parameter.empty:
        return dataclasses.field()
    default = cast("object", parameter.default)
    if isinstance(default, list | dict | set):
        default = cast("object", default)
        return dataclasses.field(default_factory=lambda: copy.copy(default))
    return dataclasses.field(default=default)


def _adapter_of_fields(
    function: Callable[..., object], fields: list[tuple[str, object, object]], open_ended: bool
) -> TypeAdapter[object]:
    # A dataclass and not a model: a model cannot have a field called "schema" or "copy".
    made = dataclasses.make_dataclass("Arguments", cast("list[tuple[str, type]]", fields), kw_only=True)
    made.__pydantic_config__ = ConfigDict(extra="allow" if open_ended else "forbid")  # pyright: ignore[reportAttributeAccessIssue]  # pydantic's own way to configure a plain dataclass
    try:
        return TypeAdapter(made)
    except PydanticUserError as error:
        raise TypeError(f"{function.__qualname__}: {error.message}") from None


def _describe_arguments(adapter: TypeAdapter[object], documented: Mapping[str, str]) -> JsonObject:
    schema = adapter.json_schema(schema_generator=_Titleless)
    schema.setdefault("properties", {})
    for name, described in cast("dict[str, JsonObject]", schema["properties"]).items():
        _drop_null(described)
        if name in documented:
            described.setdefault("description", documented[name])
    return schema


def _drop_null(described: JsonObject) -> None:
    """Show `X | None = None` as an X that may be left out: shorter for a model, and null is still accepted."""
    choices = described.get("anyOf")
    if described.get("default", ...) is not None or not isinstance(choices, list):
        return
    others = [choice for choice in cast("list[JsonObject]", choices) if choice != {"type": "null"}]
    del described["default"]
    if len(others) == 1:
        del described["anyOf"]
        described.update({name: value for name, value in others[0].items() if name not in described})
    else:
        described["anyOf"] = others


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


class Output:
    """The output side of a handler: the schema of its structured result and the encoder for it."""

    __slots__ = ("_adapter", "schema")

    def __init__(self, annotation: object, where: str) -> None:
        try:
            self._adapter: TypeAdapter[object] = TypeAdapter(cast("type[object]", annotation))
        except PydanticUserError as error:
            raise TypeError(f"{where}: {error.message}") from None
        self.schema: JsonObject = self._adapter.json_schema(mode="serialization", schema_generator=_Titleless)

    def to_value(self, value: object) -> object:
        """Turn a result into plain JSON values (dates to ISO 8601 text, enums to their values, …)."""
        return self._adapter.serializer.to_python(value, mode="json", warnings="error")

    def to_json(self, value: object) -> bytes:
        """Encode a result as JSON; what is NaN or infinite becomes null."""
        return self._adapter.serializer.to_json(value, warnings="error")


class Form:
    """A model of the answer to a question: flat primitives, as forms are (client/elicitation, "Requested Schema")."""

    __slots__ = ("_adapter", "schema")

    def __init__(self, model: type) -> None:
        self._adapter: TypeAdapter[object] = TypeAdapter(model)
        self.schema = flatten(self._adapter.json_schema(schema_generator=_Titleless))

    def parse(self, content: object) -> object:
        """Return an instance of the model; raises `ValueError` that tells which fields do not fit."""
        try:
            return self._adapter.validate_python(content)
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
