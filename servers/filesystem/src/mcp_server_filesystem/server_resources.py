"""Files and directories as resources: reading, completion, subscription."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing

from mcp_kernel import Context, EmbeddedResource, Server

from .addresses import to_uri
from .confinement import Scope
from .errand import Errand
from .listing import list_folder
from .reading import read_resource
from .refusals import Refusal
from .sandbox import Sandbox
from .server_calls import Calls
from .watching import Watch

_TEMPLATE = "file://{+path}"
_MOST_NAMES = 100


def add_resources(server: Server, calls: Calls) -> None:
    """Add the template of all files and directories, its list and its completion."""

    @server.resource(_TEMPLATE, name="file", title="A file or directory")
    async def file(path: str, ctx: Context) -> EmbeddedResource:  # pyright: ignore[reportUnusedFunction]  # registered
        """A file whole, as text or bytes, or the list of what a directory holds."""
        content, kind = await calls.run(ctx, lambda scope, errand: _read(scope, path, errand))
        return EmbeddedResource(to_uri(path), content, kind)

    @server.members(_TEMPLATE)
    async def members() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [{"path": path} for path in calls.sandbox.paths]

    @server.complete(_TEMPLATE, "path")
    async def complete(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        try:
            return await calls.run_unasked(lambda scope, _: complete_path(scope, prefix))
        except Refusal:
            return []


def _read(scope: Scope, path: str, errand: Errand) -> tuple[str | bytes, str]:
    path = path.removeprefix("localhost") if path.startswith("localhost/") else path
    if not path.startswith("/"):
        raise scope.outside(path)  # a host in the URI
    try:
        return read_resource(scope, path, errand)
    except Refusal as refusal:
        if "list_directory" not in str(refusal) or "is a directory" not in str(refusal):
            raise
        return str(list_folder(scope, path)), "inode/directory"


def complete_path(scope: Scope, prefix: str) -> list[str]:
    """The paths that begin like this; directories end with a slash."""
    anchors = [f"{anchor.path.rstrip('/')}/" for anchor in scope.anchors]
    above = [path for path in anchors if path.startswith(prefix)]
    if above or not prefix.startswith("/"):
        return above
    folder, _, start = prefix.rpartition("/")
    return [
        f"{folder}/{entry.name}{'/' if entry.type == 'directory' else ''}"
        for entry in list_folder(scope, folder or "/").entries
        if entry.name.startswith(start) and not entry.denied
    ][:_MOST_NAMES]


def add_watcher(server: Server, sandbox: Sandbox) -> None:
    """Tell subscribers of changes that anybody makes."""

    @server.watcher
    async def watch(subscribed: Iterable[str]) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        async with aclosing(Watch(sandbox, subscribed).changes()) as changes:
            async for uris in changes:
                for uri in uris:
                    server.changed(uri)
