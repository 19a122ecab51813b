"""The tools that change something; none of them is there with --read-only."""

from __future__ import annotations

from typing import Final

from mcp_kernel import Context, Server

from .editing import Edit
from .moving import Moved, move
from .server_calls import Calls
from .writing import Edited, Made, Mode, Written, edit_text, make_folders, write_text

_EDIT_SCHEMA: Final = {  # written out: some hosts do not follow the references of a generated one
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "The file."},
        "edits": {
            "type": "array",
            "description": "Replacements, made one after the other.",
            "items": {
                "type": "object",
                "properties": {
                    "oldText": {"type": "string", "description": "The text to replace, exactly, standing there once."},
                    "newText": {"type": "string", "description": "What takes its place."},
                },
                "required": ["oldText", "newText"],
            },
        },
        "dryRun": {"type": "boolean", "default": False, "description": "Only show the diff."},
        "ifMatch": {
            "type": "string",
            "description": "The etag that reading returned: refuse if somebody changed the file since.",
        },
    },
    "required": ["path", "edits"],
    "additionalProperties": False,
}


def add_writers(server: Server, calls: Calls) -> None:
    """Add them."""
    sandbox = calls.sandbox

    @server.tool(title="Write file", idempotent=True, open_world=False)
    async def write_file(  # pyright: ignore[reportUnusedFunction]  # registered
        path: str,
        content: str,
        ctx: Context,
        ifMatch: str | None = None,  # noqa: N803  # the wire's spelling
        mode: Mode = "overwrite",
    ) -> Written:
        """Write a text file whole, in one act; its mode, owner and line endings stay.

        Args:
            path: The file; its directory must be there.
            content: The whole text.
            ifMatch: The etag that reading returned: refuse if somebody changed the file since.
            mode: overwrite; create, which refuses where a file is; append.
        """
        how = (mode, ifMatch)
        return await calls.run(ctx, lambda scope, _: write_text(sandbox, scope, path, content, how))

    @server.tool(title="Edit file", open_world=False, input_schema=_EDIT_SCHEMA)
    async def edit_file(  # pyright: ignore[reportUnusedFunction]  # registered
        path: str,
        edits: list[Edit],
        ctx: Context,
        dryRun: bool = False,  # noqa: N803  # the wire's spelling
        ifMatch: str | None = None,  # noqa: N803  # the wire's spelling
    ) -> Edited:
        """Replace texts in a file, all of them or none; shows a unified diff."""
        return await calls.run(ctx, lambda scope, _: edit_text(sandbox, scope, path, edits, (dryRun, ifMatch)))

    @server.tool(title="Create directory", destructive=False, idempotent=True, open_world=False)
    async def create_directory(path: str, ctx: Context) -> Made:  # pyright: ignore[reportUnusedFunction]  # registered
        """Make a directory, with those that it lies in; one that is there already is fine.

        Args:
            path: The directory.
        """
        return await calls.run(ctx, lambda scope, _: make_folders(scope, path))

    @server.tool(title="Move file", open_world=False)
    async def move_file(source: str, destination: str, ctx: Context) -> Moved:  # pyright: ignore[reportUnusedFunction]  # registered
        """Move or rename a file or directory; never overwrites.

        Args:
            source: What to move.
            destination: Its new path, at which nothing may be.
        """
        return await calls.run(ctx, lambda scope, errand: move(scope, source, destination, errand))
