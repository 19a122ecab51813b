"""Serving over HTTP with uvicorn: addresses, signals, and an end that is quick and clean.

uvicorn alone ends with exit code 143 after SIGTERM, waits for ever for an open stream, and tells an application
nothing before its connections are gone; the subclass here tells it first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mcp_kernel.tls import Tls, read_tls
from mcp_kernel.transports.admission import find_mistake
from mcp_kernel.transports.http import HttpApp, HttpOptions
from mcp_kernel.transports.incoming import Receive, Scope, Send
from mcp_kernel.workers import Seat, Workers, find_seat, take_seat

if TYPE_CHECKING:
    from mcp_kernel.page.site import PageApp
    from mcp_kernel.server.monitor import Monitor
    from mcp_kernel.server.principal import Gate
    from mcp_kernel.server.server import Server

_LAST_PORT: Final = 65535


def serve_http(server: Server, arguments: argparse.Namespace, gate: Gate | None = None) -> str | None:
    """Serve until a signal comes; returns what is wrong where it cannot be served. `gate` authenticates."""
    what = f"{server.info['name']} {server.info['version']}"
    seat = find_seat()
    try:
        aside = _listen_aside(arguments, seat)
    except OSError as error:
        return f"cannot listen on {arguments.host}:{arguments.metrics_port}: {error.strerror or error}"
    if arguments.workers > 1 and seat is None:
        return _serve_with_workers(what, arguments, aside)
    options = HttpOptions(
        path=arguments.path,
        hosts=[*arguments.allowed_host, arguments.host],
        origins=arguments.allowed_origin,
        session_idle=arguments.session_idle,
        sse=arguments.transport == "sse",
        gate=gate,
        monitor=getattr(arguments, "monitor", None),
        metrics_port=aside and aside.getsockname()[1],
    )
    endpoint = HttpApp(server, options)
    front = _front(server, endpoint, options) if arguments.console else None
    return serve_app(endpoint, arguments, what, front, aside)


def _serve_with_workers(what: str, arguments: argparse.Namespace, aside: socket.socket | None) -> str | None:
    """Have other processes serve, until a signal comes; then end this one."""
    try:
        read_tls(arguments)
        listener = _listen(arguments)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return _cannot_listen(arguments, error)
    sys.stderr.write(f"{what} serves {_address(listener, arguments)} with {arguments.workers} workers\n")
    _tell_aside(aside, arguments)
    gathering = None
    if arguments.metrics or aside is not None:
        from mcp_kernel.operations.gathering import Gathering

        gathering = Gathering()
    listeners = [listener, *filter(None, [aside])]
    enter = None if gathering is None else gathering.enter
    code = Workers(listeners, arguments.workers, arguments.drain + 3.0, _say, enter).run()
    if gathering is not None:
        gathering.close()
    sys.exit(code)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class Served(Protocol):
    """An ASGI application that can be told to end, with the seconds that it has for it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def close(self, grace: float) -> None: ...


def serve_app(
    endpoint: Served,
    arguments: argparse.Namespace,
    what: str,
    front: PageApp | None = None,
    aside: socket.socket | None = None,
) -> str | None:
    """Serve an application until a signal comes; returns what is wrong where it cannot be served.

    Args:
        endpoint: The application.
        arguments: Where to listen: `host`, `port` or `uds`; `path`, `transport`, `log_level` and `drain`.
        what: What the line that says where it is calls it.
        front: The page before the endpoint.
        aside: A second socket that listens, where the application shows its figures.
    """
    try:
        tls = read_tls(arguments)
        seat = find_seat()
        listener = _listen(arguments) if seat is None else take_seat(seat)
        run = _prepare(endpoint, front or endpoint, arguments, tls)
    except ValueError as error:
        return str(error)
    except ImportError:
        return "HTTP needs uvicorn: install mcp-kernel[http]"
    except OSError as error:
        return _cannot_listen(arguments, error)
    if seat is None:
        sys.stderr.write(f"{what} serves {_address(listener, arguments)}\n")
        if front is not None:
            sys.stderr.write(f"Open {_address(listener, arguments, '/')} in a browser for its console.\n")
        _tell_aside(aside, arguments)
    gc.freeze()  # what is here now stays: to look it through took a full collection 13 ms, in which nobody is served
    run([listener, *filter(None, [aside])])
    return None


def _tell_aside(aside: socket.socket | None, arguments: argparse.Namespace) -> None:
    if aside is not None:
        sys.stderr.write(f"Its figures are at {_address(aside, arguments, '/metrics')}.\n")


def _front(server: Server, endpoint: HttpApp, options: HttpOptions) -> PageApp:
    """Put the page in front of a server's endpoint."""
    from mcp_kernel.page.site import Listed, PageApp

    name = str(server.info["name"])
    listed = Listed(name, str(server.info.get("title", name)), "/" + options.path.strip("/"))
    return PageApp([listed], behind=endpoint, hosts=options.hosts, origins=options.origins)


def _prepare(
    endpoint: Served, app: Served | PageApp, arguments: argparse.Namespace, tls: Tls
) -> Callable[[list[socket.socket]], None]:
    """Set up uvicorn for an application and return what serves it on open sockets, and closes the endpoint then."""
    import uvicorn

    try:
        from mcp_kernel.direct import Direct
    except ImportError:  # without httptools, over h11, which bounds a head by itself
        if tls.get("ssl_ca_certs"):
            raise ValueError("--tls-client-ca needs httptools: install mcp-kernel[http]") from None
        Direct = "h11"  # noqa: N806  # the class's name, or uvicorn's for the other

    config = uvicorn.Config(
        app,
        http=Direct,
        lifespan="off",
        ws="none",
        log_config=None,  # its lines go the way of all others, and lose their secrets there
        log_level=arguments.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
        **tls,
    )
    return _server_class(endpoint, arguments.drain, getattr(arguments, "monitor", None))(config).run


class _Server(Protocol):
    def run(self, sockets: list[socket.socket] | None = None) -> None: ...


def _server_class(app: Served, drain: float, monitor: Monitor | None) -> Callable[..., _Server]:
    """Return the class of servers that tell the application of their end before they close connections."""
    import uvicorn

    class Uvicorn(uvicorn.Server):
        """uvicorn with an end of ours."""

        def handle_exit(self, sig: int, frame: object) -> None:
            if self.should_exit:  # a second signal: at once, and what is cancelled then is no error
                self.force_exit = True
                logging.disable()
            self.should_exit = True
            _leave(0.5 if self.force_exit else drain + 2.0)

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if monitor is not None:
                await monitor.open()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for each in self.servers:
                each.close()
            ending = asyncio.ensure_future(app.close(drain))
            while not ending.done() and not self.force_exit:
                await asyncio.wait([ending], timeout=0.05)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cancelled from now on is no error
            await super().shutdown(sockets)
            _leave(0.5)

    return Uvicorn


def _leave(seconds: float) -> None:
    """End the process after so long, if it does not end by itself: handlers cling, block threads, freeze the loop."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _listen_aside(arguments: argparse.Namespace, seat: Seat | None) -> socket.socket | None:
    """Open the socket for the figures, where one is asked for; workers have their parent's. Raises `OSError`."""
    if arguments.metrics_port is None:
        return None
    if seat is not None:
        return socket.socket(fileno=seat.aside)
    return _listen(argparse.Namespace(uds=None, host=arguments.host, port=arguments.metrics_port))


def _listen(arguments: argparse.Namespace) -> socket.socket:
    """Open the socket; raises `OSError`, or `ValueError` before. A Unix socket is for its owner alone."""
    mistake = find_mistake(getattr(arguments, "allowed_host", ()), getattr(arguments, "allowed_origin", ()))
    if mistake:
        raise ValueError(mistake)
    if arguments.uds:
        path = Path(arguments.uds)
        if path.is_socket():
            _unlink_left(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
    elif arguments.port > _LAST_PORT:
        raise OSError(f"a port is a number up to {_LAST_PORT}")
    else:
        family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
        # asyncio sends small writes at once (TCP_NODELAY) only on sockets that say which protocol they have.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((arguments.host, arguments.port))
    listener.listen(1024)
    return listener


def _cannot_listen(arguments: argparse.Namespace, error: OSError) -> str:
    where = arguments.uds or f"{arguments.host}:{arguments.port}"
    return f"cannot listen on {where}: {error.strerror or error}"


def _unlink_left(path: Path) -> None:
    """Remove the socket of a server that has ended; raises `OSError` where one still listens."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
        probe.connect(str(path))
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink()


def _address(listener: socket.socket, arguments: argparse.Namespace, path: str | None = None) -> str:
    path = path or ("/sse" if arguments.transport == "sse" else "/" + arguments.path.strip("/"))
    if isinstance(listener.getsockname(), str):
        return f"{path} on {arguments.uds}"
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    return f"{'https' if getattr(arguments, 'tls_cert', None) else 'http'}://{host}:{listener.getsockname()[1]}{path}"
