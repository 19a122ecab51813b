"""`build-bundles`: one MCPB bundle for each server, which a host such as Claude Desktop installs by a click.

The format is the manifest of version 0.4 (modelcontextprotocol/mcpb, MANIFEST.md and its schema), with a server of the
type `uv`: the bundle has our wheels, and the host's uv installs them with what they need, for whatever platform it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_release.workspace import ROOT, Package, find_servers

if TYPE_CHECKING:
    from mcp_kernel.cli import Option

Json = dict[str, object]

_TYPES: Final = {"text": "string", "number": "number", "file": "file", "directory": "directory", "switch": "boolean"}
_PLATFORMS: Final = ("darwin", "linux", "win32")
_UNSERVED: Final = {"filesystem": ("win32",)}  # what a server itself refuses to run on
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)  # of every file in a bundle, so that the same sources make the same bytes
_PROJECT: Final = """\
[project]
name = "{name}-bundle"
version = "{version}"
requires-python = ">=3.11"
dependencies = ["{name}", "mcp-kernel"]

[tool.uv]
package = false

[tool.uv.sources]
{name} = {{ path = "wheels/{wheel}" }}
mcp-kernel = {{ path = "wheels/{kernel}" }}
"""


def build_manifest(package: Package) -> Json:
    """What the host is told: what to ask the user for, and how the server is started with it."""
    line = package.command_line()
    options = [option for option in line.own_options() if not option.secret]  # other users see a command line
    secrets = [variable for variable in line.variables if variable.secret]
    settings: Json = {_key(option.name): _setting(option) for option in options}
    for variable in secrets:
        settings[variable.name.lower()] = _describe(variable.name, variable.text) | {
            "type": "string",
            "sensitive": True,
            "required": False,
        }
    return {
        "manifest_version": "0.4",
        "name": package.distribution,
        "display_name": line.title,
        "version": package.version,
        "description": line.description,
        "author": {"name": "the maintainers of mcp-reference-servers"},
        "license": "MIT",
        "server": {
            "type": "uv",
            "entry_point": "server/main.py",
            "mcp_config": {
                "command": "uv",
                "args": [*_RUN, "${__dirname}/server/main.py", package.distribution, *_arguments(options)],
                "env": {variable.name: f"${{user_config.{variable.name.lower()}}}" for variable in secrets},
            },
        },
        "tools_generated": True,
        "compatibility": {
            "platforms": [name for name in _PLATFORMS if name not in _UNSERVED.get(package.name, ())],
            "runtimes": {"python": ">=3.11"},
        },
        "user_config": settings,
    }


_RUN: Final = ("run", "--quiet", "--directory", "${__dirname}", "--no-dev", "python")


def _arguments(options: list[Option]) -> list[str]:
    """The command line with a placeholder for each setting; see `launcher.py` for how it is read."""
    first = [_placeholder(option) for option in options if not option.name.startswith("-")]
    words: list[str] = []
    several: list[str] = []
    for option in options:
        if not option.name.startswith("-"):
            continue
        if option.repeated and option.kind in ("file", "directory"):
            words += [option.name, _placeholder(option)]  # which becomes as many words as there are values
        else:
            (several if option.repeated else words).append(f"{option.name}={_placeholder(option)}")
    return [*first, *words, *(["--split", *several] if several else [])]


def _setting(option: Option) -> Json:
    """One setting. Each has a default or is required: a host leaves the placeholder of any other as it is."""
    picked = option.kind in ("file", "directory")
    setting: Json = _describe(option.name, _explain(option)) | {
        "type": _TYPES[option.kind],
        "required": option.required,
    }
    if picked and option.repeated:
        setting["multiple"] = True
    if not option.required:
        setting["default"] = [] if picked and option.repeated else _default(option)
    return setting


def _default(option: Option) -> object:
    if option.kind == "switch":
        return option.default == "true"
    if option.kind == "number" and option.default is not None:
        return float(option.default) if "." in option.default else int(option.default)
    return option.default or ""


def _explain(option: Option) -> str:
    text = option.text
    if option.choices:
        text += f" One of: {', '.join(option.choices)}."
    if option.repeated and option.kind not in ("file", "directory"):
        text += " Several are separated by spaces."
    return text


def _describe(name: str, text: str) -> Json:
    words = name.lstrip("-").replace("-", " ").replace("_", " ")
    return {"title": words[:1].upper() + words[1:].lower() if not name.isupper() else name, "description": text}


def _key(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _placeholder(option: Option) -> str:
    return f"${{user_config.{_key(option.name)}}}"


def build_bundle(package: Package, wheels: Path, target: Path) -> Path:
    """Write the bundle of a server into a folder, with its wheel and the kernel's from another."""
    found = {name: _find_wheel(wheels, name) for name in (package.distribution, "mcp-kernel")}
    wheel, kernel = found.values()
    values = {"name": package.distribution, "version": package.version, "wheel": wheel.name, "kernel": kernel.name}
    files = {
        "manifest.json": (json.dumps(build_manifest(package), indent=2) + "\n").encode(),
        "pyproject.toml": _PROJECT.format(**values).encode(),
        "server/main.py": (Path(__file__).parent / "launcher.py").read_bytes(),
        "README.md": (package.folder / "README.md").read_bytes(),
        "LICENSE": (package.folder / "LICENSE").read_bytes(),
        **{f"wheels/{each.name}": each.read_bytes() for each in (wheel, kernel)},
    }
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{package.distribution}-{package.version}.mcpb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(zipfile.ZipInfo(name, _MOMENT), data, zipfile.ZIP_DEFLATED)
    return path


def _find_wheel(folder: Path, distribution: str) -> Path:
    (wheel,) = folder.glob(f"{distribution.replace('-', '_')}-*.whl")
    return wheel


def build_wheels(target: Path, *distributions: str) -> None:
    """Build the wheels of packages of the workspace. Raises `CalledProcessError`."""
    for distribution in distributions:
        command = ["uv", "build", "--quiet", "--wheel", "--package", distribution, "--out-dir", str(target)]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603  # uv, with the names of our packages


def main() -> None:
    """Follow the command line."""
    parser = argparse.ArgumentParser(prog="build-bundles", description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a server's package (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="where to (default: dist)")
    arguments = parser.parse_args()
    packages = [each for each in find_servers() if not arguments.names or each.distribution in arguments.names]
    if len(packages) < len(set(arguments.names)):
        parser.error(f"there are {', '.join(each.distribution for each in find_servers())}")
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        try:
            build_wheels(wheels, "mcp-kernel", *(package.distribution for package in packages))
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"build-bundles: the wheels cannot be built: {error}")
        for package in packages:
            sys.stdout.write(f"{build_bundle(package, wheels, arguments.out)}\n")
