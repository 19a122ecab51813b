"""MCPB bundles: what a host is told, and that a server comes out of each of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.suite import Missing, fetch
from tests.transports.host import Host

from mcp_release.bundles import build_bundle, build_manifest, build_wheels
from mcp_release.launcher import read
from mcp_release.workspace import Package, find_servers

Json = dict[str, Any]

SERVERS = find_servers()
MCPB = Path(__file__).parent / "mcpb"
SETTINGS: dict[str, Json] = {
    "filesystem": {"directories": ["{folder}", "{folder}/two words"]},
    "git": {"repository": ["{folder}"], "read_only": True},
    "postgres": {"database_url": "postgresql://me@127.0.0.1:1/none", "deny_table": "a 'b c'"},
    "sqlite": {"db_path": ["{folder}/shop.db"], "sample": True, "deny_table": "orders reviews", "max_rows": 7},
    "ticketing": {"db_path": "{folder}/tickets.db"},
    "vector": {"data_dir": "{folder}/vectors"},
}

each_server = pytest.mark.parametrize("package", SERVERS, ids=lambda package: package.name)


def fill_in(value: Any, settings: Json) -> Any:
    """Put settings in place of placeholders, as the format's own code does (`mcpb`, `src/shared/config.ts`).

    A list becomes as many words where the placeholder is a word of its own; what is not set stays as it is.
    """
    if isinstance(value, dict):
        return {key: fill_in(each, settings) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]  # as JSON is
    if isinstance(value, list):
        words: list[Any] = []
        for each in value:  # pyright: ignore[reportUnknownVariableType]  # as JSON is
            alone = re.fullmatch(r"\$\{([^}]+)\}", str(each))  # pyright: ignore[reportUnknownArgumentType]  # as JSON is
            several = settings.get(alone[1]) if alone else None
            words += [str(one) for one in several] if isinstance(several, list) else [fill_in(each, settings)]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]  # as JSON is
        return words
    for key, setting in settings.items():
        written = str(setting).lower() if isinstance(setting, bool) else str(setting)
        value = value.replace(f"${{{key}}}", written)
    return value


def configure(manifest: Json, folder: Path, settings: Json) -> tuple[list[str], dict[str, str]]:
    """The command and the variables with which a host starts a bundle."""
    defaults = {key: each["default"] for key, each in manifest["user_config"].items() if "default" in each}
    chosen = {f"user_config.{key}": value for key, value in {**defaults, **settings}.items()}
    config = fill_in(manifest["server"]["mcp_config"], {"__dirname": str(folder), **chosen})
    return [config["command"], *config["args"]], config["env"]


@each_server
def test_every_setting_has_a_default_or_is_required_and_is_used_once(package: Package) -> None:
    manifest = build_manifest(package)
    config = json.dumps(manifest["server"])
    settings: Json = json.loads(json.dumps(manifest["user_config"]))
    used = re.findall(r"\$\{user_config\.(\w+)\}", config)
    assert sorted(used) == sorted(settings)
    for name, setting in settings.items():
        assert {"type", "title", "description", "required"} <= set(setting)
        assert ("default" in setting) != (setting["required"] or "sensitive" in setting), name


@each_server
def test_no_secret_comes_onto_a_command_line(package: Package) -> None:
    line = package.command_line()
    config = json.loads(json.dumps(build_manifest(package)["server"]))["mcp_config"]
    for option in line.own_options():
        assert not option.secret or f"user_config.{option.name.lstrip('-')}}}" not in json.dumps(config)
    assert set(config["env"]) == {variable.name for variable in line.variables if variable.secret}


@each_server
def test_a_bundle_in_which_nothing_optional_is_set_starts_with_the_defaults(package: Package, tmp_path: Path) -> None:
    manifest = json.loads(json.dumps(build_manifest(package)))
    needed = {key: [str(tmp_path)] for key, each in manifest["user_config"].items() if each["required"]}
    command, _ = configure(manifest, tmp_path, needed)
    words = read(command[command.index(package.distribution) + 1 :])
    line = package.command_line()
    chosen = vars(line.parse_args(words))
    bare = [word for option in line.own_options() if option.required for word in (option.name, str(tmp_path))]
    assert {key: str(value) for key, value in chosen.items()} == {
        key: str(value) for key, value in vars(line.parse_args(bare)).items()
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--path", "/a", "/b c", "--bold=true"], ["--path", "/a", "/b c", "--bold=true"]),
        (["--path", "--bold=false"], ["--bold=false"]),
        (["--path", "${user_config.path}"], []),
        (["/a", "--note=", "--other=${user_config.other}"], ["/a"]),
        (["--split", "--deny=a 'b c'", "--mask=", "--x=${user_config.x}"], ["--deny=a", "--deny=b c"]),
        (["--x=a=b", "--path"], ["--x=a=b"]),
    ],
)
def test_what_a_host_leaves_unset_is_left_out(words: list[str], expected: list[str]) -> None:
    assert read(words) == expected


def test_a_setting_that_cannot_be_read_ends_the_server() -> None:
    with pytest.raises(SystemExit, match="the setting --deny cannot be read"):
        read(["--split", "--deny=it's"])


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every bundle, built."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not on the PATH")
    folder = tmp_path_factory.mktemp("bundles")
    build_wheels(folder / "wheels", "mcp-kernel", *(package.distribution for package in SERVERS))
    return {package.name: build_bundle(package, folder / "wheels", folder) for package in SERVERS}


@pytest.mark.slow
@each_server
def test_a_bundle_that_is_unpacked_talks(package: Package, bundles: dict[str, Path], tmp_path: Path) -> None:
    home, folder = tmp_path / "extension", tmp_path / "data"
    (folder / "two words").mkdir(parents=True)
    zipfile.ZipFile(bundles[package.name]).extractall(home)
    manifest = json.loads((home / "manifest.json").read_text())
    settings = json.loads(json.dumps(SETTINGS.get(package.name, {})).replace("{folder}", str(folder)))
    command, variables = configure(manifest, home, settings)
    surroundings = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    subprocess.run(["uv", "sync", "--quiet"], cwd=home, env=surroundings, timeout=300, check=True)
    with Host(command, environment={**variables, "VIRTUAL_ENV": "", "PYTHONPATH": ""}) as host:
        host.open()
        assert host.request("tools/list")["tools"]
        if package.name == "sqlite":
            listed = host.call("list_tables")["structuredContent"]["tables"]
            assert {table["name"] for table in listed}.isdisjoint({"orders", "reviews"})
            result = host.call("query", sql="SELECT name FROM customers")["structuredContent"]
            assert result["row_count"] == 7


@pytest.mark.slow
def test_the_command_builds_the_bundles_that_are_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from mcp_release.bundles import main; main()"]
    done = subprocess.run([*command, "mcp-server-git", "--out", tmp_path], capture_output=True, timeout=120, check=True)
    assert [str(path) for path in tmp_path.iterdir()] == done.stdout.decode().splitlines()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mcpb"]
    assert subprocess.run([*command, "none"], capture_output=True, timeout=120, check=False).returncode == 2


@pytest.mark.slow
def test_the_format_s_own_validator_takes_every_manifest(bundles: dict[str, Path], tmp_path: Path) -> None:
    try:
        folder = fetch(tmp_path, MCPB)
        node = shutil.which("node") or "node"
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"mcpb was not run: {missing}")
    program = folder / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
    manifest = tmp_path / "manifest.json"
    for bundle in bundles.values():
        manifest.write_bytes(zipfile.ZipFile(bundle).read("manifest.json"))
        done = subprocess.run([node, program, "validate", manifest], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
    manifest.write_text('{"manifest_version": "0.4"}')
    assert subprocess.run(
        [node, program, "validate", manifest], capture_output=True, timeout=60, check=False
    ).returncode


def test_the_same_wheels_make_the_same_bundle(tmp_path: Path) -> None:
    (package, *_) = SERVERS
    for name in ("mcp_kernel", package.module):
        (tmp_path / f"{name}-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    first, second = (build_bundle(package, tmp_path, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second
    with pytest.raises(ValueError, match="not enough values"):
        build_bundle(package, tmp_path / "none", tmp_path)
