"""Placeholders in a host's configuration, `${…}`, and what stands in their place.

One grammar for all hosts: `${input:id}`, `${env:NAME}`, `${workspaceFolder}`, `${workspaceFolderBasename}`,
`${userHome}`, `${pathSeparator}` and `${/}` of VS Code and Cursor, `${NAME}` and `${NAME:-default}` of Claude Code.
Anything else between braces, such as `${name%.txt}`, is no placeholder and stays.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mcp_kernel.client.failures import ClientError

PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z_]\w*|/)(?::-([^}]*)|:([^}]*))?\}", re.ASCII)


class InvalidConfiguration(ClientError, ValueError):
    """A host's file that cannot be used as it is; the text says where, why, and what to do."""


class _Missing(Exception):
    """A placeholder without a value, and why."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a configuration asks of its user (`inputs` of VS Code); `kind` is promptString, pickString or command."""

    id: str
    kind: str = "promptString"
    description: str = ""
    password: bool = False
    default: str | None = field(default=None, repr=False)
    options: tuple[str, ...] = ()


Ask = Callable[[InputSpec], str]


@dataclass(slots=True)
class Surroundings:
    """Where placeholders get their values: the user, the environment, the folders. Each input is asked for once."""

    environment: Mapping[str, str] = field(repr=False)
    home: Path
    workspace: Path | None
    inputs: Mapping[str, InputSpec]
    ask: Ask | None
    _answers: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def resolve(self, text: str, server: str, secrets: set[str]) -> str:
        """Put values in place of the placeholders, once: what a value contains is not looked at.

        What came from the user or the environment is added to `secrets`. Raises `InvalidConfiguration`, which names
        the placeholder and the server, and no value.
        """

        def replace(found: re.Match[str]) -> str:
            name, default, argument = found.groups()
            try:
                return self._value(name, default, argument, secrets)
            except _Missing as error:
                raise InvalidConfiguration(f"server {server!r} needs {found[0]}: {error}") from None

        return PLACEHOLDER.sub(replace, text)

    def _value(self, name: str, default: str | None, argument: str | None, secrets: set[str]) -> str:
        if argument is not None:
            if name not in ("input", "env"):
                raise _Missing("there is no such placeholder outside the editor; write the value itself")
            value = self._answer(argument) if name == "input" else self._variable(argument, None)
            secrets.add(value)
            return value
        if default is None and name in _FOLDERS:
            return _FOLDERS[name](self)
        value = self._variable(name, default)
        if name in self.environment:
            secrets.add(value)
        return value

    def _variable(self, name: str, default: str | None) -> str:
        value = self.environment.get(name, default)
        if value is None:
            raise _Missing(f"set the environment variable {name}")
        return value

    def _answer(self, identity: str) -> str:
        if identity not in self.inputs:
            raise _Missing(f"the file's inputs have no id {identity!r}")
        if identity not in self._answers:
            spec = self.inputs[identity]
            if self.ask is None:
                about = f" ({spec.description})" if spec.description else ""
                raise _Missing(f"give a function as `ask` that returns the input {identity!r}{about}")
            answer = self.ask(spec)
            if spec.options and answer not in spec.options:
                raise _Missing(f"it must be one of {', '.join(spec.options)}")
            self._answers[identity] = answer
        return self._answers[identity]

    def folder(self) -> Path:
        """The folder that is worked on."""
        if self.workspace is None:
            raise _Missing("the file belongs to no folder; say which one as `workspace`")
        return self.workspace


_FOLDERS: Final[Mapping[str, Callable[[Surroundings], str]]] = {
    "workspaceFolder": lambda around: str(around.folder()),
    "workspaceFolderBasename": lambda around: around.folder().name,
    "userHome": lambda around: str(around.home),
    "pathSeparator": lambda _: os.sep,
    "/": lambda _: os.sep,
}
