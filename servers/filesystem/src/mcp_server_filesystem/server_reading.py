"""The tools that read files and list directories."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le

from mcp_kernel import Audio, Context, EmbeddedResource, Image, Server

from .addresses import to_uri
from .lines import Wish
from .listing import (
    AllowedDirectories,
    FileInfo,
    Listing,
    SizedListing,
    describe,
    list_allowed,
    list_folder,
    list_sized,
)
from .reading import Media, read_media, read_several, read_text
from .refusals import Refusal
from .server_calls import Calls

Count = Annotated[float, Ge(0), Le(2**53)]  # a number, as other servers have it
Line = Annotated[int, Ge(1)]
Texts = list[str | EmbeddedResource]


def add_readers(server: Server, calls: Calls) -> None:
    """Add what reads one file or more."""
    most = calls.sandbox.policy.max_bytes

    async def read(path: str, wish: Wish, ctx: Context) -> Texts:
        text = await calls.run(ctx, lambda scope, errand: read_text(scope, path, wish, most, errand))
        return [text.content, text.remark]

    @server.tool(title="Read text file", read_only=True, open_world=False)
    async def read_text_file(  # pyright: ignore[reportUnusedFunction]  # registered
        path: str,
        ctx: Context,
        head: Count | None = None,
        tail: Count | None = None,
        offset: Line | None = None,
        limit: Line | None = None,
    ) -> Texts:
        """Read a text file, whole or in part; says its encoding where that is not UTF-8, and its etag for ifMatch.

        Args:
            path: A file; a relative path counts from the first allowed directory.
            head: Only the first N lines.
            tail: Only the last N lines.
            offset: Begin at this line, counted from 1.
            limit: With offset: so many lines at most.
        """
        return await read(path, _to_wish(head, tail, offset, limit), ctx)

    @server.tool(title="Read file (deprecated)", read_only=True, open_world=False)
    async def read_file(path: str, ctx: Context, head: Count | None = None, tail: Count | None = None) -> Texts:  # pyright: ignore[reportUnusedFunction]  # registered
        """Read a text file. Deprecated: use read_text_file.

        Args:
            path: A file.
            head: Only the first N lines.
            tail: Only the last N lines.
        """
        return await read(path, _to_wish(head, tail, None, None), ctx)

    @server.tool(title="Read several files", read_only=True, open_world=False)
    async def read_multiple_files(paths: list[str], ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Read several text files at once; one that cannot be read says why in its place.

        Args:
            paths: Up to 100 files.
        """
        return await calls.run(ctx, lambda scope, errand: read_several(scope, paths, most, errand))

    @server.tool(title="Read media file", read_only=True, open_world=False)
    async def read_media_file(path: str, ctx: Context) -> Image | Audio | EmbeddedResource:  # pyright: ignore[reportUnusedFunction]  # registered
        """Read an image or audio file as such, any other file as its bytes.

        Args:
            path: A file of at most 10 MiB.
        """
        return _to_content(await calls.run(ctx, lambda scope, errand: read_media(scope, path, errand)))

    _add_listers(server, calls)


def _add_listers(server: Server, calls: Calls) -> None:
    entries = calls.sandbox.policy.max_entries

    @server.tool(title="List directory", read_only=True, open_world=False)
    async def list_directory(path: str, ctx: Context) -> Listing:  # pyright: ignore[reportUnusedFunction]  # registered
        """List what a directory holds: [DIR], [FILE], and [DENIED] for what is not for reading.

        Args:
            path: A directory.
        """
        return await calls.run(ctx, lambda scope, _: list_folder(scope, path, entries))

    @server.tool(title="List directory with sizes", read_only=True, open_world=False)
    async def list_directory_with_sizes(  # pyright: ignore[reportUnusedFunction]  # registered
        path: str,
        ctx: Context,
        sortBy: Literal["name", "size"] = "name",  # noqa: N803  # the wire's spelling
    ) -> SizedListing:
        """List what a directory holds with the sizes of files, and their sum.

        Args:
            path: A directory.
            sortBy: By name, or the largest first.
        """
        return await calls.run(ctx, lambda scope, _: list_sized(scope, path, sortBy == "size", entries))

    @server.tool(title="Get file info", read_only=True, open_world=False)
    async def get_file_info(path: str, ctx: Context) -> FileInfo:  # pyright: ignore[reportUnusedFunction]  # registered
        """Tell size, times, type and permissions of a file or directory, and a file's etag for ifMatch.

        Args:
            path: A file or directory.
        """
        return await calls.run(ctx, lambda scope, _: describe(scope, path))

    @server.tool(title="List allowed directories", read_only=True, open_world=False)
    async def list_allowed_directories(ctx: Context) -> AllowedDirectories:  # pyright: ignore[reportUnusedFunction]  # registered
        """List the directories that may be used, with all that lies in them."""
        return await calls.run(ctx, lambda scope, _: list_allowed(scope))


def _to_wish(head: float | None, tail: float | None, offset: int | None, limit: int | None) -> Wish:
    """Read the four arguments; 0 lines of head or tail mean that it was not asked for, as hosts send it."""
    given = [name for name, value in (("head", head), ("tail", tail), ("offset or limit", offset or limit)) if value]
    if len(given) > 1:
        raise Refusal(f"Cannot specify both {given[0]} and {given[1]} simultaneously. Choose one of them.")
    if tail:
        return Wish(count=max(int(tail), 1), from_end=True)
    if head:
        return Wish(count=max(int(head), 1))
    return Wish(first=offset or 1, count=limit)


def _to_content(media: Media) -> Image | Audio | EmbeddedResource:
    if media.mime_type.startswith("image/"):
        return Image(media.data, media.mime_type)
    if media.mime_type.startswith("audio/"):
        return Audio(media.data, media.mime_type)
    return EmbeddedResource(to_uri(media.real), media.data, media.mime_type)
