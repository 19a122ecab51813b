"""Two servers behind one page, as a sandbox serves them; and a third one that wants a token."""

from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from mcp_kernel import Server
from mcp_kernel.page.site import Listed, PageApp
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from mcp_kernel.transports.incoming import Receive, Scope, Send

TOKEN: Final = b"Bearer open-sesame"


def make(name: str) -> Server:
    """A server with one tool that tells which it is."""
    server = Server(name, "1.0.0", title=name.title())

    @server.tool(f"ask_{name}", read_only=True)
    async def ask() -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Tell which server this is."""
        return f"This is {name}."

    return server


NAMES: Final = ("first", "second", "guarded")
APPS: Final = {f"/{name}/mcp": make(name).asgi(HttpOptions(path=f"/{name}/mcp")) for name in NAMES}


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Find the server by its path; one wants a token first, as the layer that checks tokens has it."""
    path = str(scope["path"])
    headers: Any = scope.get("headers", [])
    if path.startswith("/guarded") and dict(headers).get(b"authorization") != TOKEN:
        await send(
            {
                "type": "http.response.start",
                "status": 401,
                "headers": [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")],
            }
        )
        await send({"type": "http.response.body", "body": b""})
        return
    await APPS[path](scope, receive, send)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    page: Any = PageApp([Listed(name, name.title(), f"/{name}/mcp") for name in NAMES], behind=behind)
    server = uvicorn.Server(uvicorn.Config(page, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    sys.stderr.write(f"http://127.0.0.1:{listener.getsockname()[1]}/\n")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # uvicorn sends itself the signal again
    server.run([listener])


if __name__ == "__main__":
    main()
