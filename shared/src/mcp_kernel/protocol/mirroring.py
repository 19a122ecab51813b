"""`Mcp-*` headers: what a stateless request repeats of its body, so that intermediaries can route without reading it.

A server that reads the body must hold both against each other, or the two could be made to say different things
(basic/transports/streamable-http, "Server Validation").
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from typing import Final, cast

from mcp_kernel.errors import HEADER_MISMATCH, ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject, Request

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
PARAMETER_PREFIX: Final = "mcp-param-"
ANNOTATION: Final = "x-mcp-header"

# The member of params that Mcp-Name repeats, by method.
_NAMED_BY: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_PREFIX: Final = "=?base64?"
_SUFFIX: Final = "?="
_DIGITS: Final = re.compile(r"-?[0-9]+")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def encode(value: str) -> str:
    """Write a text as a header's value: as it is where that is safe, in the base64 form where it is not."""
    plain = all(" " <= character <= "~" or character == "\t" for character in value)
    ambiguous = value.startswith(_PREFIX) and value.endswith(_SUFFIX)
    if plain and not ambiguous and value == value.strip(" \t"):
        return value
    return f"{_PREFIX}{b64encode(value.encode()).decode('ascii')}{_SUFFIX}"


def write(request: Request, version: str) -> dict[str, str]:
    """The standard headers of a request, for the client that sends it."""
    headers = {VERSION_HEADER: version, METHOD_HEADER: encode(request.method)}
    member = _NAMED_BY.get(request.method)
    if member is not None and isinstance(name := request.params.get(member), str):
        headers[NAME_HEADER] = encode(name)
    return headers


def write_arguments(mirrored: Mapping[str, Sequence[str]], arguments: object) -> dict[str, str]:
    """The `Mcp-Param-*` headers of a call, as the tool's schema asks for them (`find_mirrored`)."""
    found = {name: to_text(_value_at(arguments, path)) for name, path in mirrored.items()}
    return {PARAMETER_PREFIX + name: encode(text) for name, text in found.items() if text is not None}


def decode(value: str) -> str:
    """Read a header's value; raises `ProtocolError` -32020 for characters or base64 that are invalid."""
    value = value.strip(" \t")
    if not (value.isascii() and value.replace("\t", " ").isprintable()):
        raise _mismatch("a header holds characters that no header may hold")
    if not (value.startswith(_PREFIX) and value.endswith(_SUFFIX) and len(value) >= len(_PREFIX) + len(_SUFFIX)):
        return value
    try:
        return b64decode(value[len(_PREFIX) : -len(_SUFFIX)], validate=True).decode()
    except (Error, UnicodeDecodeError):
        raise _mismatch("a header's base64 form is invalid") from None


def compare(headers: Mapping[str, str], version: str, request: Request) -> None:
    """Hold the standard headers against the body; raises `ProtocolError` -32020 (status 400) where they differ.

    `headers` are by lower-case name; one that came twice is there as a value that differs from every other.
    """
    _, method, params = request
    _compare_one(headers, VERSION_HEADER, version)
    _compare_one(headers, METHOD_HEADER, method)
    member = _NAMED_BY.get(method)
    if member is not None:
        _compare_one(headers, NAME_HEADER, params.get(member))


def _compare_one(headers: Mapping[str, str], name: str, expected: object) -> None:
    given = headers.get(name)
    if given == expected and given is not None and (name != NAME_HEADER or (given.isidentifier() and given.isascii())):
        return  # as most are: no other spelling of the same
    if given is None:
        raise _mismatch(f"the header {name} is missing")
    value = decode(given) if name == NAME_HEADER else given.strip(" \t")
    if value != expected:
        raise _mismatch(f"the header {name} says {value!r}, the body {expected!r}")


def compare_arguments(headers: Mapping[str, str], mirrored: Mapping[str, Sequence[str]], params: JsonObject) -> None:
    """Hold the `Mcp-Param-*` headers of a tool against the arguments; raises as `compare` does."""
    for name, path in mirrored.items():
        header = PARAMETER_PREFIX + name
        value = _value_at(params.get("arguments"), path)
        given = headers.get(header)
        if value is None and given is None:
            continue
        if value is None:
            raise _mismatch(f"the header {header} stands for an argument that is not there")
        if given is None:
            raise _mismatch(f"the header {header} is missing")
        if not _is_same(decode(given), value):
            raise _mismatch(f"the header {header} and the argument {'.'.join(path)} differ")


def _value_at(arguments: object, path: Sequence[str]) -> object:
    for step in path:
        if not isinstance(arguments, dict):
            return None
        arguments = cast("JsonObject", arguments).get(step)
    return arguments


def _is_same(text: str, value: object) -> bool:
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, int | float):
        try:
            # int() and float() read more than JSON has: signs, spaces, underscores, digits of other scripts.
            return bool(_NUMBER.fullmatch(text)) and (int(text) if _DIGITS.fullmatch(text) else float(text)) == value
        except ValueError:  # thousands of digits
            return False
    return text == value


def to_text(value: object) -> str | None:
    """The text that stands for an argument in a header, not yet encoded; None where there is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():  # to JSON the same number
        return str(int(value))
    return str(value) if isinstance(value, int | str) else None


def find_mirrored(schema: JsonObject) -> dict[str, tuple[str, ...]]:
    """Find the annotated properties of an input schema: lower-case header name to path.

    Raises `ValueError` for an annotation that the specification forbids: on something that is no string, integer or
    boolean, outside a chain of `properties`, doubled, or no token of RFC 9110.
    """
    found: dict[str, tuple[str, ...]] = {}
    _collect(schema, (), found)
    if _count(schema) != len(found):
        raise ValueError(f"{ANNOTATION} stands where no chain of properties leads, or twice")
    return found


def _collect(schema: JsonObject, path: tuple[str, ...], found: dict[str, tuple[str, ...]]) -> None:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, described in cast("dict[str, object]", properties).items():
        if not isinstance(described, dict):
            continue
        inner = cast("JsonObject", described)
        if ANNOTATION in inner:
            found[_read_annotation(inner).lower()] = (*path, name)
        _collect(inner, (*path, name), found)


def _read_annotation(described: JsonObject) -> str:
    header = described[ANNOTATION]
    if not isinstance(header, str) or not header or not set(header) <= _TOKEN:
        raise ValueError(f"{ANNOTATION} must be a token of RFC 9110, not {header!r}")
    if described.get("type") not in ("string", "integer", "boolean"):
        raise ValueError(f"{ANNOTATION} {header} stands on something that is no string, integer or boolean")
    return header


def _count(value: object) -> int:
    """Count annotations anywhere in a schema, to notice those that `_collect` does not reach."""
    if isinstance(value, dict):
        inner = cast("JsonObject", value)
        own = 1 if isinstance(inner.get(ANNOTATION), str) else 0
        return own + sum(_count(each) for each in inner.values())
    return sum(_count(each) for each in cast("list[object]", value)) if isinstance(value, list) else 0


def _mismatch(reason: str) -> ProtocolError:
    return ProtocolError(HEADER_MISMATCH, f"Header mismatch: {reason}", status=400)
