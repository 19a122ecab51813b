"""The command line: only what every server has."""

from __future__ import annotations

from mcp_kernel.cli import CommandLine

from . import __version__

PROGRAM = "mcp-server-everything"


def command_line() -> CommandLine:
    """Declare the options."""
    return CommandLine(PROGRAM, __version__, "Every feature of the protocol, for people who build clients.")


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    if arguments.print_config:
        line.print_config(arguments)
        return
    from .server import build

    line.serve(build(), arguments, "every feature of the protocol")
