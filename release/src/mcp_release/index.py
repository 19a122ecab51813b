"""`build-index`: a simple index (PEP 503) of static files, made of the wheels in a folder.

Any web server can serve it. Installers take a package from the first index that has it, so that one's own index, named
with `--index`, decides what `mcp-server-sqlite` means.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import re
import shutil
import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path
from typing import Final

from mcp_release.workspace import find_servers

_PAGE: Final = '<!DOCTYPE html>\n<html><head><meta name="pypi:repository-version" content="1.0"></head><body>\n'
_END: Final = "</body></html>\n"


def build_index(wheels: Path, target: Path, names: list[str]) -> dict[str, list[str]]:
    """Write the index of the wheels of these packages; returns the wheels by the packages' names.

    Each wheel stands beside its page, with its metadata for installers that read these first (PEP 658).
    """
    found: dict[str, list[str]] = {}
    for wheel in sorted(wheels.glob("*.whl")):
        name = re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        if name in names:
            found.setdefault(name, []).append(wheel.name)
    for name, files in found.items():
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        links = [_add_wheel(wheels / file, folder) for file in files]
        (folder / "index.html").write_text(_PAGE + "".join(links) + _END, "utf-8")
    target.mkdir(parents=True, exist_ok=True)
    projects = [f'<a href="{name}/">{name}</a><br>\n' for name in found]
    (target / "index.html").write_text(_PAGE + "".join(projects) + _END, "utf-8")
    return found


def _add_wheel(wheel: Path, folder: Path) -> str:
    """Put a wheel and its metadata into a folder of the index; returns the link to it."""
    shutil.copyfile(wheel, folder / wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        metadata = archive.read(inside)
    (folder / f"{wheel.name}.metadata").write_bytes(metadata)
    needed = html.escape(BytesParser().parsebytes(metadata, headersonly=True).get("Requires-Python", ""))
    digest, described = (hashlib.sha256(data).hexdigest() for data in (wheel.read_bytes(), metadata))
    python = f' data-requires-python="{needed}"' if needed else ""
    return (
        f'<a href="{wheel.name}#sha256={digest}"{python} data-core-metadata="sha256={described}">{wheel.name}</a><br>\n'
    )


def main() -> None:
    """Follow the command line."""
    parser = argparse.ArgumentParser(prog="build-index", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("wheels", nargs="?", type=Path, default=Path("dist"), metavar="DIR", help="where they are (default: dist)")
    add("--out", type=Path, metavar="DIR", help="where to (default: index, in the folder of the wheels)")
    arguments = parser.parse_args()
    target: Path = arguments.out or arguments.wheels / "index"
    found = build_index(arguments.wheels, target, ["mcp-kernel", *(package.distribution for package in find_servers())])
    if not found:
        sys.exit(f"build-index: {arguments.wheels} has no wheels of ours: uv build --all-packages --wheel -o dist")
    sys.stdout.write(f"{target}: {', '.join(found)}\n")
