"""The command line: arguments to databases, databases to a server."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mcp_kernel.cli import CommandLine, count, is_terminal, positive

from . import __version__
from .database import Database
from .fences import engine_warning
from .policy import Policy
from .refusals import Refusal

PROGRAM = "mcp-server-sqlite"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens


@dataclass(frozen=True, slots=True)
class Source:
    """A database file and the name that callers know it by."""

    name: str
    path: Path

    def __str__(self) -> str:
        return str(self.path) if self.name == self.path.stem else f"{self.name}={self.path}"


def source(text: str) -> Source:
    """Read `[NAME=]PATH`; a file that exists under the whole text is meant by it."""
    named = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_-]*)=(.+)", text)
    if named and not _exists(Path(text)):
        return Source(named[1], Path(named[2]).absolute())
    if not text:
        raise argparse.ArgumentTypeError("an empty path names no file")
    path = Path(text).absolute()
    return Source(path.stem, path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered: said when the file is opened
        return False


class MaskedColumn(NamedTuple):
    """A column that reads as NULL, with its table."""

    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


def column(text: str) -> MaskedColumn:
    """Read `TABLE.COLUMN`."""
    table, dot, name = text.rpartition(".")
    if not (table and dot and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not TABLE.COLUMN")
    return MaskedColumn(table, name)


def command_line() -> CommandLine:
    """Declare the options."""
    about = "Answers questions about SQLite databases, read-only by the engine's own means."
    line = CommandLine(PROGRAM, __version__, about, MAX_OUTPUT_BYTES, "SQLite")
    add = line.add_argument_group("options of this server").add_argument
    add(
        "--db-path",
        type=source,
        nargs="+",
        action="extend",
        metavar="[NAME=]PATH",
        help="the database file; several make the tools ask which (environment: MCP_DB_PATH)",
    )
    add("--create", action="store_true", help="make an empty database where there is no file")
    add("--sample", action="store_true", help="fill a new file with a small shop; a file that exists is left alone")
    add("--immutable", action="store_true", help="promise that nothing writes to the file, as on a read-only medium")
    add("--allow-write", action="store_true", help="add the tool insert_record; nothing else ever writes")
    add("--max-rows", type=count, default=1000, metavar="N", help="the most rows of one answer (default: 1000)")
    add("--query-timeout", type=positive, default=10.0, metavar="S", help="seconds for one query (default: 10)")
    add("--deny-table", nargs="+", action="extend", metavar="TABLE", help="tables that do not exist for callers")
    add(
        "--mask-column",
        type=column,
        nargs="+",
        action="extend",
        metavar="TABLE.COLUMN",
        help="columns that read as NULL",
    )
    line.add_variable(
        "MCP_DB_PATH", "the database file, where --db-path is not given", path=True, instead_of="--db-path"
    )
    return line


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    sources = _sources(line, arguments)
    arguments.db_path = sources
    if arguments.print_config:
        line.print_config(arguments)
        return
    policy = _policy(arguments)
    _make_files(line, sources, arguments)
    databases = [Database.open(each.path, policy, each.name) for each in sources]
    for database in databases:
        problem = database.problem()
        if problem and is_terminal():  # a host would show nobody why a dead server died: there it stays up and says
            line.error(problem.rstrip("."))
        if problem:
            _warn(problem)
    for warning in _warnings(databases, policy):
        _warn(warning)
    from .server import build

    line.serve(build(databases, policy), arguments, ", ".join(str(each.path) for each in sources))


def _warn(text: str) -> None:
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # None where it was closed
        sys.stderr.write(f"{PROGRAM}: {text}\n")


def _sources(line: CommandLine, arguments: argparse.Namespace) -> list[Source]:
    given: list[Source] | None = arguments.db_path
    if given is None:
        variable = os.environ.get("MCP_DB_PATH")
        if not variable:
            line.error("no database: pass --db-path FILE or set MCP_DB_PATH; to try it out, add --sample")
        given = [source(variable)]
    names = [each.name for each in given]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        line.error(f"two databases are called {doubled}: name them, as in --db-path {doubled}2=FILE")
    return given


def _warnings(databases: Sequence[Database], policy: Policy) -> Iterator[str]:
    """What the operator should know: an old engine, and names in the policy that the file does not have."""
    warning = engine_warning()
    if warning:
        yield warning
    if policy.restricts:
        for database in databases:
            if database.problem() is None:
                yield from asyncio.run(_check_policy(database))


async def _check_policy(database: Database) -> list[str]:
    try:
        async with asyncio.timeout(1):  # a client waits for the server to start
            return await database.policy_warnings()
    except (Refusal, TimeoutError):
        return []  # locked or damaged: each call will say so
    finally:
        await database.close()


def _policy(arguments: argparse.Namespace) -> Policy:
    masks: Sequence[tuple[str, str]] = arguments.mask_column or ()
    return Policy(
        deny_tables=frozenset(arguments.deny_table or ()),
        mask_columns=frozenset(masks),
        max_rows=arguments.max_rows,
        query_timeout=arguments.query_timeout,
        max_bytes=arguments.max_output_bytes,
        allow_write=arguments.allow_write,
        immutable=arguments.immutable,
    )


def _make_files(line: CommandLine, sources: Sequence[Source], arguments: argparse.Namespace) -> None:
    if not (arguments.create or arguments.sample):
        return
    from .sample import create_empty, create_sample

    create = create_sample if arguments.sample else create_empty
    for each in sources:
        if _exists(each.path):
            continue
        try:
            create(each.path)
        except (OSError, Refusal) as error:
            problem = str(error) if isinstance(error, Refusal) else f"{each.path} cannot be made: {error.strerror}."
            if is_terminal():
                line.error(problem.rstrip("."))
            _warn(problem)
