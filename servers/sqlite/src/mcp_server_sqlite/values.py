"""SQLite's values as JSON, and back.

JSON has no bytes, no infinity, and in JavaScript hosts no integer beyond 2^53. Such a value travels as an object
with one key that begins with a dollar sign, so that it can be told from a text, and is understood again in `params`:

    NULL, TEXT, INTEGER, REAL   null, string, number, number
    BLOB                        {"$blob": "<base64>", "bytes": 3}
    INTEGER beyond +-(2^53-1)   {"$integer": "9007199254740993"}
    REAL +-infinity             {"$real": "Infinity"}, {"$real": "-Infinity"}
    TEXT that is not UTF-8      {"$text": "<base64 of the bytes>", "lossy": "caf\\ufffd"}

SQLite stores no NaN: it turns one into NULL, so none comes out; {"$real": "NaN"} goes in as NULL. Dates are what the
file has: text, or a number of seconds or days. A plain JSON integer would be valid JSON however long, but the hosts
that parse with JavaScript would hand the model another number without a word; a plain string could not be told from
TEXT.
"""

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from .refusals import Refusal

Cell: TypeAlias = int | float | str | dict[str, str | int] | None
Value: TypeAlias = int | float | str | bytes | None
Params: TypeAlias = Sequence[object] | Mapping[str, object]

SAFE_INTEGER = 2**53 - 1
_REALS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_FORMS = '{"$blob": base64}, {"$integer": digits}, {"$real": "Infinity"} or {"$text": base64}'


class Mangled(bytes):
    """TEXT whose bytes are not UTF-8; kept apart from a BLOB by its class."""


STORAGE_CLASSES: Mapping[type, str] = {
    type(None): "NULL",
    int: "INTEGER",
    float: "REAL",
    str: "TEXT",
    Mangled: "TEXT",
    bytes: "BLOB",
}
"""SQLite's storage classes, by the types in which the module gives their values."""


def read_text(raw: bytes) -> str | Mangled:
    """Decode TEXT; for `Connection.text_factory`, so that one bad byte does not lose a whole answer."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Mangled(raw)


def encode(value: object) -> Cell:
    """Give the JSON form of a value that came out of SQLite."""
    match value:
        case None | str():
            return value
        case int():
            return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else {"$integer": str(value)}
        case float():
            return value if math.isfinite(value) else {"$real": "Infinity" if value > 0 else "-Infinity"}
        case Mangled():
            return {"$text": base64.b64encode(value).decode(), "lossy": value.decode(errors="replace")}
        case bytes():
            return {"$blob": base64.b64encode(value).decode(), "bytes": len(value)}
        case _:
            raise TypeError(f"SQLite gave a {type(value).__name__}")


def weigh(value: object) -> int:
    """Count the bytes that a value will take as JSON, nearly, before any of them is made."""
    match value:
        case str():
            return 3 + (len(value) if value.isascii() else len(value.encode()))
        case bytes():
            return 30 + len(value) * 4 // 3 + (len(value) if isinstance(value, Mangled) else 0)
        case int() | float():
            return 1 + len(repr(value))
        case _:
            return 5


def decode(value: object, place: str) -> Value:
    """Give SQLite's value of a parameter; `place` names it in the refusal."""
    match value:
        case None | str() | int() | float() | bytes():  # bool is an int, as in SQLite
            return value
        case Mapping():
            return _decode_form(dict(value), place)  # pyright: ignore[reportUnknownArgumentType]  keys checked there
        case _:
            raise Refusal(
                f"{place} is a list, which SQLite has no type for. Pass it as JSON text and unpack it in the SQL "
                "with json_each(?)."
            )


def _decode_form(form: dict[object, object], place: str) -> Value:
    try:
        match form:
            case {"$blob": str(text)}:
                return base64.b64decode(text, validate=True)
            case {"$integer": str(text)}:
                return int(text)
            case {"$real": str(text)}:
                return _REALS[text]
            case {"$text": str(text)}:
                return base64.b64decode(text, validate=True).decode()
            case _:
                pass
    except (ValueError, KeyError, binascii.Error):
        pass
    raise Refusal(f"{place} is an object that is not understood. Known forms: {_FORMS}; JSON goes in as text.")


class Names(dict[str, Value]):
    """Named parameters that note which of them the statement asked for: the module ignores a surplus one."""

    def __init__(self, values: dict[str, Value]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.asked.add(name)
        return super().__getitem__(name)

    def check_surplus(self) -> None:
        """Refuse names that the statement never asked for; call it once the statement is bound."""
        if surplus := sorted(set(self) - self.asked):
            listed = ", ".join(surplus[:5])
            raise Refusal(f"params has names that the SQL does not use: {listed}. Remove them, or use them as :name.")


class Nulls(Names):
    """Gives NULL for whatever name a statement asks for: enough to plan a statement, never to run one."""

    def __init__(self) -> None:
        super().__init__({})

    def __getitem__(self, name: str) -> Value:
        return None


Bound: TypeAlias = list[Value] | Names


def bind(params: Params | None) -> Bound:
    """Turn the caller's parameters into what the module binds: a list by position, Names by name."""
    if params is None:
        return []
    if isinstance(params, Mapping):
        values = {key.lstrip(":@$"): decode(value, f"params[{key!r}]") for key, value in params.items()}
        return Names(values)
    if isinstance(params, str | bytes):
        raise Refusal("params must be a list (for ?) or an object (for :name).")
    return [decode(value, f"params[{place}]") for place, value in enumerate(params)]
