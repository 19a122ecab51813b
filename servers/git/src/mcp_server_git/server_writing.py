"""The tools that change a repository; none of them reaches beyond it."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from mcp_kernel import Context, Server

from .branches import Moved, checkout, create_branch
from .changes import Committed, Staged, add, commit, reset
from .server_choice import Choice


def add_writing_tools(server: Server, choice: Choice) -> None:
    """Declare them."""

    @server.tool(destructive=False, open_world=False)
    async def git_commit(ctx: Context, *, repo_path: str | None = None, message: str) -> Committed:
        """Commit what is staged.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            message: The commit's message: a short first line, then a blank line and more where it helps.
        """
        return await commit(await choice.pick(ctx, repo_path), message)

    @server.tool(destructive=False, idempotent=True, open_world=False)
    async def git_add(ctx: Context, *, repo_path: str | None = None, files: Annotated[list[str], MinLen(1)]) -> Staged:
        """Stage files for the next commit.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            files: Files or directories, from the top of the repository; "." is everything.
        """
        return await add(await choice.pick(ctx, repo_path), files)

    @server.tool(destructive=True, idempotent=True, open_world=False)
    async def git_reset(ctx: Context, repo_path: str | None = None) -> Staged:
        """Unstage everything that is staged; the files themselves keep their changes.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
        """
        return await reset(await choice.pick(ctx, repo_path))

    @server.tool(destructive=False, open_world=False)
    async def git_create_branch(
        ctx: Context, *, repo_path: str | None = None, branch_name: str, base_branch: str | None = None
    ) -> Moved:
        """Make a branch, without switching to it.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            branch_name: The name of the new branch.
            base_branch: The branch, tag or commit that it begins at; HEAD where it is left out.
        """
        return await create_branch(await choice.pick(ctx, repo_path), branch_name, base_branch)

    @server.tool(destructive=False, open_world=False)
    async def git_checkout(ctx: Context, *, repo_path: str | None = None, branch_name: str) -> Moved:
        """Switch to a branch. Refused, with nothing changed, where uncommitted work would be lost.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            branch_name: A local branch, one of a remote to make a local one of, or a commit (detached).
        """
        return await checkout(await choice.pick(ctx, repo_path), branch_name)
