"""Google-style docstrings: the description that a model reads, and a line for each argument."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Final, NamedTuple

_SECTIONS: Final = frozenset(
    {"args", "arguments", "parameters", "returns", "return", "yields", "raises", "examples", "example", "note"}
)
_ARGUMENT: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


class Documentation(NamedTuple):
    """What a docstring says: the text before the sections, and the `Args:` section by name."""

    description: str
    arguments: dict[str, str]


def read(function: Callable[..., object]) -> Documentation:
    """Read a function's docstring; `Returns:` and `Raises:` are for readers of the code and are left out."""
    lines = (inspect.getdoc(function) or "").splitlines()
    description: list[str] = []
    arguments: dict[str, str] = {}
    section = ""
    name = ""
    for line in lines:
        heading = line.strip().removesuffix(":").lower()
        if line.rstrip().endswith(":") and not line[:1].isspace() and heading in _SECTIONS:
            section, name = heading, ""
        elif not section:
            description.append(line)
        elif section in {"args", "arguments", "parameters"} and line.strip():
            name = _read_argument(line, name, arguments)
    return Documentation("\n".join(description).strip(), arguments)


def _read_argument(line: str, name: str, arguments: dict[str, str]) -> str:
    """Add one line of the section; a line indented further goes on with the argument before it."""
    indent = len(line) - len(line.lstrip())
    match = _ARGUMENT.fullmatch(line.strip())
    if match and indent <= 4:
        arguments[match[1]] = match[2]
        return match[1]
    if name:
        arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    return name
