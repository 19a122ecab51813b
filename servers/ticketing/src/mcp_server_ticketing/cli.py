"""The command line: arguments to a database, the database to a server."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_kernel.cli import CommandLine, is_terminal
from mcp_kernel.toolkits.dsn import read_dsn
from mcp_kernel.toolkits.title import hide_arguments

from . import __version__
from .refusals import Refusal
from .seeding import SAMPLE, Seed, read_seed
from .tracker import Tracker

if TYPE_CHECKING:
    from .storage import Storage

PROGRAM = "mcp-server-ticketing"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens
DEFAULT_FILE = "tickets.db"
VARIABLE = "TICKETING_DATABASE_URL"


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
    add(
        "--database-url",
        type=read_dsn,
        metavar="DSN",
        help=f"a PostgreSQL database instead, as postgresql://user@host:5432/name (environment: {VARIABLE})",
    )
    add("--seed", type=file, metavar="FILE", help="what a new database holds, as JSON, instead of two sample tickets")
    line.add_variable(VARIABLE, "the URL of the PostgreSQL database, where it is not given as an option", secret=True)
    return line


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    _choose_database(line, arguments)
    if arguments.database_url is not None:
        hide_arguments(arguments.database_url.secrets)
    if arguments.print_config:
        line.print_config(arguments)
        return
    storage, serves = _open(line, arguments, _read_seed(line, arguments))
    if is_terminal():
        asyncio.run(_try_out(line, storage))
    from .server import build

    line.serve(build(Tracker(storage)), arguments, serves)


def _choose_database(line: CommandLine, arguments: argparse.Namespace) -> None:
    """Fill in the one database that is meant; naming two is a mistake."""
    if arguments.db_path is not None and arguments.database_url is not None:
        line.error("give --db-path or --database-url, not both")
    if arguments.db_path is not None or arguments.database_url is not None:
        return
    url = os.environ.get(VARIABLE)
    if not url:
        arguments.db_path = file(DEFAULT_FILE)
        return
    try:
        arguments.database_url = read_dsn(url)
    except argparse.ArgumentTypeError as error:
        line.error(f"{VARIABLE}: {error}")


def _read_seed(line: CommandLine, arguments: argparse.Namespace) -> Seed:
    if arguments.seed is None:
        return SAMPLE
    try:
        return read_seed(arguments.seed)
    except Refusal as refusal:
        line.error(str(refusal).rstrip("."))


def _open(line: CommandLine, arguments: argparse.Namespace, seed: Seed) -> tuple[Storage, str]:
    if arguments.database_url is not None:
        from .storage_postgres import PostgresStorage

        return PostgresStorage(arguments.database_url, seed), str(arguments.database_url)
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
