"""The tools that read."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from mcp_kernel import Context, Server

from .annotation import Blame, blame
from .branches import Branches, Kind, list_branches
from .diffs import Diff, diff_staged, diff_target, diff_unstaged
from .history import Log, Search, read_log
from .searching import Matches, grep
from .server_choice import Choice
from .showing import Shown, read_revision
from .status import Status, read_status

ContextLines = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]


def add_reading_tools(server: Server, choice: Choice) -> None:
    """Declare them."""
    _add_differences(server, choice)
    _add_history(server, choice)
    _add_lines(server, choice)


def _add_differences(server: Server, choice: Choice) -> None:
    @server.tool(read_only=True, open_world=False)
    async def git_status(ctx: Context, repo_path: str | None = None) -> Status:
        """Show the state of the work tree: branch, upstream, what is staged, unstaged, untracked and in conflict.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
        """
        return await read_status(await choice.pick(ctx, repo_path))

    @server.tool(read_only=True, open_world=False)
    async def git_diff_unstaged(
        ctx: Context, repo_path: str | None = None, context_lines: ContextLines = 3, cursor: str | None = None
    ) -> Diff:
        """Show changes in the work tree that are not staged yet.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            context_lines: Unchanged lines to show around each change.
            cursor: next_cursor of the answer before, to go on with a long one.
        """
        return await diff_unstaged(await choice.pick(ctx, repo_path), context_lines, cursor)

    @server.tool(read_only=True, open_world=False)
    async def git_diff_staged(
        ctx: Context, repo_path: str | None = None, context_lines: ContextLines = 3, cursor: str | None = None
    ) -> Diff:
        """Show changes that are staged for the next commit.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            context_lines: Unchanged lines to show around each change.
            cursor: next_cursor of the answer before, to go on with a long one.
        """
        return await diff_staged(await choice.pick(ctx, repo_path), context_lines, cursor)

    @server.tool(read_only=True, open_world=False)
    async def git_diff(
        ctx: Context,
        *,
        repo_path: str | None = None,
        target: str,
        context_lines: ContextLines = 3,
        cursor: str | None = None,
    ) -> Diff:
        """Show what differs between the work tree and a branch or commit, or between two commits.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            target: A branch, tag or commit to compare the work tree with; A..B compares two commits, A...B what B
                brought since it left A.
            context_lines: Unchanged lines to show around each change.
            cursor: next_cursor of the answer before, to go on with a long one.
        """
        return await diff_target(await choice.pick(ctx, repo_path), target, context_lines, cursor)


def _add_history(server: Server, choice: Choice) -> None:
    @server.tool(read_only=True, open_world=False)
    async def git_log(
        ctx: Context,
        *,
        repo_path: str | None = None,
        max_count: Count = 10,
        start_timestamp: str | None = None,
        end_timestamp: str | None = None,
        path: str | None = None,
        author: str | None = None,
        cursor: str | None = None,
    ) -> Log:
        """Show commits, the newest first, with author, committer, dates and message.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            max_count: How many commits at most.
            start_timestamp: Only commits from this time on: ISO 8601 (2024-01-15T14:30:25), a date (2024-01-15, Jan 15
                2024: the whole day), or how long ago (2 weeks ago, yesterday).
            end_timestamp: Only commits up to this time, in the same forms.
            path: Only commits that touch this file or directory, from the top of the repository.
            author: A part of the author's name or address.
            cursor: next_cursor of the answer before, to go on with a long one.
        """
        search = Search(max_count, start_timestamp, end_timestamp, path, author, cursor)
        return await read_log(await choice.pick(ctx, repo_path), search)

    @server.tool(read_only=True, open_world=False)
    async def git_show(
        ctx: Context, *, repo_path: str | None = None, revision: str, cursor: str | None = None
    ) -> Shown:
        """Show a commit with its changes, or a file or directory as it was: REVISION:PATH.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            revision: A branch, tag, commit, or HEAD~1 and the like; with a colon and a path, a file or directory in it.
            cursor: next_cursor of the answer before, to go on with a long one.
        """
        return await read_revision(await choice.pick(ctx, repo_path), revision, cursor)

    @server.tool(read_only=True, open_world=False)
    async def git_branch(
        ctx: Context,
        *,
        repo_path: str | None = None,
        branch_type: Kind,
        contains: str | None = None,
        not_contains: str | None = None,
    ) -> Branches:
        """List branches.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            branch_type: local, remote or all.
            contains: Only branches with this commit in their history.
            not_contains: Only branches without this commit in their history.
        """
        return await list_branches(await choice.pick(ctx, repo_path), branch_type, contains, not_contains)


def _add_lines(server: Server, choice: Choice) -> None:
    @server.tool(read_only=True, open_world=False)
    async def git_blame(
        ctx: Context,
        *,
        repo_path: str | None = None,
        path: str,
        start_line: Count | None = None,
        end_line: Count | None = None,
    ) -> Blame:
        """Show for each line of a file which commit changed it last, and who wrote it.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            path: The file, from the top of the repository.
            start_line: The first line to show, from 1.
            end_line: The last line to show.
        """
        return await blame(await choice.pick(ctx, repo_path), path, start_line, end_line)

    @server.tool(read_only=True, open_world=False)
    async def git_grep(
        ctx: Context, *, repo_path: str | None = None, pattern: str, revision: str | None = None
    ) -> Matches:
        """Search tracked files for lines that match an extended regular expression.

        Args:
            repo_path: The repository, or a directory in it; may be left out where one repository is allowed.
            pattern: A POSIX extended regular expression; case counts.
            revision: Search this branch, tag or commit instead of the work tree.
        """
        return await grep(await choice.pick(ctx, repo_path), pattern, revision)
