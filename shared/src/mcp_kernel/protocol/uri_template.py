"""RFC 6570 URI templates, read in both directions.

`expand` is the RFC, levels 1 to 4. `match` is its reverse, which the RFC leaves open; these are its rules:

- `{id}` takes one character or more and never `/`, `?` or `#`; `{+path}` takes any. `{/a}`, `{.a}`, `{#a}`,
  `{;a}`, `{?a,b}` and `{&a}` may be absent, and the names of the last three come in any order.
- Where a URI can be read in several ways, the reading that binds the most variables wins, and among those the
  one in which earlier variables are longer. A value with a name runs as far as it may.
- An octet sent percent-encoded is data, never a delimiter; it is decoded once.
- Prefix (`:3`) and explode (`*`) cannot be reversed into one string: `unmatchable` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcp_kernel.protocol.uri_reading import TRIPLETS, UNRESERVED, Gap, Literal, Pairs, Step, read, shape_of

Value = str | Sequence[str] | Mapping[str, str]

LONGEST_URI = 16_384
"""A longer URI matches no template: the limit bounds the work that one request can ask for."""

VARIABLE = "\ufdd0"
"""Stands for an expression in `UriTemplate.outline`: no character that a URI has."""

_RESERVED = frozenset(":/?#[]@!$&'()*+,;=")
_VARCHAR = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+"
_VARIABLE = re.compile(rf"({_VARCHAR}(?:\.{_VARCHAR})*)(:[1-9][0-9]{{0,3}}|\*)?")
_FORBIDDEN_LITERAL = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}\ud800-\udfff]|%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class _Operator:
    """One column of the table in RFC 6570, appendix A; and what ends a value when matching."""

    first: str
    separator: str
    named: bool
    when_empty: str
    reserved: bool
    excluded: str


_OPERATORS = {
    "": _Operator("", ",", named=False, when_empty="", reserved=False, excluded="/?#"),
    "+": _Operator("", ",", named=False, when_empty="", reserved=True, excluded=""),
    "#": _Operator("#", ",", named=False, when_empty="", reserved=True, excluded=""),
    ".": _Operator(".", ".", named=False, when_empty="", reserved=False, excluded="/?#"),
    "/": _Operator("/", "/", named=False, when_empty="", reserved=False, excluded="/?#"),
    ";": _Operator(";", ";", named=True, when_empty="", reserved=False, excluded=";/?#"),
    "?": _Operator("?", "&", named=True, when_empty="=", reserved=False, excluded="&#"),
    "&": _Operator("&", "&", named=True, when_empty="=", reserved=False, excluded="&#"),
}


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    length: int | None
    explode: bool


@dataclass(frozen=True, slots=True)
class _Expression:
    source: str
    operator: _Operator
    variables: tuple[_Variable, ...]


class UriTemplate:
    """A template, checked once: an invalid one raises ValueError, which names the place."""

    __slots__ = ("_parts", "_steps", "specificity", "template", "unmatchable", "variables")

    def __init__(self, template: str) -> None:
        self.template = template
        self._parts = tuple(_parse(template))
        expressions = [part for part in self._parts if isinstance(part, _Expression)]
        names = [variable.name for expression in expressions for variable in expression.variables]
        self.variables: tuple[str, ...] = tuple(dict.fromkeys(names))
        self.unmatchable = next(filter(None, map(_obstacle, self._parts)), _clash(expressions))
        """Why `match` refuses this template, or None."""
        self._steps: tuple[Step, ...] = () if self.unmatchable else tuple(_compile(self._parts))
        literals = [part for part in self._parts if isinstance(part, str)]
        prefix = literals[0] if literals and isinstance(self._parts[0], str) else ""
        wild = sum(expression.operator.reserved for expression in expressions)
        self.specificity = (not expressions, len(prefix), sum(map(len, literals)), -wild, -len(names))
        """Sorts templates that could answer the same URI: the greatest knows most of it."""

    def __repr__(self) -> str:
        return f"UriTemplate({self.template!r})"

    @property
    def outline(self) -> str:
        """The template with `VARIABLE` in the place of each expression."""
        return "".join(part if isinstance(part, str) else VARIABLE for part in self._parts)

    def expand(self, values: Mapping[str, Value]) -> str:
        """A name without a value, or with an empty list, leaves nothing behind, not even its separator."""
        return "".join(
            _encode_reserved(part) if isinstance(part, str) else _expand(part, values) for part in self._parts
        )

    def match(self, uri: str) -> dict[str, str] | None:
        """The decoded values that expand to this URI (absent ones are left out), or None when there are none.

        Raises:
            ValueError: The template can only be expanded (see `unmatchable`).
        """
        if self.unmatchable is not None:
            raise ValueError(f"URI template {self.template!r}: {self.unmatchable}")
        shape = shape_of(uri) if len(uri) <= LONGEST_URI else None
        return None if shape is None else read(self._steps, shape)


# --- reading a template ---


def _parse(template: str) -> Iterator[str | _Expression]:
    position = 0
    while position < len(template):
        start = template.find("{", position)
        literal = template[position : len(template) if start < 0 else start]
        if bad := _FORBIDDEN_LITERAL.search(literal):
            raise _invalid(template, position + bad.start(), f"{bad.group()!r} must be percent-encoded")
        if literal:
            yield literal
        if start < 0:
            return
        end = template.find("}", start)
        if end < 0:
            raise _invalid(template, start, "the expression is not closed")
        yield _parse_expression(template, start, end)
        position = end + 1


def _parse_expression(template: str, start: int, end: int) -> _Expression:
    sign = template[start + 1] if template[start + 1] in "+#./;?&" else ""
    variables: list[_Variable] = []
    position = start + 1 + len(sign)
    for spec in template[position:end].split(","):
        parsed = _VARIABLE.fullmatch(spec)
        if parsed is None:
            raise _invalid(template, position, f"{spec!r} is not a variable")
        name, modifier = parsed.group(1), parsed.group(2) or ""
        length = int(modifier[1:]) if modifier.startswith(":") else None
        variables.append(_Variable(name, length, explode=modifier == "*"))
        position += len(spec) + 1
    return _Expression(template[start : end + 1], _OPERATORS[sign], tuple(variables))


def _invalid(template: str, position: int, reason: str) -> ValueError:
    return ValueError(f"invalid URI template {template!r}: at position {position}, {reason}")


# --- expanding ---


def _expand(expression: _Expression, values: Mapping[str, Value]) -> str:
    operator = expression.operator
    items = [
        item
        for variable in expression.variables
        if (value := values.get(variable.name)) is not None
        for item in _expand_variable(variable, value, operator)
    ]
    return operator.first + operator.separator.join(items) if items else ""


def _expand_variable(variable: _Variable, value: Value, operator: _Operator) -> list[str]:
    def label(text: str) -> str:
        encoded = _encode(text, operator)
        return _pair(variable.name, encoded, operator.when_empty) if operator.named else encoded

    if isinstance(value, str):
        return [label(value[: variable.length])]
    if variable.length is not None:
        raise ValueError(f"{variable.name}:{variable.length} cuts a string, not a list or a mapping")
    if isinstance(value, Mapping):
        if variable.explode:
            when_empty = operator.when_empty if operator.named else "="
            return [_pair(_encode(k, operator), _encode(v, operator), when_empty) for k, v in value.items()]
        items = [text for pair in value.items() for text in pair]
    else:
        if variable.explode:
            return [label(item) for item in value]
        items = list(value)
    if not items:
        return []
    joined = ",".join(_encode(item, operator) for item in items)
    return [_pair(variable.name, joined, operator.when_empty) if operator.named else joined]


def _pair(name: str, encoded: str, when_empty: str) -> str:
    return name + (f"={encoded}" if encoded else when_empty)


def _encode(text: str, operator: _Operator) -> str:
    return _encode_reserved(text) if operator.reserved else _encode_all(text, UNRESERVED)


def _encode_reserved(text: str) -> str:
    """Reserved characters stay, and so does what is percent-encoded already."""
    # Splitting with one group gives text and triplets in turn.
    pieces = TRIPLETS.split(text)
    pieces[::2] = [_encode_all(piece, UNRESERVED | _RESERVED) for piece in pieces[::2]]
    return "".join(pieces)


def _encode_all(text: str, kept: frozenset[str]) -> str:
    return "".join(c if c in kept else "".join(f"%{octet:02X}" for octet in c.encode()) for c in text)


# --- matching ---


def _obstacle(part: str | _Expression) -> str | None:
    if isinstance(part, str):
        return f"{part!r} does not encode UTF-8" if shape_of(part) is None else None
    for variable in part.variables:
        if variable.explode or variable.length is not None:
            modifier = "list" if variable.explode else "prefix"
            return f"{part.source} cannot be matched, {variable.name} has the {modifier} modifier"
    return None


def _clash(expressions: Sequence[_Expression]) -> str | None:
    """A variable that may be absent cannot occur twice: one place could be read as absent and the other not."""
    names = [variable.name for expression in expressions for variable in expression.variables]
    for expression in expressions:
        for variable in expression.variables:
            if expression.operator.first and names.count(variable.name) > 1:
                return f"{variable.name} occurs twice, once where it may be absent"
    return None


def _compile(parts: Sequence[str | _Expression]) -> list[Step]:
    steps: list[Step] = []
    for part in parts:
        if isinstance(part, str):
            steps.append(Literal(shape_of(part) or ""))
        elif part.operator.named:
            steps.append(_pairs(part))
        else:
            steps.extend(_gaps(part, after=len(steps) + len(part.variables)))
    return steps


def _pairs(expression: _Expression) -> Pairs:
    operator = expression.operator
    names = tuple((variable.name, shape_of(variable.name) or "") for variable in expression.variables)
    return Pairs(operator.first, operator.separator, operator.excluded, names)


def _gaps(expression: _Expression, after: int) -> Iterator[Gap]:
    operator = expression.operator
    # Simple values in a list are told apart by commas, since a comma in a value is encoded.
    listed = operator is _OPERATORS[""] and len(expression.variables) > 1
    opener = operator.first
    for variable in expression.variables:
        yield Gap(variable.name, opener, operator.excluded + ("," if listed else ""), after)
        opener = operator.separator
