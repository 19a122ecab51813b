"""Which repository a call means, within what the command line and the client's roots allow."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from mcp_kernel import Context

from .area import Area
from .names import show
from .refusals import NothingThere, Refusal
from .repository import Repositories, Repository


class Choice:
    """Picks repositories for handlers."""

    def __init__(self, repositories: Repositories) -> None:
        self.repositories = repositories

    async def pick(self, context: Context, path: str | None) -> Repository:
        """Give the repository at a path, or the only one that is allowed; asks for the client's roots."""
        return self.repositories.find(path, await self.area(context))

    async def pick_named(self, context: Context, name: str) -> Repository:
        """Give the allowed repository whose directory has this name."""
        return choose(self.repositories.listed(await self.area(context)), name)

    async def area(self, context: Context) -> Area:
        """Give what a call may use: fail closed where neither the command line nor the client says anything."""
        ceiling = self.repositories.ceiling
        roots = await context.roots() if context.supports(roots={}) else []
        if not roots:  # an empty list narrows nothing, and allows nothing
            if not ceiling.directories:
                raise Refusal(
                    "No repository is allowed. Start the server with --repository PATH, or use a client that gives its "
                    "roots (the directories that it works on)."
                )
            return ceiling
        paths = list(_read_roots(each.uri for each in roots))
        if not ceiling.directories:
            if not paths:
                raise Refusal(
                    "None of the client's roots is a directory on this machine. Start with --repository PATH."
                )
            return Area.of(paths)
        area = Area.of(ceiling.directories, paths or [Path(os.devnull)])
        if not any(area.admits(each) for each in area.directories) and not _holds_any(ceiling, area.within):
            raise Refusal(f"The client's roots and the allowed repositories have nothing in common. {area.say()}")
        return area


def _holds_any(area: Area, paths: Iterable[Path]) -> bool:
    return any(area.holds(each) for each in paths)


def choose(repositories: list[Repository], name: str) -> Repository:
    """Give the one repository of a name; raises `NothingThere`."""
    found = [each for each in repositories if each.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise NothingThere(
            f"Several allowed repositories are called {show(name)}; use the tools with repo_path instead."
        )
    raise NothingThere(f"No allowed repository is called {show(name)}.")


def _read_roots(uris: Iterable[str]) -> Iterable[Path]:
    """Read `file://` URIs, decoded once; one that names no local path is passed over."""
    for uri in uris:
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            continue
        path = os.fsdecode(unquote_to_bytes(parts.path))
        if path.startswith("/") and "\0" not in path:
            yield Path(path)
