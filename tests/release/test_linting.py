"""The linter of the registry's entries: each rule beside an entry that breaks it."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_release.linting import lint_entry, lint_surroundings
from mcp_release.workspace import Package, find_servers

Json = dict[str, Any]

(SQLITE,) = [package for package in find_servers() if package.name == "sqlite"]
GOOD: Json = json.loads((SQLITE.folder / "server.json").read_text("utf-8"))


def change(value: object, *path: str | int) -> Callable[[Json], None]:
    """What sets, or with None takes away, one place of an entry."""

    def apply(entry: Json) -> None:
        place: Any = entry
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return apply


PACKAGE = ("packages", 0)
FIRST = (*PACKAGE, "packageArguments", 0)
NUMBER = (*PACKAGE, "packageArguments", 5)
VARIABLE = (*PACKAGE, "environmentVariables", 0)
BROKEN = [
    (change("x", "homepage"), "the entry has the unknown key homepage"),
    (change("https://example.com/schema.json", "$schema"), "$schema is not"),
    (change("io.github.somebody/sqlite", "name"), "name is io.github.somebody/sqlite"),
    (change("x" * 101, "title"), "title must be one line"),
    (change("x" * 100 + ".", "description"), "description must be one line"),
    (change("Reads\na database.", "description"), "description must be one line"),
    (change("Reads", "description"), "description is no sentence"),
    (change(None, "description"), "description is missing"),
    (change("9.9.9", "version"), "pyproject.toml has 0.1.0"),
    (change("^0.1.0", "version"), "is not one exact version"),
    (change("latest", *PACKAGE, "version"), "is not one exact version"),
    (change([], "packages"), "there must be one package"),
    (change("https://pypi.org", *PACKAGE, "registryBaseUrl"), "registryBaseUrl is left out"),
    (change("y", *PACKAGE, "registry_type"), "the package has the unknown key registry_type"),
    (change("npm", *PACKAGE, "registryType"), "registryType is not pypi"),
    (change("mcp-server-other", *PACKAGE, "identifier"), "identifier is not mcp-server-sqlite"),
    (change({"type": "stdio", "url": "x"}, *PACKAGE, "transport"), "transport is not"),
    (change("--db_path", *FIRST, "name"), "--db_path is no name of an argument"),
    (change("-d", *FIRST, "name"), "-d is no name of an argument"),
    (change("--create", *FIRST, "name"), "--create stands there twice"),
    (change("flag", *FIRST, "type"), "--db-path is neither named nor positional"),
    (change("x", *FIRST, "valueHint"), "--db-path has the unknown key valueHint"),
    (change("path", *FIRST, "format"), "--db-path has the format path"),
    (change("the file", *FIRST, "description"), "--db-path has no description that is a sentence"),
    (change("x.db", *FIRST, "default"), "--db-path is required, and has a default"),
    (change(False, *FIRST, "isRepeated"), "--db-path has a isRepeated that is not true"),
    (change("many", *NUMBER, "default"), "--max-rows has a default that is no number"),
    (change(1000, *NUMBER, "default"), "--max-rows has a default that is no number"),
    (change(["1", "2"], *NUMBER, "choices"), "--max-rows has a default that is no choice"),
    (change("--api-key", *NUMBER, "name"), "--api-key is a secret by its name"),
    (change(True, *NUMBER, "isSecret"), "--max-rows is a secret with a default"),
    (change("DATABASE_URL", *VARIABLE, "name"), "DATABASE_URL is a secret by its name"),
    (change("db-path", *VARIABLE, "name"), "db-path is no name of a variable"),
    (change("named", *VARIABLE, "type"), "MCP_DB_PATH has the unknown key type"),
]


def test_a_good_entry_passes() -> None:
    assert lint_entry(GOOD, SQLITE) == []
    assert lint_surroundings(SQLITE) == []


@pytest.mark.parametrize(("breaking", "complaint"), BROKEN, ids=[complaint for _, complaint in BROKEN])
def test_a_broken_entry_is_complained_of(breaking: Callable[[Json], None], complaint: str) -> None:
    entry = copy.deepcopy(GOOD)
    breaking(entry)
    assert any(complaint in fault for fault in lint_entry(entry, SQLITE))


def test_a_positional_argument_behind_a_named_one_is_complained_of() -> None:
    entry = copy.deepcopy(GOOD)
    late = {"type": "positional", "valueHint": "file", "description": "A file."}
    entry["packages"][0]["packageArguments"].append(late)
    assert any("after a named one" in fault for fault in lint_entry(entry, SQLITE))


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("README.md", "<!-- mcp-name: ", "<!-- name: ", "has the marks []"),
        ("README.md", "/sqlite -->", "/other -->", "has the marks ['io.github.mcp-reference-servers/other']"),
        ("README.md", "/sqlite -->", "/sqlite --> Hello", "no line of its own"),
        ("../../Dockerfile", "LABEL io.modelcontextprotocol.server.name", "LABEL name", "Dockerfile has no line"),
        ("src/mcp_server_sqlite/__init__.py", '"0.1.0"', '"0.2.0"', "__version__ is not 0.1.0"),
    ],
)
def test_what_must_agree_with_an_entry_is_looked_at(
    name: str, old: str, new: str, complaint: str, tmp_path: Path
) -> None:
    folder = tmp_path / "servers" / "sqlite"
    shutil.copytree(SQLITE.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SQLITE.folder.parents[1] / "Dockerfile", tmp_path)
    file = folder / name
    assert old in file.read_text("utf-8")
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    assert any(complaint in fault for fault in lint_surroundings(Package(folder, SQLITE.distribution, SQLITE.version)))
