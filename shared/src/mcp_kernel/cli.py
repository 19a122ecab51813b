"""The command line that every server shares."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from mcp_kernel.server.server import Server

_LEVELS: Final = ("debug", "info", "warning", "error")
_HOSTS: Final = ("claude-desktop", "claude-code", "vscode", "cursor")


class CommandLine(argparse.ArgumentParser):
    """A parser with the options of every server; bad usage is one line that says what to do, and exit code 2.

    Args:
        program: The console script, which is also the distribution's name.
        version: The distribution's version.
        description: What the server does, in a sentence.
        max_output_bytes: The default of the option of that name.
    """

    def __init__(self, program: str, version: str, description: str, max_output_bytes: int = 0) -> None:
        super().__init__(prog=program, description=description, allow_abbrev=False)
        self.add_argument("--version", action="version", version=f"{program} {version}")
        shared = self.add_argument_group("options of every server")
        shared.add_argument(
            "--transport", choices=["stdio"], default="stdio", help="how clients connect (default: stdio)"
        )
        shared.add_argument(
            "--timeout", type=positive, default=60.0, metavar="S", help="seconds for one call (default: 60)"
        )
        shared.add_argument(
            "--max-output-bytes",
            type=count,
            default=max_output_bytes,
            metavar="N",
            help=f"the most that one answer holds; 0: no limit (default: {max_output_bytes})",
        )
        shared.add_argument(
            "--log-level", choices=_LEVELS, default="warning", help="of the log on stderr (default: warning)"
        )
        shared.add_argument(
            "--print-config", choices=_HOSTS, metavar="HOST", help=f"print a host's entry: {', '.join(_HOSTS)}"
        )

    def error(self, message: str) -> NoReturn:
        """End with one line."""
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


def positive(text: str) -> float:
    """Read a number of seconds."""
    value = float(text) if _is_number(text) else 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def count(text: str) -> int:
    """Read a whole number from 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def run(server: Server, arguments: argparse.Namespace | None = None, *, serves: str = "") -> None:
    """Serve until the client is gone, then end the process.

    Without `arguments` the options of every server are read from `sys.argv`. `serves` says in a phrase what is
    served, for a person who starts the program in a terminal.
    """
    if arguments is None:
        name, version = str(server.info["name"]), str(server.info["version"])
        arguments = CommandLine(name, version, server.instructions or "").parse_args()
    logging.basicConfig(
        stream=sys.stderr,
        level=str(arguments.log_level).upper(),
        format="%(levelname)s %(name)s: %(message)s",
    )
    server.timeout = arguments.timeout
    server.max_output_bytes = arguments.max_output_bytes
    if is_terminal():
        sys.stderr.write(greeting(server, serves))
    from mcp_kernel.transports import stdio

    stdio.run(server)


def is_terminal() -> bool:
    """Tell whether a person started the program, and not a host."""
    return sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]  # None under pythonw


def print_config(program: str, host: str, arguments: Sequence[str]) -> None:
    """Print the entry of a host's configuration for this program with these arguments."""
    from mcp_kernel.hosts import configuration, file_name

    sys.stderr.write(f"For {file_name(host)}:\n")
    sys.stdout.write(configuration(host, program, arguments) + os.linesep)


def greeting(server: Server, serves: str) -> str:
    """What a person reads who starts a server in a terminal, where a host should."""
    from mcp_kernel.hosts import configuration, file_name

    name, version = str(server.info["name"]), str(server.info["version"])
    what = f", serving {serves}" if serves else ""
    host = "claude-desktop"
    entry = configuration(host, name, sys.argv[1:])
    return (
        f"{name} {version}{what}.\n"
        "It speaks the Model Context Protocol on stdin and stdout: a host such as Claude Desktop starts it.\n"
        f"To add it there, merge this into {file_name(host)} (other hosts: --print-config HOST):\n\n{entry}\n\n"
        "Waiting for messages; Ctrl-C ends it.\n"
    )
