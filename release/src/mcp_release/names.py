"""`check-names`: may an entry be published? Only where the index has our package under the name that it gives.

The registry's own proof is used: the description that the index shows for this very version names the server
(`mcp-name:`). Who else has the name of a package would otherwise be started by everybody who trusts our entry.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Final, cast
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from mcp_release.workspace import Package, find_servers

INDEX: Final = "https://pypi.org/pypi"
_PATIENCE: Final = 30.0  # seconds
_MARK: Final = re.compile(r"mcp-name:\s*([A-Za-z0-9./_-]+)(?=\s|<|-->|$)")


def find_obstacle(package: Package, index: str = INDEX) -> str | None:
    """Why the entry of a package may not be published; None where it may. Raises `URLError`."""
    name, version = package.distribution, package.version
    published = _read(f"{index}/{name}/{version}/json")
    if published is not None:
        return None if _names(published, package) else f"{name} {version} in the index is not ours"
    latest = _read(f"{index}/{name}/json")
    if latest is None:
        return f"{name} is not published"
    if _names(latest, package):
        return f"{name} {version} is not published yet"
    return f"the name {name} belongs to others"


def _names(project: dict[str, object], package: Package) -> bool:
    info = project.get("info")
    text = cast("dict[str, object]", info).get("description") if isinstance(info, dict) else ""
    return package.registered in _MARK.findall(str(text))


def _read(url: str) -> dict[str, object] | None:
    """What the index says of a project, None where it has none. Raises `URLError`, also for what is no JSON."""
    try:
        with urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310  # the index's address is the operator's
            return cast("dict[str, object]", json.load(answer))
    except HTTPError as error:
        if error.code == 404:
            return None
        raise
    except ValueError as error:
        raise URLError(f"no JSON at {url}: {error}") from None


def main() -> None:
    """Follow the command line; the exit code is 0 where every entry may be published."""
    packages = {package.distribution: package for package in find_servers()}
    parser = argparse.ArgumentParser(prog="check-names", description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a server's package (default: all)")
    parser.add_argument("--index", default=INDEX, metavar="URL", help=f"the index's JSON API (default: {INDEX})")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(packages)
    if unknown:
        parser.error(f"there is no server {', '.join(sorted(unknown))}; there are {', '.join(packages)}")
    forbidden = False
    for name in arguments.names or packages:
        try:
            obstacle = find_obstacle(packages[name], arguments.index)
        except URLError as error:  # without a proof nothing is published
            obstacle = f"{name} cannot be looked up: {error}"
        forbidden |= obstacle is not None
        sys.stdout.write(f"{packages[name].registered}: {obstacle or 'may be published'}\n")
    sys.exit(1 if forbidden else 0)
