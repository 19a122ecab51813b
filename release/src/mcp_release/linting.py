"""What an entry must be beyond the registry's schema, which lets unknown keys and much else pass.

Each rule returns sentences. The registry's own rules: its schema, and `official-registry-requirements.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, cast

from mcp_release.entries import SCHEMA

if TYPE_CHECKING:
    from mcp_release.workspace import Package

Entry = Mapping[str, object]

_ENTRY: Final = frozenset(("$schema", "name", "title", "description", "version", "packages"))
_PACKAGE: Final = frozenset(
    ("registryType", "identifier", "version", "runtimeHint", "transport", "packageArguments", "environmentVariables")
)
_INPUT: Final = frozenset(("description", "format", "choices", "default", "isRequired", "isSecret"))
_NAMED: Final = _INPUT | {"type", "name", "isRepeated"}
_POSITIONAL: Final = _INPUT | {"type", "valueHint", "isRepeated"}
_FORMATS: Final = ("string", "number", "boolean", "filepath")
_LONGEST: Final = 100  # characters of a title and of a description

_NAME: Final = re.compile(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+")
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((a|b|rc)\d+)?")
_OPTION: Final = re.compile(r"--[a-z][a-z0-9]*(-[a-z0-9]+)*")
_HINT: Final = re.compile(r"[a-z][a-z0-9_]*")
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_SECRET: Final = re.compile(
    r"(^|[_-])(key|token|secret|password|passphrase|credentials?|dsn|database_url)$", re.IGNORECASE
)


def lint_entry(entry: Entry, package: Package) -> list[str]:
    """What is wrong with an entry of this package."""
    return [*_lint_head(entry, package), *_lint_packages(entry, package)]


def lint_surroundings(package: Package) -> list[str]:
    """What is wrong with the files by which the registry knows that a package and an image belong to the entry."""
    readme = (package.folder / "README.md").read_text("utf-8")
    marked = re.findall(r"mcp-name:\s*(\S+)", readme)
    found = (
        [] if marked == [package.registered] else [f"README.md has the marks {marked}, not {package.registered} alone"]
    )
    if f"<!-- mcp-name: {package.registered} -->" not in readme.splitlines():
        found.append("README.md has no line of its own with the comment mcp-name")
    label = f'LABEL io.modelcontextprotocol.server.name="{package.registered.removesuffix(package.name)}${{SERVER}}"'
    if label not in (package.folder.parents[1] / "Dockerfile").read_text("utf-8").splitlines():
        found.append(f"Dockerfile has no line {label}")
    code = (package.folder / "src" / package.module / "__init__.py").read_text("utf-8")
    if f'__version__ = "{package.version}"' not in code.splitlines():
        found.append(f"__version__ is not {package.version}")
    return found


def _lint_head(entry: Entry, package: Package) -> Iterator[str]:
    yield from _strangers(entry, _ENTRY, "the entry")
    yield from (f"{key} is missing" for key in sorted(_ENTRY - set(entry)))
    if entry.get("$schema") != SCHEMA:
        yield f"$schema is not {SCHEMA}"
    name = str(entry.get("name"))
    if name != package.registered or not _NAME.fullmatch(name):
        yield f"name is {name}, not {package.registered}"
    for key in ("title", "description"):
        text = str(entry.get(key, ""))
        if not 0 < len(text) <= _LONGEST or text != " ".join(text.split()):
            yield f"{key} must be one line of 1 to {_LONGEST} characters, and has {len(text)}"
    if not str(entry.get("description", "")).endswith("."):
        yield "description is no sentence"
    yield from _lint_version(entry, package)


def _lint_version(holder: Entry, package: Package) -> Iterator[str]:
    version = str(holder.get("version"))
    if not _VERSION.fullmatch(version):
        yield f"version {version} is not one exact version"
    if version != package.version:
        yield f"version is {version}, and pyproject.toml has {package.version}"


def _lint_packages(entry: Entry, package: Package) -> Iterator[str]:
    packages = _entries(entry.get("packages"))
    if len(packages) != 1:
        yield f"there must be one package, not {len(packages)}"
    for each in packages:
        if "registryBaseUrl" in each:
            yield "registryBaseUrl is left out: the registry knows its index by registryType"
        yield from _strangers(each, _PACKAGE | {"registryBaseUrl"}, "the package")
        expected = {
            "registryType": "pypi",
            "identifier": package.distribution,
            "runtimeHint": "uvx",
            "transport": {"type": "stdio"},
        }
        yield from (f"{key} is not {value}" for key, value in expected.items() if each.get(key) != value)
        yield from _lint_version(each, package)
        yield from _lint_inputs(_entries(each.get("packageArguments", [])), _lint_argument)
        yield from _lint_inputs(_entries(each.get("environmentVariables", [])), _lint_variable)


def _lint_inputs(inputs: list[Entry], lint: Callable[[Entry, str], Iterator[str]]) -> Iterator[str]:
    names = [str(each.get("name", each.get("valueHint"))) for each in inputs]
    yield from (f"{name} stands there twice" for name in sorted({name for name in names if names.count(name) > 1}))
    for each, name in zip(inputs, names, strict=True):
        yield from lint(each, name)
        yield from _lint_input(each, name)
    kinds = [each.get("type") for each in inputs]
    if "positional" in kinds[kinds.index("named") if "named" in kinds else len(kinds) :]:
        yield "a positional argument comes after a named one, which may take it for a value"


def _lint_argument(argument: Entry, name: str) -> Iterator[str]:
    named = argument.get("type") == "named"
    if not named and argument.get("type") != "positional":
        yield f"{name} is neither named nor positional"
    yield from _strangers(argument, _NAMED if named else _POSITIONAL, name)
    if not (_OPTION if named else _HINT).fullmatch(name):
        yield f"{name} is no name of an argument"


def _lint_variable(variable: Entry, name: str) -> Iterator[str]:
    yield from _strangers(variable, _INPUT | {"name"}, name)
    if not _VARIABLE.fullmatch(name):
        yield f"{name} is no name of a variable"


def _lint_input(given: Entry, name: str) -> Iterator[str]:
    text = given.get("description")
    if not isinstance(text, str) or not text.endswith(".") or text != " ".join(text.split()):
        yield f"{name} has no description that is a sentence"
    kind, default, choices = given.get("format", "string"), given.get("default"), given.get("choices")
    if kind not in _FORMATS:
        yield f"{name} has the format {kind}"
    if default is not None and not _fits(kind, default):
        yield f"{name} has a default that is no {kind}"
    if isinstance(choices, list) and (not choices or (default is not None and default not in choices)):
        yield f"{name} has a default that is no choice"
    if default is not None and given.get("isRequired"):
        yield f"{name} is required, and has a default"
    if _SECRET.search(name) and not given.get("isSecret"):
        yield f"{name} is a secret by its name, and is not marked as one"
    if given.get("isSecret") and default is not None:
        yield f"{name} is a secret with a default"
    yield from (
        f"{name} has a {key} that is not true" for key in given if key.startswith("is") and given[key] is not True
    )


def _fits(kind: object, default: object) -> bool:
    if not isinstance(default, str):
        return False
    return {
        "number": re.fullmatch(r"-?\d+(\.\d+)?", default) is not None,
        "boolean": default in ("true", "false"),
    }.get(str(kind), True)


def _strangers(holder: Entry, known: frozenset[str], what: str) -> Iterator[str]:
    yield from (f"{what} has the unknown key {key}" for key in sorted(set(holder) - known))


def _entries(value: object) -> list[Entry]:
    return [cast("Entry", each) for each in cast("list[object]", value)] if isinstance(value, list) else []
