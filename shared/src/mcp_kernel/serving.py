"""Serving over HTTP with uvicorn: addresses, signals, and an end that is quick and clean.

uvicorn alone ends with exit code 143 after SIGTERM, waits for ever for an open stream, and tells an application
nothing before its connections are gone; the subclass here tells it first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from mcp_kernel.server.server import Server


def serve_http(server: Server, arguments: argparse.Namespace) -> str | None:
    """Serve until a signal comes; returns what is wrong where it cannot be served."""
    options = HttpOptions(
        path=arguments.path,
        hosts=[*arguments.allowed_host, arguments.host],
        origins=arguments.allowed_origin,
        session_idle=arguments.session_idle,
        sse=arguments.transport == "sse",
    )
    try:
        listener = _listen(arguments)
        run = _prepare(HttpApp(server, options), arguments)
    except ImportError:
        return "HTTP needs uvicorn: install mcp-kernel[http]"
    except OSError as error:
        where = arguments.uds or f"{arguments.host}:{arguments.port}"
        return f"cannot listen on {where}: {error.strerror or error}"
    sys.stderr.write(f"{server.info['name']} {server.info['version']} serves {_address(listener, arguments)}\n")
    run([listener])
    return None


def _prepare(app: HttpApp, arguments: argparse.Namespace) -> Callable[[list[socket.socket]], None]:
    """Set up uvicorn and return what serves on open sockets."""
    import uvicorn

    class Uvicorn(uvicorn.Server):
        """Tells the application of the end before it closes connections."""

        def handle_exit(self, sig: int, frame: object) -> None:
            self.force_exit = self.should_exit  # a second signal: at once
            if self.force_exit:  # what is cancelled then is no error
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            self.should_exit = True

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
            yield

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for each in self.servers:
                each.close()
            ending = asyncio.ensure_future(app.close(arguments.drain))
            while not ending.done() and not self.force_exit:
                await asyncio.wait([ending], timeout=0.05)
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level=arguments.log_level,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )
    return Uvicorn(config).run


def _listen(arguments: argparse.Namespace) -> socket.socket:
    """Open the socket; raises `OSError`. A Unix socket is for its owner alone."""
    if arguments.uds:
        path = Path(arguments.uds)
        if path.is_socket():
            path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
    else:
        family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((arguments.host, arguments.port))
    listener.listen(1024)
    return listener


def _address(listener: socket.socket, arguments: argparse.Namespace) -> str:
    path = "/sse" if arguments.transport == "sse" else arguments.path
    if arguments.uds:
        return f"{path} on {arguments.uds}"
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    return f"http://{host}:{listener.getsockname()[1]}{path}"
