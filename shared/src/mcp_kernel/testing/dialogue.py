"""Whole conversations as text files: read by people, replayed against a server.

    # A line that begins with # is a comment; a blank line is nothing.
    > {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
       "params": {"name": "drop", "requestState": "<state>"}}
    < {"jsonrpc": "2.0", "id": 1, "result": {"requestState": "<state:string>", "...": "..."}}
    ! [1, 2

`>` is what the client sends, `<` what the server must send next, `!` what the client sends broken, as it stands. An
indented line goes on with the message before it. In what the server sends

- `"<name>"` stands for any value, and `"<name:string>"` for any of that JSON type. Where the name was met before, it
  stands for the same value again; `"<>"` and `"<:number>"` have no name. What the client sends may use the names.
- `"...": "..."` in an object allows members that are not shown, `"..."` at the end of a list further items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, cast

Mark: TypeAlias = Literal[">", "<", "!"]
Names: TypeAlias = dict[str, object]

_WILDCARD: Final = re.compile(r"<([A-Za-z_]\w*)?(?::(string|number|boolean|object|array|null))?>")
_REST: Final = "..."
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a dialogue, and the number of the line that it begins on."""

    mark: Mark
    text: str
    number: int


class Channel(Protocol):
    """What a dialogue is replayed over: `testing.memory.Wire` is one, a process another."""

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        """Send one message."""
        ...

    async def receive(self) -> bytes:
        """Wait for the next message."""
        ...


class Mismatch(AssertionError):
    """The server said something else than the dialogue has."""


def parse(text: str) -> list[Line]:
    """Read a dialogue; raises `ValueError` that names the line for what is none."""
    lines: list[Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and lines:
            last = lines.pop()
            lines.append(Line(last.mark, f"{last.text}\n{line.strip()}", last.number))
        elif line[:2] in ("> ", "< ", "! "):
            lines.append(Line(cast("Mark", line[0]), line[2:].strip(), number))
        else:
            raise ValueError(f"line {number} begins with none of '> ', '< ', '! ', '#' and a space: {line}")
    for each in lines:
        if each.mark != "!":
            _read(each)
    return lines


async def replay(lines: list[Line], channel: Channel) -> Names:
    """Say the client's lines and hold the server to its own; raises `Mismatch` for the first that differs.

    Returns the values that the wildcards stood for, by name.
    """
    names: Names = {}
    for line in lines:
        if line.mark == "!":
            channel.send_bytes(line.text.encode(), malformed=True)
        elif line.mark == ">":
            message = _fill(_read(line), names)
            channel.send_bytes(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode())
        else:
            said = cast("object", json.loads(await channel.receive()))
            differences = list(_compare(_read(line), said, "$", names))
            if differences:
                listed = "\n  ".join(differences)
                raise Mismatch(f"line {line.number}:\n  {listed}\nthe server said:\n{json.dumps(said, indent=2)}")
    return names


def _read(line: Line) -> object:
    try:
        return json.loads(line.text)
    except ValueError as error:
        raise ValueError(f"line {line.number} is no JSON: {error}") from None


def _fill(value: object, names: Names) -> object:
    """Put the values of the names that were met into what the client sends."""
    if isinstance(value, dict):
        return {key: _fill(item, names) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_fill(item, names) for item in cast("list[object]", value)]
    return _fill_text(value, names) if isinstance(value, str) else value


def _fill_text(text: str, names: Names) -> object:
    found = _WILDCARD.fullmatch(text)
    return names.get(found[1], text) if found else text


def _compare(expected: object, said: object, path: str, names: Names) -> Iterator[str]:
    """Say where a message differs from what was expected of it."""
    found = _WILDCARD.fullmatch(expected) if isinstance(expected, str) else None
    if found:
        yield from _compare_wildcard(found[1], found[2], said, path, names)
    elif isinstance(expected, dict) and isinstance(said, dict):
        yield from _compare_objects(cast("Names", expected), cast("Names", said), path, names)
    elif isinstance(expected, list) and isinstance(said, list):
        yield from _compare_lists(cast("list[object]", expected), cast("list[object]", said), path, names)
    elif not _same(cast("object", expected), said):
        yield f"{path}: expected {json.dumps(expected)}, got {json.dumps(said)}"


def _compare_wildcard(name: str | None, kind: str | None, said: object, path: str, names: Names) -> Iterator[str]:
    if kind is not None and type(said) not in _TYPES[kind]:
        yield f"{path}: expected a value of type {kind}, got {json.dumps(said)}"
    if name is not None:
        known = names.setdefault(name, said)
        if not _same(known, said):
            yield f"{path}: expected {json.dumps(known)} again, which <{name}> stood for, got {json.dumps(said)}"


def _same(one: object, other: object) -> bool:
    """Tell whether two JSON values are the same: 1 is not true, and not 1.0 either."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _compare_objects(expected: Names, said: Names, path: str, names: Names) -> Iterator[str]:
    for key, value in expected.items():
        if key == _REST:
            continue
        if key in said:
            yield from _compare(value, said[key], f"{path}.{key}", names)
        else:
            yield f"{path}.{key}: missing"
    if _REST not in expected:
        yield from (f"{path}.{key}: not expected" for key in said if key not in expected)


def _compare_lists(expected: list[object], said: list[object], path: str, names: Names) -> Iterator[str]:
    is_open = expected[-1:] == [_REST]
    shown = expected[:-1] if is_open else expected
    if len(said) < len(shown) or (len(said) > len(shown) and not is_open):
        yield f"{path}: expected {len(shown)} items{' or more' if is_open else ''}, got {len(said)}"
    for index, (value, item) in enumerate(zip(shown, said, strict=False)):
        yield from _compare(value, item, f"{path}[{index}]", names)
