"""The command line: arguments to directories, directories to a server."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mcp_kernel.cli import CommandLine, count, is_terminal

from . import __version__
from .denial import SECRETS, Denial
from .refusals import Refusal
from .sandbox import NO_DIRECTORY, Directory, Policy, Sandbox

PROGRAM = "mcp-server-filesystem"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens
MAX_ENTRIES = 50_000


def directory(text: str) -> Directory:
    """Read `DIR[:ro|:rw]`; a directory that exists under the whole text is meant by it."""
    path, colon, mode = text.rpartition(":")
    if not colon or mode not in ("ro", "rw") or os.path.isdir(text):  # noqa: PTH112  # a text that may be no path
        path, mode = text, "rw"
    if not path or "\0" in path:
        raise argparse.ArgumentTypeError("an empty path names no directory")
    return Directory(Path(os.path.abspath(os.path.expanduser(path))), writable=mode == "rw")  # noqa: PTH100, PTH111  # without links resolved


def command_line() -> CommandLine:
    """Declare the options."""
    about = "Reads, searches and edits files, confined to directories by the operating system."
    line = CommandLine(PROGRAM, __version__, about, MAX_OUTPUT_BYTES)
    add = line.add_argument_group("options of this server").add_argument
    add(
        "directories",
        type=directory,
        nargs="*",
        metavar="DIR[:ro|:rw]",
        help="a directory to serve, for reading and writing unless it says :ro; the client's roots only narrow them",
    )
    add("--read-only", action="store_true", help="offer no tool that writes")
    add(
        "--roots",
        choices=("narrow", "ignore"),
        default="narrow",
        help="whether the client's roots narrow the directories (default: narrow)",
    )
    add(
        "--deny",
        nargs="+",
        action="extend",
        metavar="GLOB",
        help="names of files that are not read or written, instead of the built-in list of secrets; !GLOB excepts",
    )
    add("--no-gitignore", action="store_true", help="show trees and search with all that .gitignore leaves out")
    add(
        "--max-entries",
        type=count,
        default=MAX_ENTRIES,
        metavar="N",
        help=f"the most entries that a list, a tree or a search looks at (default: {MAX_ENTRIES})",
    )
    return line


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    if arguments.print_config:
        line.print_config(arguments)
        return
    try:
        policy = _policy(arguments)
    except Refusal as refusal:
        line.error(str(refusal).rstrip("."))
    sandbox = Sandbox(arguments.directories, policy)
    problem = sandbox.problem()
    if problem is None and not sandbox.directories and (is_terminal() or arguments.roots == "ignore"):
        problem = NO_DIRECTORY
    if problem and (is_terminal() or not sandbox.directories):
        line.error(problem.rstrip("."))
    if problem:  # a host would show nobody why a dead server died: it stays up, and every call says
        _warn(problem)
    from .server import build

    server = build(sandbox, asks_roots=arguments.roots == "narrow")
    line.serve(server, arguments, ", ".join(str(each) for each in sandbox.directories))


def _warn(text: str) -> None:
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # None where it was closed
        sys.stderr.write(f"{PROGRAM}: {text}\n")


def _policy(arguments: argparse.Namespace) -> Policy:
    return Policy(
        denial=Denial(SECRETS if arguments.deny is None else arguments.deny),
        read_only=arguments.read_only,
        gitignore=not arguments.no_gitignore,
        max_entries=arguments.max_entries,
        max_bytes=arguments.max_output_bytes,
    )
