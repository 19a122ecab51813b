"""The command line: arguments to a target and a policy, these to a server."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from mcp_kernel.cli import CommandLine, count, positive
from mcp_kernel.toolkits.dsn import Dsn, read_dsn
from mcp_kernel.toolkits.title import hide_arguments

from . import __version__
from .database import Database
from .policy import Policy
from .refusals import Refusal, Unavailable
from .server_identity import Claims
from .target import Target

PROGRAM = "mcp-server-postgres"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens
CHECK_SECONDS = 5.0  # a client waits for the server to start


class MaskedColumn(NamedTuple):
    """A column that may not be read, with its table."""

    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


def column(text: str) -> MaskedColumn:
    """Read `[SCHEMA.]TABLE.COLUMN`."""
    table, dot, name = text.rpartition(".")
    if not (table and dot and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not TABLE.COLUMN")
    return MaskedColumn(table, name)


class Setting(NamedTuple):
    """A setting of the database, and the claim that its value comes from."""

    name: str
    claim: str

    def __str__(self) -> str:
        return f"{self.name}={self.claim}"


def setting(text: str) -> Setting:
    """Read `NAME=CLAIM`; only a name with a dot, which no setting of PostgreSQL's own has."""
    name, _, claim = text.partition("=")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", name, re.ASCII) or not claim:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CLAIM, with a dot in the name as in app.user=sub")
    return Setting(name, claim)


def command_line() -> CommandLine:
    """Declare the options."""
    about = "Answers questions about a PostgreSQL database, read-only by the engine's own means."
    line = CommandLine(PROGRAM, __version__, about, MAX_OUTPUT_BYTES, "PostgreSQL")
    group = line.add_argument_group("options of this server")
    add = group.add_argument
    add(
        "dsn",
        nargs="?",
        type=read_dsn,
        metavar="DSN",
        help="the database, as postgresql://user@host:5432/name"
        " (environment: DATABASE_URL, or PGHOST, PGUSER, PGPASSWORD ...)",
    )
    add("--dsn-file", type=Path, metavar="FILE", help="a file that holds the DSN, password and all")
    add("--max-rows", type=count, default=1000, metavar="N", help="the most rows of one answer (default: 1000)")
    add("--query-timeout", type=positive, default=10.0, metavar="S", help="seconds for one query (default: 10)")
    add("--max-cost", type=positive, metavar="N", help="the most that the planner may expect a query to cost")
    add("--deny-table", nargs="+", action="extend", metavar="TABLE", help="tables that do not exist for callers")
    add(
        "--mask-column",
        type=column,
        nargs="+",
        action="extend",
        metavar="TABLE.COLUMN",
        help="columns that may not be read",
    )
    add(
        "--allow-function",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="functions that may be called although they have effects, or nobody can say what they read",
    )
    add("--allow-superuser", action="store_true", help="serve a role that may do more than read")
    _add_identity(group)
    line.add_variable("DATABASE_URL", "the DSN, where it is not given as an argument", secret=True)
    return line


def _add_identity(group: argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Options that say whose rights a call has in the database."""
    add = group.add_argument
    add(
        "--set-role-from",
        metavar="CLAIM",
        help="the claim of a token that names the role to act for, of which the server's own must be a member",
    )
    add(
        "--set-local",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=CLAIM",
        help="a setting for the policies of row-level security, as app.user=sub, from a claim of a token",
    )


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    arguments.dsn = _dsn(line, arguments)
    hide_arguments(arguments.dsn.secrets)
    if arguments.print_config:
        _print_config(line, arguments)
        return
    claims = _claims(line, arguments)
    policy = _policy(arguments)
    if policy.allow_superuser:
        _warn("the check of the role is overridden (--allow-superuser): what a superuser may do is refused by a list")
    if policy.restricts:
        asyncio.run(_check(line, Database(Target(arguments.dsn), policy)))
    from .server import build

    line.serve(build(Database(Target(arguments.dsn), policy), claims), arguments, str(arguments.dsn))


def _warn(text: str) -> None:
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # None where it was closed
        sys.stderr.write(f"{PROGRAM}: {text}\n")


def _print_config(line: CommandLine, arguments: argparse.Namespace) -> None:
    if arguments.dsn_file is not None:
        arguments.dsn = None  # read from the file, whose name is all that a host needs
    elif arguments.dsn.secrets:
        _warn("the password is left out: put it in the place of ***, or better into a file for --dsn-file")
    line.print_config(arguments)


def _dsn(line: CommandLine, arguments: argparse.Namespace) -> Dsn:
    """The one database that is meant; naming it twice is a mistake."""
    given: Dsn | None = arguments.dsn
    if given is not None and arguments.dsn_file is not None:
        line.error("give the DSN or --dsn-file, not both")
    if given is not None:
        return given
    text = os.environ.get("DATABASE_URL", "")
    if arguments.dsn_file is not None:
        arguments.dsn_file = arguments.dsn_file.absolute()
        try:
            text = arguments.dsn_file.read_text("utf-8").strip()
        except (OSError, UnicodeError) as error:
            line.error(f"{arguments.dsn_file} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
    if not text and not any(os.environ.get(name) for name in ("PGHOST", "PGDATABASE", "PGUSER", "PGSERVICE")):
        line.error("no database: pass postgresql://user@host/database, --dsn-file FILE, or set DATABASE_URL")
    found = Dsn(text or None)
    problem = found.problem()
    if problem is not None:
        line.error(problem)
    return found


def _claims(line: CommandLine, arguments: argparse.Namespace) -> Claims:
    """Which claims say whose rights a call has; without tokens nobody would have any."""
    claims = Claims(arguments.set_role_from, tuple(arguments.set_local))
    if claims.are_needed and getattr(arguments, "auth", None) is None:
        line.error("--set-role-from and --set-local read the tokens of callers: add --auth FILE")
    if claims.are_needed and any(name.lower().endswith("set_config") for name in arguments.allow_function or ()):
        line.error("with --allow-function set_config a caller could take on any role or setting: leave it out")
    if claims.role is not None and arguments.allow_superuser:
        line.error("--set-role-from and --allow-superuser do not go together: a superuser may become any role")
    return claims


def _policy(arguments: argparse.Namespace) -> Policy:
    return Policy(
        deny_tables=frozenset(arguments.deny_table or ()),
        mask_columns=frozenset((table, name) for table, name in arguments.mask_column or ()),
        allow_functions=frozenset(arguments.allow_function or ()),
        max_rows=arguments.max_rows,
        query_timeout=arguments.query_timeout,
        max_bytes=arguments.max_output_bytes,
        max_cost=arguments.max_cost or 0.0,
        allow_superuser=arguments.allow_superuser,
    )


async def _check(line: CommandLine, database: Database) -> None:
    """Do not start where tables are to be withheld and cannot be; warn of names that the database does not have.

    A database that is down is no reason not to start: every call checks again.
    """
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            for warning in await database.policy_warnings():
                _warn(warning)
    except (Unavailable, TimeoutError) as problem:
        _warn(str(problem) or "the database did not answer in time; its tables are checked when it does")
    except Refusal as refusal:
        if database.cannot_withhold:
            line.error(str(refusal).rstrip("."))
        _warn(str(refusal))
    finally:
        await database.close()
