"""A folder of prompts: files of markdown, each with a front matter that says what it is. It knows nothing of MCP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

_PARTS = re.compile(r"\A---\r?\n(.*?)^---\r?\n(.*)\Z", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_KEYS = {"name", "version", "title", "description", "arguments"}
_ARGUMENT_KEYS = {"name", "description", "required", "choices"}


class Unusable(Exception):
    """A file is no prompt; the text names the file and what to change."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What a prompt is given; without `choices` any text."""

    name: str
    description: str
    required: bool
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of a prompt: a whole number, the higher the newer."""

    version: int
    title: str
    description: str
    arguments: tuple[Argument, ...]
    text: str


def read_library(folder: Path) -> dict[str, dict[int, Edition]]:
    """The editions of every prompt, by name and version; raises `Unusable`."""
    library: dict[str, dict[int, Edition]] = {}
    for file in sorted(folder.glob("*.md")):
        name, edition = read_prompt(file)
        editions = library.setdefault(name, {})
        if edition.version in editions:
            raise Unusable(f"{file}: {name} has a version {edition.version} already. Give one of the two another.")
        editions[edition.version] = edition
    if not library:
        raise Unusable(f"{folder} has no prompts: files *.md that begin with a front matter.")
    for name, editions in library.items():
        _check_together(name, editions)
    return library


def read_prompt(file: Path) -> tuple[str, Edition]:
    """The name and the edition in a file; raises `Unusable`."""
    try:
        parts = _PARTS.match(file.read_text("utf-8"))
        head: Any = yaml.safe_load(parts[1]) if parts else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Unusable(f"{file} cannot be read: {error}") from None
    if parts is None or not isinstance(head, dict):
        raise Unusable(f"{file} does not begin with a front matter: a line ---, YAML, and a line --- again.")
    fields = cast("dict[str, Any]", head)
    _refuse_unknown(file, fields, _KEYS)
    name, version = fields.get("name"), fields.get("version")
    if not isinstance(name, str) or _NAME.match(name) is None:
        raise Unusable(f"{file}: name has to be lower-case letters, digits, - and _, not {name!r}.")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Unusable(f"{file}: version has to be a whole number from 1, not {version!r}.")
    arguments = tuple(_read_argument(file, each) for each in fields.get("arguments") or ())
    title, description = str(fields.get("title", name)), str(fields.get("description", ""))
    return name, Edition(version, title, description, arguments, parts[2].strip())


def _read_argument(file: Path, given: object) -> Argument:
    if not isinstance(given, dict):
        raise Unusable(f"{file}: an argument is a mapping with a name, not {given!r}.")
    fields = cast("dict[str, Any]", given)
    _refuse_unknown(file, fields, _ARGUMENT_KEYS)
    name = str(fields.get("name"))
    if not name.isidentifier() or name == "version":
        raise Unusable(f"{file}: an argument cannot be called {name!r}.")
    choices = tuple(str(each) for each in fields.get("choices") or ())
    return Argument(name, str(fields.get("description", "")), bool(fields.get("required", False)), choices)


def _refuse_unknown(file: Path, fields: Mapping[str, object], known: Iterable[str]) -> None:
    unknown = sorted(set(map(str, fields)) - set(known))
    if unknown:
        raise Unusable(f"{file}: there is no {unknown[0]!r}; there are {', '.join(sorted(known))}.")


def _check_together(name: str, editions: Mapping[int, Edition]) -> None:
    """All versions take the same arguments, so that a host shows one form for them."""
    shapes = {
        frozenset((each.name, each.required, each.choices) for each in one.arguments) for one in editions.values()
    }
    if len(shapes) > 1:
        raise Unusable(
            f"The versions of {name} take different arguments. A prompt that asks for others is another one."
        )
