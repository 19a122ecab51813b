"""The tools that walk trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from mcp_kernel import Context, Server

from .listing import draw_tree
from .sandbox import Policy
from .searching import MOST_HITS, ContentMatches, Found, Query, search_contents, search_names
from .server_calls import Calls
from .server_reading import Texts
from .server_spreading import spread
from .walking import MOST_LEVELS, Bounds

_NAMES_SECONDS = 10.0
_CONTENTS_SECONDS = 20.0
Levels = Annotated[int, Ge(1), Le(MOST_LEVELS)]


@dataclass(frozen=True, slots=True)
class ContentSearch:
    """The arguments of search_file_contents."""

    query: str
    path: str = "."
    regex: bool = False
    include: list[str] | None = None
    exclude: list[str] | None = None
    context: Annotated[int, Ge(0), Le(20)] = 0
    maxResults: Annotated[int, Ge(1), Le(MOST_HITS)] = 100  # noqa: N815  # the wire's spelling


def add_walkers(server: Server, calls: Calls) -> None:
    """Add the tree and the searches."""
    policy = calls.sandbox.policy

    @server.tool(title="Directory tree", read_only=True, open_world=False)
    async def directory_tree(  # pyright: ignore[reportUnusedFunction]  # registered
        path: str,
        ctx: Context,
        excludePatterns: list[str] | None = None,  # noqa: N803  # the wire's spelling
        maxDepth: Levels = MOST_LEVELS,  # noqa: N803  # the wire's spelling
    ) -> Texts:
        """Show a directory and all below it as JSON: name, type (file or directory), children.

        Leaves out what .gitignore names. Large trees are cut at their lower levels, which is then said.

        Args:
            path: A directory.
            excludePatterns: Globs of what to leave out, as node_modules or **/*.pyc.
            maxDepth: How many levels.
        """
        text, remarks = await calls.run(
            ctx,
            lambda scope, errand: draw_tree(
                scope, path, _bound(policy, excludePatterns, maxDepth), policy.max_bytes, errand
            ),
            _NAMES_SECONDS,
        )
        return [text, *([f"({' '.join(remarks)})"] if remarks else [])]

    _add_searches(server, calls)


def _bound(policy: Policy, exclude: list[str] | None, levels: int = MOST_LEVELS) -> Bounds:
    return Bounds(tuple(exclude or ()), policy.gitignore, policy.max_entries, levels)


def _add_searches(server: Server, calls: Calls) -> None:
    policy = calls.sandbox.policy

    @server.tool(title="Search files", read_only=True, open_world=False)
    async def search_files(  # pyright: ignore[reportUnusedFunction]  # registered
        path: str,
        pattern: str,
        ctx: Context,
        excludePatterns: list[str] | None = None,  # noqa: N803  # the wire's spelling
    ) -> Found:
        """Find files and directories by a glob on their path below a directory; answers with full paths.

        *.py fits only in the directory itself, **/*.py also in all below it.

        Args:
            path: Where to look.
            pattern: A glob: *, ?, [a-z], {a,b}, and ** for any directories.
            excludePatterns: Globs of what to leave out, as node_modules or **/*.pyc.
        """
        return await calls.run(
            ctx,
            lambda scope, errand: search_names(scope, path, pattern, _bound(policy, excludePatterns), errand),
            _NAMES_SECONDS,
        )

    @server.tool(title="Search file contents", read_only=True, open_world=False)
    @spread(ContentSearch)
    async def search_file_contents(request: ContentSearch, ctx: Context) -> ContentMatches:  # pyright: ignore[reportUnusedFunction]  # registered
        """Find a text, or a regular expression, in files; answers with path, line and text of each match.

        Args:
            query: The text, with case; or with regex an expression of Python's re, ^ and $ at every line.
            path: A directory, or one file; the first allowed directory when left out.
            regex: Whether query is a regular expression.
            include: Globs of the files to look into, as *.py or src/**/*.ts.
            exclude: Globs of what to leave out, as node_modules or **/*.min.js.
            context: How many lines to show before and after each match.
            maxResults: How many matches at most.
        """
        query = Query(request.query, request.regex, tuple(request.include or ()), request.context, request.maxResults)
        return await calls.run(
            ctx,
            lambda scope, errand: search_contents(scope, request.path, query, _bound(policy, request.exclude), errand),
            _CONTENTS_SECONDS,
        )
