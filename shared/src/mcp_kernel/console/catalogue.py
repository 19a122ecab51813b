"""A catalogue of servers: a file in the list shape of the registry's API (`registry.json`), read and looked through.

Source: the registry's `openapi.yaml` of 2025-12-01, `ServerList` and `ServerResponse`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from mcp_kernel.console.terminal import Misuse

Json = dict[str, object]

OFFICIAL: Final = "io.modelcontextprotocol.registry/official"
"""The key below which a registry says what it knows of an entry beside the entry."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A version of a server. `updated` is when the registry came by it."""

    name: str
    version: str
    entry: Mapping[str, object]
    updated: datetime
    latest: bool = False
    known: Mapping[str, object] | None = None

    def to_json(self) -> Json:
        """The server as the API answers with it."""
        moment = self.updated.isoformat(timespec="seconds").replace("+00:00", "Z")
        official = {"status": "active", "publishedAt": moment, "updatedAt": moment, "isLatest": self.latest}
        return {"server": dict(self.entry), "_meta": {OFFICIAL: official, **(self.known or {})}}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: a part of the name, a version or `latest`, and since when it changed."""

    search: str = ""
    version: str = ""
    since: datetime | None = None

    def admits(self, listed: Listed) -> bool:
        """Tell whether a server is among what is looked for."""
        return (
            self.search.lower() in listed.name.lower()
            and (self.version in ("", listed.version) or (self.version == "latest" and listed.latest))
            and (self.since is None or listed.updated >= self.since)
        )


class Catalogue:
    """The servers of one file, by name; of one name the newest version comes first."""

    def __init__(self, servers: Sequence[Listed]) -> None:
        ordered = sorted(servers, key=lambda each: _weight(each.version), reverse=True)
        newest = {each.name: each for each in reversed(ordered)}
        self.servers = [
            Listed(each.name, each.version, each.entry, each.updated, newest[each.name] is each, each.known)
            for each in sorted(ordered, key=lambda each: each.name)
        ]

    def page(self, wanted: Wanted, limit: int, cursor: str = "") -> tuple[list[Listed], str | None]:
        """At most `limit` servers behind a cursor, and the cursor behind them, if there are more.

        Raises `ValueError` for a cursor that is none of ours.
        """
        places = {_cursor(each): place for place, each in enumerate(self.servers, 1)}
        if cursor and cursor not in places:
            raise ValueError("the cursor is unknown")
        found = [each for each in self.servers[places.get(cursor, 0) :] if wanted.admits(each)]
        shown = found[:limit]
        return shown, _cursor(shown[-1]) if len(found) > limit else None

    def versions(self, name: str) -> list[Listed]:
        """All versions of a server, the newest first."""
        return [each for each in self.servers if each.name == name]

    def find(self, name: str, version: str) -> Listed | None:
        """One version of a server, or `latest`."""
        return next((each for each in self.versions(name) if version in (each.version, "latest")), None)


def read_catalogue(path: Path) -> Catalogue:
    """Read a file. Raises `Misuse`, which says what is wrong with it."""
    try:
        text = path.read_text("utf-8-sig")
        updated = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Misuse(f"the catalogue {path} cannot be read: {reason}") from None
    try:
        return parse_catalogue(json.loads(text), updated)
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{path} is no catalogue: {error}") from None


def parse_catalogue(value: object, updated: datetime) -> Catalogue:
    """Make out the servers of a list as the API has it; raises `ValueError`."""
    servers = cast("Json", value).get("servers") if isinstance(value, dict) else None
    if not isinstance(servers, list):
        raise ValueError("it has no list of servers")
    listed = [_read_listed(each, updated) for each in cast("list[object]", servers)]
    names = [(each.name, each.version) for each in listed]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{' '.join(doubled)} stands there twice")
    return Catalogue(listed)


def _read_listed(value: object, updated: datetime) -> Listed:
    response = cast("Json", value) if isinstance(value, dict) else {}
    entry, meta = response.get("server"), response.get("_meta")
    if not isinstance(entry, dict):
        raise ValueError("an entry of the list has no server")
    server = cast("Json", entry)
    name, version = server.get("name"), server.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or name.count("/") != 1 or not version:
        raise ValueError(f"a server must have a name, as io.example/name, and a version; one has {name!a}, {version!a}")
    return Listed(name, version, server, updated, known=cast("Json", meta) if isinstance(meta, dict) else None)


def _cursor(listed: Listed) -> str:
    return f"{listed.name}:{listed.version}"


def _weight(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Versions in order: the numbers count, and what is only on the way to a version comes before it."""
    numbers, rest = cast("re.Match[str]", re.match(r"v?(\d+(?:\.\d+)*|)(.*)", version, re.DOTALL)).groups()
    return tuple(int(number) for number in numbers.split(".") if number), not rest or rest[0] == "+", rest
