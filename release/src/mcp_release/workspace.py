"""The packages of the checkout, as their own files tell."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from mcp_kernel.cli import CommandLine

ROOT: Final = Path(__file__).resolve().parents[3]
NAMESPACE: Final = "io.github.mcp-reference-servers"
"""Whose servers these are, in the registry. It must be the account that publishes them."""


@dataclass(frozen=True, slots=True)
class Package:
    """A server's folder and what its `pyproject.toml` says."""

    folder: Path
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """What the server is called here: the folder."""
        return self.folder.name

    @property
    def registered(self) -> str:
        """What the server is called in the registry."""
        return f"{NAMESPACE}/{self.name}"

    @property
    def module(self) -> str:
        """The package to import."""
        return self.distribution.replace("-", "_")

    def command_line(self) -> CommandLine:
        """The parser of the server's command, as the server itself builds it."""
        return cast("CommandLine", import_module(f"{self.module}.cli").command_line())


def find_servers(root: Path = ROOT) -> list[Package]:
    """The servers of the checkout by name: every folder of `servers/` that is a package."""
    return [_read(path.parent) for path in sorted((root / "servers").glob("*/pyproject.toml"))]


def _read(folder: Path) -> Package:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return Package(folder, project["name"], project["version"])
