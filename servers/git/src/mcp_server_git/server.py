"""The server: what is offered of the allowed repositories, and how it is described to a model."""

from __future__ import annotations

from mcp_kernel import Server

from . import __version__
from .refusals import NothingThere, Refusal
from .repository import Repositories
from .server_choice import Choice
from .server_prompts import add_prompts
from .server_reading import add_reading_tools
from .server_resources import add_resources
from .server_writing import add_writing_tools


def build(repositories: Repositories) -> Server:
    """Make the server; a read-only policy leaves out every tool that changes a repository."""
    server = Server(
        "mcp-server-git",
        __version__,
        title="Git",
        instructions=_instructions(repositories),
        tool_errors=(Refusal,),
        not_found=(NothingThere,),
        follow_roots=True,
    )
    choice = Choice(repositories)
    add_reading_tools(server, choice)
    if not repositories.policy.read_only:
        add_writing_tools(server, choice)
    add_resources(server, choice)
    add_prompts(server, choice)

    @server.ready_check("repositories")
    async def check() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        repositories.check()

    @server.on_close
    async def close() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        repositories.close()

    return server


def _instructions(repositories: Repositories) -> str:
    allowed = ", ".join(str(each) for each in repositories.ceiling.directories)
    which = f"the git repositories {allowed}" if allowed else "the git repositories in the client's roots"
    writing = "Nothing can be changed." if repositories.policy.read_only else "Nothing is ever fetched or pushed."
    hooks = " Hooks run at a commit." if repositories.policy.run_hooks else " Hooks, filters and signing are not run."
    return (
        f"Reads and commits to {which}. {writing}{hooks} repo_path may be left out where one repository is allowed. "
        "Begin with git_status; long answers are cut, and next_cursor goes on."
    )
