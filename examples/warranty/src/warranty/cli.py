"""The command: `warranty`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from mcp_kernel import ClientGroup
from mcp_kernel.client import ClientError
from mcp_kernel.console.terminal import scrub

from .answer import write
from .question import Report, Unanswered, ask
from .shop import prepare

_LIMIT = 60.0  # seconds in which a server must have started


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="warranty", description="Is it still under warranty? One question, answered across three servers."
    )
    parser.add_argument(
        "--ticket", type=number, default="42", metavar="N", help="which ticket (42, 43, 44; default: 42)"
    )
    parser.add_argument("--today", type=date.fromisoformat, metavar="DATE", help="answer as of this day, as 2026-03-31")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--prepare", type=Path, metavar="DIR", help="make the data and servers.json there, and ask nothing"
    )
    place.add_argument(
        "--servers", type=Path, metavar="FILE", help="ask the servers of this file: tickets, products, handbook"
    )
    return parser


def number(text: str) -> str:
    """A ticket's number."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError("a ticket has a number, such as 42")
    return text


def main() -> int:
    """Ask, and print the answer; 1 where a server had none to give."""
    arguments = build_parser().parse_args()
    today: date = arguments.today or date.today()  # noqa: DTZ011  # a warranty ends by the calendar on the wall
    if arguments.prepare:
        print(f"uv run warranty --servers {prepare(arguments.prepare.absolute(), today)}")  # noqa: T201  # its job
        return 0
    try:
        with TemporaryDirectory(prefix="warranty-") as folder:
            file: Path = arguments.servers or prepare(Path(folder), today)
            report = asyncio.run(_ask(file, arguments.ticket, today))
    except (ClientError, Unanswered) as error:  # the file cannot be read, or is about something else
        sys.stderr.write(f"warranty: {scrub(str(error))}\n")
        return 2
    print(scrub(write(report)))  # noqa: T201  # its job
    return 1 if report.problems else 0


async def _ask(file: Path, ticket: str, today: date) -> Report:
    async with ClientGroup.from_config(file, limit=_LIMIT) as group:
        return await ask(group, ticket, today)
