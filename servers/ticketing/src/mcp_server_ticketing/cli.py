"""The command line: arguments to a database, the database to a server."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_kernel.cli import CommandLine, is_terminal

from . import __version__
from .refusals import Refusal
from .seeding import SAMPLE, Seed, read_seed
from .tracker import Tracker

if TYPE_CHECKING:
    from .storage import Storage

PROGRAM = "mcp-server-ticketing"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens
DEFAULT_FILE = "tickets.db"


def file(text: str) -> Path:
    """Read a path, and make it absolute: a host starts the server elsewhere."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path names no file")
    return Path(text).absolute()


def command_line() -> CommandLine:
    """Declare the options."""
    line = CommandLine(PROGRAM, __version__, "A support desk's tickets, for an assistant to work on.", MAX_OUTPUT_BYTES)
    add = line.add_argument_group("options of this server").add_argument
    add(
        "--db-path",
        type=file,
        metavar="FILE",
        help=f"the SQLite file, made if it is not there (default: {DEFAULT_FILE})",
    )
    add("--seed", type=file, metavar="FILE", help="what a new database holds, as JSON, instead of two sample tickets")
    return line


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    if arguments.db_path is None:
        arguments.db_path = file(DEFAULT_FILE)
    if arguments.print_config:
        line.print_config(arguments)
        return
    storage, serves = _open(line, arguments, _read_seed(line, arguments))
    if is_terminal():
        asyncio.run(_try_out(line, storage))
    from .server import build

    line.serve(build(Tracker(storage)), arguments, serves)


def _read_seed(line: CommandLine, arguments: argparse.Namespace) -> Seed:
    if arguments.seed is None:
        return SAMPLE
    try:
        return read_seed(arguments.seed)
    except Refusal as refusal:
        line.error(str(refusal).rstrip("."))


def _open(line: CommandLine, arguments: argparse.Namespace, seed: Seed) -> tuple[Storage, str]:
    from .storage_sqlite import SqliteStorage

    return SqliteStorage(arguments.db_path, seed), str(arguments.db_path)


async def _try_out(line: CommandLine, storage: Storage) -> None:
    """Tell a person in a terminal at once what is wrong; a host's server stays up, and every call says it."""
    try:
        async with storage.reading():
            pass
    except Refusal as refusal:
        line.error(str(refusal).rstrip("."))
    finally:
        await storage.close()
