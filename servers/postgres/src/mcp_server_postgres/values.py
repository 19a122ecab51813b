"""PostgreSQL's values as JSON, and back.

    NULL, boolean                      null, true, false
    smallint, integer, bigint, oid     number
    real, double precision             number
    numeric of at most 15 digits       number
    json, jsonb                        the JSON itself
    arrays, composite types            list, object
    every other type                   string, as PostgreSQL writes it: ISO dates (also infinity and BC), intervals,
                                       uuid, inet, enums, ranges, geometry, bits, xml, tsvector, vector, money ...

What JSON does not have, or JavaScript hosts would change without a word, is an object with one key that begins with a
dollar sign, and is understood again in `params`:

    bytea                              {"$blob": "<base64>", "bytes": 3}
    integers beyond +-(2^53-1)         {"$integer": "9007199254740993"}
    numeric of more digits, NaN        {"$numeric": "0.1234567890123456789"}
    infinity and NaN as real           {"$real": "Infinity"}
    json that no host reads the same   {"$json": "[1e999]"}
    a value too long for the answer    {"$cut": "<its beginning>", "bytes": 1000000000}

In `params` a string is read by PostgreSQL as a literal of whatever type is wanted there: dates, intervals, numerics,
bytea, uuid, inet.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, cast

from .kinds import Kind
from .refusals import Refusal

Cell: TypeAlias = "int | float | str | bool | list[Cell] | dict[str, Cell] | None"

SAFE_INTEGER = 2**53 - 1
SAFE_DIGITS = 15
DEEPEST_JSON = 100  # readers stop at a few hundred levels, each at another
_FORMS = '{"$blob": base64}, {"$integer": digits}, {"$numeric": digits}, {"$real": "Infinity"}, {"$json": text}'
_NUMERIC = re.compile(r"-?(\d+)(?:\.(\d+))?")


def decode(value: object, kind: Kind) -> Cell:
    """Give the JSON form of a value as the driver gives it: a text for every kind that is not direct."""
    match value:
        case None | bool():
            return value
        case int():
            return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else {"$integer": str(value)}
        case float():
            return _decode_real(value)
        case bytes():
            return {"$blob": base64.b64encode(value).decode(), "bytes": len(value)}
        case _:
            return decode_text(str(value), kind)


def choose_decoder(kind: Kind) -> Callable[[object], Cell]:
    """Give what decodes the values of a column: most values of the usual kinds are told by their type alone."""

    def decode_plain(value: object) -> Cell:
        return value if type(value) is str else decode(value, kind)

    def decode_small(value: object) -> Cell:
        return value if type(value) is int and -SAFE_INTEGER <= value <= SAFE_INTEGER else decode(value, kind)

    def decode_short(value: object) -> Cell:
        if type(value) is str and len(value) <= SAFE_DIGITS and value[-1].isdigit():  # neither NaN nor Infinity
            return float(value) if "." in value else int(value)
        return decode(value, kind)

    chosen = {"text": decode_plain, "int": decode_small, "numeric": decode_short}
    return chosen.get(kind.form) or (lambda value: decode(value, kind))


def decode_column(values: Sequence[object], kind: Kind) -> Sequence[Cell]:
    """Give the JSON forms of a column's values."""
    if kind.form in ("int", "text", "bool"):
        kinds = set(map(type, values))
        if kinds == {str} or kinds == {bool}:
            return cast("Sequence[Cell]", values)
        if kinds == {int}:
            numbers = cast("Sequence[int]", values)
            if min(numbers) >= -SAFE_INTEGER and max(numbers) <= SAFE_INTEGER:
                return numbers
    return list(map(choose_decoder(kind), values))


def decode_text(text: str, kind: Kind) -> Cell:
    """Give the JSON form of what PostgreSQL writes for a value."""
    match kind.form:
        case "bool":
            return text in ("t", "true")
        case "int":
            return decode(int(text), kind)
        case "float":
            return _decode_real(float(text))
        case "numeric":
            return _decode_numeric(text)
        case "json":
            return _decode_json(text)
        case "bytea" | "hex":
            return decode(bytes.fromhex(text[2:]), kind)
        case "array" if kind.element is not None:
            return _ArrayReader(text, kind.element, kind.delimiter).read()
        case "composite":
            return _read_composite(text, kind)
        case "void":
            return None
        case _:
            return text


def _decode_real(value: float) -> Cell:
    if math.isfinite(value):
        return value
    return {"$real": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def _decode_numeric(text: str) -> Cell:
    found = _NUMERIC.fullmatch(text)
    if found is None or len((found[1] + (found[2] or "")).lstrip("0")) > SAFE_DIGITS or len(text) > 2 * SAFE_DIGITS:
        return {"$numeric": text}
    return float(text) if found[2] else int(text)


class _Unsafe(ValueError):
    """A number that a host would change."""


def _safe_integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > SAFE_INTEGER:
        raise _Unsafe
    return number


def _safe_real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or len(re.sub(r"[eE].*|\D", "", text).strip("0")) > SAFE_DIGITS + 2:
        raise _Unsafe
    return number


def _decode_json(text: str) -> Cell:
    try:
        value = json.loads(text, parse_int=_safe_integer, parse_float=_safe_real)
        if text.count("[") + text.count("{") > DEEPEST_JSON and _is_deep(value):
            return {"$json": text}
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        return {"$json": text}
    return cast("Cell", value)


def _is_deep(value: Cell) -> bool:
    """Whether lists and objects stand in each other more than so deep; level by level, not by recursion."""
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [item for each in level if isinstance(each, list | dict) for item in _items(each)]
        if not level:
            return False
    return True


def _items(value: list[Cell] | dict[str, Cell]) -> Iterable[Cell]:
    return value.values() if isinstance(value, dict) else value


class _ArrayReader:
    """Reads an array as PostgreSQL writes it (manual, section 8.15.6)."""

    def __init__(self, text: str, element: Kind, delimiter: str) -> None:
        self._text, self._element, self._delimiter = text, element, delimiter
        self._place = text.index("=") + 1 if text.startswith("[") else 0  # bounds other than 1 stand in front

    def read(self) -> Cell:
        return self._read_list()

    def _read_list(self) -> list[Cell]:
        self._place += 1
        items: list[Cell] = []
        while self._text[self._place] != "}":
            if self._text[self._place] == "{":
                items.append(self._read_list())
            elif self._text[self._place] == self._delimiter:
                self._place += 1
            else:
                items.append(self._read_item())
        self._place += 1
        return items

    def _read_item(self) -> Cell:
        if self._text[self._place] == '"':
            found = _QUOTED.match(self._text, self._place)
            if found is None:
                raise ValueError(f"an element without an end in the array {self._text[:100]!r}")
            self._place = found.end()
            return decode_text(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL), self._element)
        start = self._place
        while self._text[self._place] not in (self._delimiter, "}"):
            self._place += 1
        item = self._text[start : self._place]
        return None if item == "NULL" else decode_text(item, self._element)


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_FIELD = re.compile(r'((?:"(?:[^"\\]|\\.|"")*"|[^",)\\]|\\.)*)([,)])', re.DOTALL)


def _read_composite(text: str, kind: Kind) -> Cell:
    """Read a row as PostgreSQL writes it (manual, section 8.16.6)."""
    values: dict[str, Cell] = {}
    place = 1
    for name, part in kind.fields:
        found = _FIELD.match(text, place)
        if found is None:
            return text
        place = found.end()
        values[name] = decode_text(_unquote(found[1]), part) if found[1] else None
    return values


def _unquote(field: str) -> str:
    """Quotes open and close; inside them two are one, and a backslash keeps what follows it."""
    out: list[str] = []
    inside, place = False, 0
    while place < len(field):
        letter, following = field[place], field[place + 1 : place + 2]
        if letter == "\\" or (letter == '"' and inside and following == '"'):
            out.append(following)
            place += 1
        elif letter == '"':
            inside = not inside
        else:
            out.append(letter)
        place += 1
    return "".join(out)


def weigh_row(row: Iterable[Cell]) -> int:
    """Count the bytes that a row will take as JSON, nearly."""
    weight = 2
    for value in row:
        kind = type(value)
        if kind is int or kind is float:
            weight += 1 + len(repr(value))
        elif kind is str:
            text = cast("str", value)
            weight += 3 + (len(text) if text.isascii() else len(text.encode("utf-8", "replace")))
        else:
            weight += weigh(value)
    return weight


def weigh_column(values: Sequence[Cell]) -> int:
    """Count the bytes that the values of a column will take as JSON, nearly."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        return len(values) + len("".join(map(repr, values)))
    if kinds == {str}:
        text = "".join(cast("Sequence[str]", values))
        return 3 * len(values) + (len(text) if text.isascii() else len(text.encode("utf-8", "replace")))
    return sum(map(weigh, values))


def weigh(value: Cell) -> int:
    """Count the bytes that a value will take as JSON, nearly."""
    match value:
        case str():
            return 3 + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))
        case list():
            return 2 + sum(weigh(item) + 1 for item in value)
        case dict():
            return 2 + sum(len(key) + 4 + weigh(item) for key, item in value.items())
        case int() | float():
            return 1 + len(repr(value))
        case _:
            return 5


def encode(value: object, kind: Kind, place: str) -> str | None:
    """Write a parameter as the literal that PostgreSQL reads; `place` names it in the refusal."""
    given = value  # as it came: matching narrows the other to types that the checker does not know
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return _check_text(value, place)
        case int() | float():
            return json.dumps(value) if kind.form == "json" else repr(value).replace("inf", "Infinity")
        case Mapping() if _is_form(cast("Mapping[object, object]", value), kind):
            return _encode_form(dict(cast("Mapping[object, object]", value)), place)
        case list() if kind.form == "array" and kind.element is not None:
            return _write_array(cast("list[object]", value), kind, place)
        case list() | Mapping() if kind.form in ("json", "text"):
            return _check_text(json.dumps(given, ensure_ascii=False), place)
        case _:
            noun = "a list" if isinstance(given, list) else "an object"
            raise Refusal(
                f"{place} is {noun}, and {kind.name} is wanted there. "
                f"Pass a string in PostgreSQL's notation, or one of {_FORMS}."
            )


def _is_form(value: Mapping[object, object], kind: Kind) -> bool:
    """Whether an object stands for a value that JSON does not have; where JSON is wanted, most are themselves."""
    if kind.form == "json":
        return list(value) == ["$json"]
    return any(str(key).startswith("$") for key in value)


def _check_text(text: str, place: str) -> str:
    if "\0" in text:
        raise Refusal(f"{place} holds a NUL character, which PostgreSQL's text cannot hold. Pass it as bytea.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal(f"{place} holds a lone surrogate, which is no valid text. Send well-formed Unicode.") from None
    return text


def _write_array(items: list[object], kind: Kind, place: str) -> str:
    element = cast("Kind", kind.element)
    written: list[str] = []
    for number, item in enumerate(items):
        if isinstance(item, list) and element.form != "json":
            written.append(_write_array(cast("list[object]", item), kind, f"{place}[{number}]"))
        else:
            text = encode(cast("object", item), element, f"{place}[{number}]")
            written.append("NULL" if text is None else '"' + re.sub(r'([\\"])', r"\\\1", text) + '"')
    return "{" + kind.delimiter.join(written) + "}"


def _encode_form(form: dict[object, object], place: str) -> str:
    try:
        match form:
            case {"$blob": str(text)}:
                return "\\x" + base64.b64decode(text, validate=True).hex()
            case {"$integer": str(text)}:
                return str(int(text))
            case {"$numeric": str(text)} | {"$real": str(text)} | {"$json": str(text)}:
                return _check_text(text, place)
            case _:
                pass
    except (ValueError, binascii.Error):
        pass
    raise Refusal(f"{place} is an object that is not understood. Known forms: {_FORMS}.")
