"""The command line: arguments to repositories, repositories to a server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mcp_kernel.cli import CommandLine, is_terminal

from . import __version__
from .policy import Policy
from .refusals import Refusal
from .repository import Repositories

PROGRAM = "mcp-server-git"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens


def directory(text: str) -> Path:
    """Read a path, made absolute."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("an empty path names no repository")
    return Path(text).expanduser().absolute()


def command_line() -> CommandLine:
    """Declare the options."""
    line = CommandLine(
        PROGRAM,
        __version__,
        "Reads and commits to git repositories; what a repository brings is never run.",
        MAX_OUTPUT_BYTES,
    )
    add = line.add_argument_group("options of this server").add_argument
    add(
        "-r",
        "--repository",
        type=directory,
        nargs="+",
        action="extend",
        metavar="DIR",
        help="a repository that may be used, or a directory of them; without one the client's roots decide",
    )
    add("--read-only", action="store_true", help="leave out every tool that changes a repository")
    add("--run-hooks", action="store_true", help="run the repository's own hooks at a commit; they are programs")
    return line


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    if arguments.print_config:
        line.print_config(arguments)
        return
    if sys.platform == "win32":
        line.error(
            "Windows is not served: a user there may not make the links that keep a repository from being obeyed"
        )
    paths: list[Path] = list(dict.fromkeys(arguments.repository or ()))
    repositories = Repositories(paths, Policy(arguments.max_output_bytes, arguments.run_hooks, arguments.read_only))
    for problem in _find_problems(repositories):
        if is_terminal():  # a host would show nobody why a dead server died: there it stays up and says
            line.error(problem.rstrip("."))
        if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # None where it was closed
            sys.stderr.write(f"{PROGRAM}: {problem}\n")
    from .server import build

    served = ", ".join(map(str, paths)) or "the repositories in the client's roots"
    line.serve(build(repositories), arguments, served)


def _find_problems(repositories: Repositories) -> Iterator[str]:
    for path in repositories.ceiling.directories:
        try:
            if not path.is_dir():
                yield f"{path} is not a directory; --repository names a git repository, or a directory of them"
        except OSError as error:
            yield f"{path} cannot be read: {error.strerror}"
    try:
        repositories.start()
    except Refusal as refusal:
        yield str(refusal)
