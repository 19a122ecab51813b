"""Our own form of the keywords of JSON Schema that could take for ever on a hostile schema or value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from mcp_kernel.client.patterns import Patterns

if TYPE_CHECKING:
    from jsonschema import ValidationError

    Errors: TypeAlias = Iterable[ValidationError]
    # A keyword of the package: called with its validator, its own value, the instance and the schema around it.
    Keyword: TypeAlias = Callable[["Judge", Any, Any, Mapping[str, Any]], Errors | None]


class Judge(Protocol):
    """What is used of a validator of the package, whose own annotations are loose."""

    def iter_errors(self, instance: object) -> Iterator[ValidationError]: ...
    def descend(
        self, instance: object, schema: object, path: object = None, schema_path: object = None
    ) -> Iterator[ValidationError]: ...
    def is_type(self, instance: object, type: str) -> bool: ...


class Keywords:
    """The keywords of one schema: patterns take linear time, and equal items are found by hash."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns

    def table(self) -> dict[str, Keyword]:
        """By their names in every dialect."""
        return {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "uniqueItems": self._unique_items,
        }

    def _pattern(self, judge: Judge, value: str, instance: Any, _: object) -> Errors:
        if judge.is_type(instance, "string") and self._patterns.matches(value, instance) is False:
            yield _error(f"{instance!r} does not match {value!r}")

    def _pattern_properties(self, judge: Judge, value: Mapping[str, object], instance: Any, _: object) -> Errors:
        if not judge.is_type(instance, "object"):
            return
        for expression, schema in value.items():
            for key in instance:
                if self._patterns.matches(expression, key):
                    yield from judge.descend(instance[key], schema, path=key, schema_path=expression)

    def _additional_properties(self, judge: Judge, value: object, instance: Any, schema: Mapping[str, Any]) -> Errors:
        if not judge.is_type(instance, "object"):
            return
        known, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
        for key in instance:
            if key in known or any(self._patterns.matches(each, key) is not False for each in expressions):
                continue
            if value is False:
                yield _error(f"the property {key!r} is not allowed")
            else:
                yield from judge.descend(instance[key], value, path=key)

    def _unique_items(self, judge: Judge, value: object, instance: Any, _: object) -> Errors:
        if value and judge.is_type(instance, "array") and len({_identity(i) for i in instance}) < len(instance):
            yield _error("the items are not all different")


def _identity(value: object) -> object:
    """A key that is equal for values that JSON calls equal: 1 is 1.0 and is not true."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return frozenset((key, _identity(member)) for key, member in members.items())
    if isinstance(value, list | tuple):
        return tuple(_identity(item) for item in cast("list[object]", value))
    return (bool, value) if isinstance(value, bool) else value


def _error(message: str) -> ValidationError:
    from jsonschema import ValidationError

    return ValidationError(message)
