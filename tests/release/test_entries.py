"""The registry's entries: those in the tree are what the command lines make, and a command line takes what they say."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.house.source import ROOT

from mcp_kernel.cli import CommandLine, count
from mcp_release.entries import build_entry, build_list
from mcp_release.registry import build_files, find_drift, find_faults
from mcp_release.workspace import Package, find_servers

Json = dict[str, Any]

SERVERS = find_servers()
SCHEMA = ROOT.parent / "shared" / "spec" / "registry" / "server.schema.json"
SAMPLES = {"number": "7", "boolean": "true", "filepath": "{folder}", "string": "orders.note"}
ODD = {
    "dsn": "postgresql://localhost/x",
    "--database-url": "postgresql://localhost/x",
    "--chroma-url": "http://localhost:1",
    "--embedder-url": "http://localhost:2",
    "--set-local": "app.user=sub",
}
"""What a value must look like where the format alone does not say."""

each_server = pytest.mark.parametrize("package", SERVERS, ids=lambda package: package.name)


def entry_of(package: Package) -> Json:
    return json.loads((package.folder / "server.json").read_text("utf-8"))


def test_every_server_of_the_checkout_is_registered() -> None:
    folders = {path.parent.name for path in ROOT.glob("servers/*/pyproject.toml")}
    assert {package.name for package in SERVERS} == folders
    assert len(folders) >= 6


def test_nothing_drifted_from_the_command_lines() -> None:
    assert find_drift(build_files()) == []


def test_a_file_that_drifted_is_named(tmp_path: Path) -> None:
    files = dict.fromkeys(build_files(), "{}")
    assert len(find_drift(files)) == len(SERVERS) + 1


def test_the_entries_keep_the_rules_of_the_house() -> None:
    assert find_faults() == []


def test_the_catalogue_holds_every_entry_once() -> None:
    catalogue = json.loads((ROOT / "registry.json").read_text("utf-8"))
    assert [each["server"] for each in catalogue["servers"]] == [entry_of(package) for package in SERVERS]
    assert catalogue["metadata"] == {"count": len(SERVERS)}
    assert build_list([]) == {"servers": [], "metadata": {"count": 0}}


@pytest.mark.skipif(not SCHEMA.is_file(), reason="the registry's schema does not lie in ../shared/spec")
@each_server
def test_the_registry_s_schema_takes_every_entry(package: Package) -> None:
    validator: Any = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
    validator.validate(entry_of(package))
    assert not validator.is_valid({**entry_of(package), "description": "x" * 101})


@each_server
def test_every_option_of_the_server_is_in_its_entry_and_no_other(package: Package) -> None:
    (started,) = entry_of(package)["packages"]
    named = [each.get("name", each.get("valueHint")) for each in started.get("packageArguments", [])]
    assert named == [option.name for option in package.command_line().own_options()]
    shared = {option.name for option in CommandLine("x", "1", "y").own_options()}
    assert not shared


@each_server
def test_a_command_line_made_of_the_entry_alone_is_understood(package: Package, tmp_path: Path) -> None:
    """A client fills in every argument as the schema says, `--flag=value`, and the server's parser takes it."""
    (started,) = entry_of(package)["packages"]
    words: list[str] = []
    for argument in started.get("packageArguments", []):
        name = argument.get("name", argument.get("valueHint"))
        sample = argument.get("default") or SAMPLES[argument.get("format", "string")]
        value = ODD.get(name, sample).format(folder=tmp_path)
        words += [value if argument["type"] == "positional" else f"{name}={value}"]
    assert isinstance(package.command_line().parse_args(words), Namespace)


def test_an_entry_says_what_the_parser_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    line = CommandLine("mcp-server-x", "1.2.3", "Does x.", title="The X")
    add = line.add_argument_group("options of this server").add_argument
    add("place", nargs="*", metavar="DIR", help="where (default: here)")
    add("--most", type=count, default=5, metavar="N", help="the most (default: 5)")
    add("--way", choices=("a", "b"), default="a", help="which way")
    add("--password", metavar="PASSWORD", help="the word")
    add("--bold", action="store_true", help="be bold (environment: X_BOLD)")
    line.add_variable("X_MOST", "the most, where --most is not given", instead_of="--most")
    package = Package(ROOT / "servers" / "x", "mcp-server-x", "1.2.3")
    monkeypatch.setattr(Package, "command_line", lambda self: line)  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]  # one line that is given back
    (started,) = json.loads(json.dumps(build_entry(package)))["packages"]
    assert started["packageArguments"] == [
        {
            "type": "positional",
            "valueHint": "place",
            "description": "Where.",
            "format": "filepath",
            "isRepeated": True,
        },
        {
            "type": "named",
            "name": "--most",
            "description": "The most.",
            "format": "number",
            "default": "5",
            "isRequired": True,
        },
        {"type": "named", "name": "--way", "description": "Which way.", "choices": ["a", "b"], "default": "a"},
        {"type": "named", "name": "--password", "description": "The word.", "isSecret": True},
        {"type": "named", "name": "--bold", "description": "Be bold.", "format": "boolean", "default": "false"},
    ]
    assert started["environmentVariables"] == [
        {"name": "X_MOST", "description": "The most, where --most is not given."}
    ]


@pytest.mark.parametrize(
    ("words", "bold"),
    [(["--bold"], True), (["--bold=true"], True), (["--bold=false"], False), ([], False)],
)
def test_a_switch_is_read_in_the_registry_s_spelling_too(words: list[str], bold: bool) -> None:
    line = CommandLine("mcp-server-x", "1", "Does x.")
    line.add_argument("--bold", action="store_true")
    line.add_argument("rest", nargs="*")
    assert line.parse_args(words).bold is bold
    assert line.parse_args(["--", "--bold=true"]).rest == ["--bold=true"]
    with pytest.raises(SystemExit, match="2"):
        line.parse_args(["--bold=yes"])


def test_the_help_names_the_variables() -> None:
    line = CommandLine("mcp-server-x", "1", "Does x.")
    assert "environment:" not in line.format_help()
    line.add_variable("X_KEY", "the key", secret=True)
    assert line.format_help().endswith("environment:\n  X_KEY\n      The key.\n")
