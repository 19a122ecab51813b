"""The one port's HTTP server: uvicorn in a loop that is not its own, without its signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcp_kernel.page.site import PageApp

_END_SECONDS: Final = 1  # for answers that are still on their way once the servers behind have ended


@contextlib.asynccontextmanager
async def serve(app: PageApp, listener: socket.socket) -> AsyncGenerator[None]:
    """Serve an application on an open socket, which is closed afterwards."""
    import uvicorn

    try:
        from mcp_kernel.connections import Bounded
    except ImportError:  # without httptools, over h11
        Bounded = "h11"  # noqa: N806  the class's name, or uvicorn's for the other

    class Uvicorn(uvicorn.Server):
        """Who runs the loop hears the signals."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    config = uvicorn.Config(
        app,
        http=Bounded,
        lifespan="off",
        ws="none",
        log_level="critical",  # an answer that a server cuts off is cut off here, too: no error
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_END_SECONDS,
    )
    server = Uvicorn(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([serving], timeout=_END_SECONDS + 2)
        serving.cancel()
        listener.close()
