"""A Model Context Protocol engine: every revision, from one set of handlers.

from mcp_kernel import Server, run

server = Server("notes", "1.0.0")

@server.tool(read_only=True)
def search(query: str) -> list[str]:
    \"\"\"Search notes by words.\"\"\"

if __name__ == "__main__":
    run(server)
"""

from typing import TYPE_CHECKING

from mcp_kernel.cli import run
from mcp_kernel.errors import Declined, ResourceNotFound, ToolError, Unsupported
from mcp_kernel.server.content import (
    Audio,
    Column,
    EmbeddedResource,
    Image,
    Message,
    ResourceLink,
    Table,
)
from mcp_kernel.server.context import Context
from mcp_kernel.server.questions import Root, Sampled, Sampling
from mcp_kernel.server.server import Server
from mcp_kernel.server.untrusted import Untrusted

if TYPE_CHECKING:
    from mcp_kernel.client.client import Client
    from mcp_kernel.client.group import ClientGroup

__all__ = [
    "Audio",
    "Client",
    "ClientGroup",
    "Column",
    "Context",
    "Declined",
    "EmbeddedResource",
    "Image",
    "Message",
    "ResourceLink",
    "ResourceNotFound",
    "Root",
    "Sampled",
    "Sampling",
    "Server",
    "Table",
    "ToolError",
    "Unsupported",
    "Untrusted",
    "run",
]


def __getattr__(name: str) -> object:
    """Import the client when it is asked for: a server does not pay for one."""
    if name == "Client":
        from mcp_kernel.client.client import Client

        return Client
    if name == "ClientGroup":
        from mcp_kernel.client.group import ClientGroup

        return ClientGroup
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
