"""`build-registry`: write every server's `server.json` and the catalogue `registry.json`; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mcp_release.entries import Json, build_entry, build_list
from mcp_release.linting import lint_entry, lint_surroundings
from mcp_release.workspace import ROOT, find_servers


def build_files(root: Path = ROOT) -> dict[Path, str]:
    """The files of the registry with what must stand in them."""
    packages = find_servers(root)
    entries = [build_entry(package) for package in packages]
    files = {package.folder / "server.json": _write(entry) for package, entry in zip(packages, entries, strict=True)}
    return {**files, root / "registry.json": _write(build_list(entries))}


def find_drift(files: dict[Path, str]) -> list[str]:
    """The files that are not there, or not as they must be."""
    return [
        f"{path.relative_to(ROOT)} is not what `uv run build-registry` makes"
        for path, text in files.items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]


def find_faults(root: Path = ROOT) -> list[str]:
    """What the linter has to say about the entries and about what must agree with them."""
    found: list[str] = []
    for package in find_servers(root):
        faults = [*lint_entry(build_entry(package), package), *lint_surroundings(package)]
        found += [f"{package.name}: {fault}" for fault in faults]
    return found


def main() -> None:
    """Follow the command line; the exit code is 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="build-registry", description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    arguments = parser.parse_args()
    files = build_files()
    if not arguments.check:
        for path, text in files.items():
            path.write_text(text, "utf-8")
    problems = [*find_drift(files), *find_faults()]
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or f"{len(files)} files, as they must be\n")
    sys.exit(1 if problems else 0)


def _write(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
