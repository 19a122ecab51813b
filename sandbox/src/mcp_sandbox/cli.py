"""The command line: `sandbox` runs every server, `sandbox --data DIR` only makes the demo data."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

_LAST_PORT = 65535


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


def main() -> None:
    """Follow the command line; exit code 2 where that cannot be done."""
    parser = _command_line()
    arguments = parser.parse_args()
    if os.name == "nt":
        parser.error("Windows is not served: the servers are reached over Unix domain sockets")
    if arguments.data is not None:
        _make_data(parser, arguments.data)
        return
    try:
        listener = listen(arguments.host, arguments.port)
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        parser.error(f"cannot listen on {where}: {error.strerror or error}; --port 0 takes a free port")
    from mcp_sandbox.program import Options, run

    options = Options(arguments.host, arguments.allowed_host, arguments.allowed_origin, as_json=arguments.json)
    sys.exit(asyncio.run(run(options, listener)))


def listen(host: str, port: int) -> socket.socket:
    """Open the one socket; raises `OSError`."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
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
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="H", help="the address to listen on (default: 127.0.0.1)")
    add("--port", type=_port, default=8000, metavar="P", help="the port; 0 takes a free one (default: 8000)")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="H",
        help="a name under which clients may address the servers, besides this machine's own",
    )
    add(
        "--allowed-origin",
        action="append",
        default=[],
        metavar="O",
        help="an origin whose pages may use the servers, as https://app.example",
    )
    add("--json", action="store_true", help="print what runs where as one line of JSON, for programs")
    add("--data", type=Path, metavar="DIR", help="make the demo data in this new or empty directory, and end")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_LAST_PORT}")
    return int(text)


def _make_data(parser: _Parser, folder: Path) -> None:
    from mcp_sandbox.demo import Demo, Lacking

    try:
        folder.mkdir(parents=True, exist_ok=True)
        if next(folder.iterdir(), None) is not None:
            parser.error(f"{folder} is not empty")
        Demo(folder.resolve()).make_all()
    except OSError as error:
        parser.error(f"{folder} cannot be filled: {error.strerror or error}")
    except Lacking as lacking:
        parser.error(str(lacking).rstrip("."))
