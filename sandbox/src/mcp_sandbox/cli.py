"""The command line: `sandbox` runs every server; its commands are for those who run them in containers."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import sys
from pathlib import Path
from typing import NoReturn

from mcp_kernel.cli import end_when_told

_LAST_PORT = 65535
_MOST_REPLICAS = 16
_WAY = re.compile(r"([a-z][a-z0-9-]*)=(https?://[A-Za-z0-9.-]+:\d+)")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


def main() -> None:
    """Follow the command line; exit code 2 where that cannot be done."""
    parser = _command_line()
    arguments = parser.parse_args()
    if os.name == "nt":
        parser.error("Windows is not served: the servers are reached over Unix domain sockets")
    if arguments.command == "data":
        _make_data(parser, arguments.folder)
    elif arguments.command == "secrets":
        _make_secrets(parser, arguments.folder)
    elif arguments.command == "smoke":
        from mcp_sandbox.smoke import check

        sys.exit(asyncio.run(check(arguments.url.rstrip("/"))))
    else:
        _serve(parser, arguments)


def _serve(parser: _Parser, arguments: argparse.Namespace) -> None:
    """Run all servers, or the front alone before others."""
    end_when_told()
    try:
        listener = listen(arguments.host, arguments.port)
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        parser.error(f"cannot listen on {where}: {error.strerror or error}; --port 0 takes a free port")
    from mcp_sandbox.program import Options, run, run_front
    from mcp_sandbox.store import find_redis

    if arguments.replicas > 1 and find_redis() is None:
        parser.error("--replicas needs redis-server: apt-get install redis-server, or brew install redis")
    hosts: list[str] = arguments.allowed_host or []
    origins: list[str] = arguments.allowed_origin or []
    if arguments.command == "front":
        coroutine = run_front(Options(arguments.host, hosts, origins), listener, arguments.ways)
    else:
        coroutine = run(
            Options(arguments.host, hosts, origins, as_json=arguments.json, replicas=arguments.replicas), listener
        )
    sys.exit(asyncio.run(coroutine))


def listen(host: str, port: int) -> socket.socket:
    """Open the one socket; raises `OSError`."""
    # asyncio sends small answers at once (TCP_NODELAY) only where the socket is TCP by its own account.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def _command_line() -> _Parser:
    parser = _Parser(
        prog="sandbox",
        description="Runs every server over HTTP on one port, on demo data that it makes and takes away again.",
        allow_abbrev=False,
    )
    _add_port(parser)
    replicas = "processes of each server that take turns; more than one need redis-server (default: 1)"
    parser.add_argument("--replicas", type=_count, default=1, metavar="N", help=replicas)
    parser.add_argument("--json", action="store_true", help="print what runs where as one line of JSON, for programs")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands, for servers in containers")
    data = commands.add_parser("data", help="make the demo data in a new or empty directory, and end")
    data.add_argument("folder", type=Path, metavar="DIR")
    secrets = commands.add_parser("secrets", help="make passwords in a directory, one file each, and end")
    secrets.add_argument("folder", type=Path, metavar="DIR")
    front = commands.add_parser("front", help="serve the page and pass requests on to servers that run elsewhere")
    front.add_argument(
        "ways",
        nargs="+",
        type=_way,
        metavar="NAME=URL",
        help="as sqlite=http://sqlite:8000; replicas of one server share its name, and take turns",
    )
    _add_port(front)
    smoke = commands.add_parser("smoke", help="call every server at a page's address, and exit by the result")
    smoke.add_argument("url", metavar="URL")
    return parser


def _add_port(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="H", help="the address to listen on (default: 127.0.0.1)")
    add("--port", type=_port, default=8000, metavar="P", help="the port; 0 takes a free one (default: 8000)")
    host = "a name under which clients may address the servers, besides this machine's own"
    add("--allowed-host", action="append", metavar="H", help=host)
    origin = "an origin whose pages may use the servers, as https://app.example"
    add("--allowed-origin", action="append", metavar="O", help=origin)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_LAST_PORT}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_REPLICAS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {_MOST_REPLICAS}")
    return int(text)


def _way(text: str) -> tuple[str, str]:
    found = _WAY.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=URL, as sqlite=http://sqlite:8000")
    return found[1], found[2]


def _make_data(parser: _Parser, folder: Path) -> None:
    from mcp_sandbox.demo import Demo, Lacking

    demo = Demo(folder.absolute())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if demo.is_made:
            return  # a container that is started again
        if next(folder.iterdir(), None) is not None:
            parser.error(f"{folder} is not empty")
        demo.make_all()
    except OSError as error:
        parser.error(f"{folder} cannot be filled: {error.strerror or error}")
    except Lacking as lacking:
        parser.error(str(lacking).rstrip("."))


def _make_secrets(parser: _Parser, folder: Path) -> None:
    from mcp_sandbox.passwords import write_passwords

    try:
        write_passwords(folder)
    except OSError as error:
        parser.error(f"{folder} cannot be filled: {error.strerror or error}")
