"""A server's entry in the registry (`server.json`), made of its command line.

The shape is the registry's schema of 2025-12-11. Everything that a person could also get wrong by hand comes from the
parser that the server uses itself: names, descriptions, defaults, choices, what is required, repeated or secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcp_kernel.cli import Option, Variable
    from mcp_release.workspace import Package

Json = dict[str, object]

SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
_FORMATS: Final = {"number": "number", "file": "filepath", "directory": "filepath", "switch": "boolean"}


def build_entry(package: Package) -> Json:
    """What the registry is told of a server."""
    line = package.command_line()
    started: Json = {
        "registryType": "pypi",
        "identifier": package.distribution,
        "version": package.version,
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "packageArguments": [_argument(option) for option in line.own_options()],
        "environmentVariables": [_variable(variable) for variable in line.variables],
    }
    return {
        "$schema": SCHEMA,
        "name": package.registered,
        "title": line.title,
        "description": line.description,
        "version": package.version,
        "packages": [{key: value for key, value in started.items() if value != []}],
    }


def build_list(entries: list[Json]) -> Json:
    """The catalogue, in the shape in which a registry answers `GET /v0.1/servers`."""
    return {"servers": [{"server": entry} for entry in entries], "metadata": {"count": len(entries)}}


def _argument(option: Option) -> Json:
    """One argument; what has the schema's default is left out."""
    named = option.name.startswith("-")
    entry: Json = {"type": "named", "name": option.name} if named else {"type": "positional", "valueHint": option.name}
    entry["description"] = option.text
    if option.kind in _FORMATS:
        entry["format"] = _FORMATS[option.kind]
    if option.choices:
        entry["choices"] = list(option.choices)
    if option.default is not None:
        entry["default"] = option.default
    flags = {"isRequired": option.required, "isRepeated": option.repeated, "isSecret": option.secret}
    return entry | {flag: True for flag, value in flags.items() if value}


def _variable(variable: Variable) -> Json:
    entry: Json = {"name": variable.name, "description": variable.text}
    if variable.path:
        entry["format"] = "filepath"
    return entry | ({"isSecret": True} if variable.secret else {})
