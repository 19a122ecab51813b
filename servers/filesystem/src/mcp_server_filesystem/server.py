"""The server: what is offered of directories, and how it is described to a model."""

from __future__ import annotations

from mcp_kernel import Server

from . import __version__
from .refusals import NotThere, Outside, Refusal
from .sandbox import Sandbox
from .server_calls import Calls
from .server_reading import add_readers
from .server_resources import add_resources, add_watcher
from .server_walking import add_walkers
from .server_writing import add_writers


def build(sandbox: Sandbox, *, asks_roots: bool = True) -> Server:
    """Make the server.

    Args:
        sandbox: What may be reached.
        asks_roots: Whether the client's roots narrow it.
    """
    server = Server(
        "mcp-server-filesystem",
        __version__,
        title="Filesystem",
        instructions=_instructions(sandbox),
        tool_errors=(Refusal,),
        not_found=(NotThere, Outside),
        follow_roots=asks_roots,
    )
    calls = Calls(sandbox, asks_roots=asks_roots)
    add_readers(server, calls)
    add_walkers(server, calls)
    if not sandbox.policy.read_only:
        add_writers(server, calls)
    add_resources(server, calls)
    add_watcher(server, sandbox)

    if sandbox.directories:
        server.ready_check("directories")(calls.check)

    @server.on_close
    async def close() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        calls.close()

    return server


def _instructions(sandbox: Sandbox) -> str:
    names = ", ".join(str(each.path) for each in sandbox.directories) or "the client's roots"
    writing = "Nothing can be changed." if sandbox.policy.read_only else "Send ifMatch with the etag of what you read."
    return (
        f"Files and directories below {names}. list_allowed_directories shows what may be used. Find places with "
        "search_files (names) and search_file_contents (contents) rather than by reading whole trees. Relative paths "
        f"count from the first directory. {writing}"
    )
