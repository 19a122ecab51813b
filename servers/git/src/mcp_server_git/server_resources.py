"""Resources: any file at any revision, with completion, and word of changes to HEAD and the index."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from mcp_kernel import Context, Server

from .files import complete_paths, complete_revisions, read_file
from .refusals import Refusal
from .repository import Repository
from .server_choice import Choice, choose
from .watching import follow

TEMPLATE: Final = "git://{repo}/{revision}/{+path}"


def add_resources(server: Server, choice: Choice) -> None:
    """Declare them."""

    @server.resource(TEMPLATE, name="file", title="A file at a revision")
    async def file(ctx: Context, *, repo: str, revision: str, path: str) -> str | bytes:  # pyright: ignore[reportUnusedFunction]  # registered
        """A file, or the list of a directory, as it is in a commit.

        The repository is called by its directory's name; the revision is a branch, tag or commit (a slash in it as
        %2F), HEAD, or INDEX for what is staged.
        """
        return await read_file(await choice.pick_named(ctx, repo), revision, path)

    def listed() -> list[Repository]:
        return choice.repositories.listed(choice.repositories.ceiling)

    @server.complete(TEMPLATE, "repo")
    async def complete_repo(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [each.name for each in listed() if each.name.startswith(prefix)]

    @server.complete(TEMPLATE, "revision")
    async def complete_revision(prefix: str, repo: str | None = None) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return await _complete(listed(), repo, prefix)

    @server.complete(TEMPLATE, "path")
    async def complete_path(prefix: str, repo: str, revision: str = "HEAD") -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        try:
            return await complete_paths(choose(listed(), repo), revision, prefix)
        except Refusal:
            return []

    for prompt, argument in (("review-diff", "target"), ("changelog", "from"), ("changelog", "to")):

        @server.complete(prompt, argument)
        async def complete(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
            return await _complete(listed(), None, prefix)

    @server.watcher
    async def watch(subscribed: Iterable[str]) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        async with asyncio.TaskGroup() as group:
            for repository in listed():
                group.create_task(_watch_one(server, repository, subscribed))


async def _complete(repositories: list[Repository], repo: str | None, prefix: str) -> list[str]:
    found: list[str] = []
    for repository in repositories:
        if repo is None or repository.name == repo:
            try:
                found += await complete_revisions(repository, prefix)
            except Refusal:  # a list must answer while the repository cannot be used
                continue
    return list(dict.fromkeys(found))


async def _watch_one(server: Server, repository: Repository, subscribed: Iterable[str]) -> None:
    def wanted() -> list[str]:
        return [uri for uri in subscribed if unquote(uri).startswith(f"git://{repository.name}/")]

    async for uri in follow(repository, wanted):
        server.changed(uri)
