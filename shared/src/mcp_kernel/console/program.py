"""The commands of `mcp-kernel`, and what they take."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from mcp_kernel.console import audit, call, doctor, inspection, install, keys, policy, reading, registry
from mcp_kernel.console.conduct import Parser, conduct
from mcp_kernel.console.terminal import tell


def build_parser() -> Parser:
    """Each command adds itself, with `run`, which takes the arguments and gives what to do."""
    parser = Parser(
        prog="mcp-kernel", description="Look at MCP servers, call them, and give them to a host.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mcp-kernel {metadata.version('mcp-kernel')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands", parser_class=Parser)
    for command in (inspection, call, reading, doctor, install, registry, keys, policy, audit):
        command.add_command(commands)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(words)
    return conduct(lambda: arguments.run(arguments), tell)
