"""The command line: arguments to an agent and where it works."""

from __future__ import annotations

import argparse
import os
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_kernel.cli import positive
from mcp_kernel.console.conduct import Parser, conduct

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from support_agent.desk import Place

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
EPILOG = """\
The resolution is written by a model where one is set up: ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_URL, in this
order. Otherwise by a built-in template. What the server asks is answered by you in a terminal; elsewhere it is agreed
to with the form's defaults.
"""


def build_parser() -> Parser:
    """Declare the options."""
    parser = Parser(
        prog="support-agent",
        description="Close a support ticket with the help of an MCP server, and show every step.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"support-agent {metadata.version('support-agent')}")
    parser.add_argument("--ticket", type=number, default="42", metavar="N", help="which ticket (default: 42)")
    place = parser.add_argument_group("where the tickets are").add_mutually_exclusive_group()
    add = place.add_argument
    add("--db-path", type=Path, metavar="FILE", help="a database that stays; by default each run has a fresh one")
    add("--url", type=address, metavar="URL", help="a server that listens over HTTP, instead of one that is started")
    add("--servers", type=Path, metavar="CONFIG", help="a host's file with several servers, such as .mcp.json")
    add = parser.add_argument_group("how it works").add_argument
    add("--api", choices=("anthropic", "openai", "ollama", "template"), help="who writes, instead of the first set up")
    add("--model", metavar="NAME", help="which of the API's models")
    add("--timeout", type=positive, default=60.0, metavar="S", help="seconds for one answer of a model (default: 60)")
    add(
        "--policy",
        choices=("ask", "accept", "decline"),
        help="who answers the server's questions (default: ask in a terminal, otherwise accept)",
    )
    add("--revision", choices=REVISIONS, metavar="R", help=f"speak this one: {', '.join(REVISIONS)}")
    add("--wire", action="store_true", help="show every JSON-RPC message")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code: 0 is a closed ticket."""
    from support_agent.screen import Screen

    arguments = build_parser().parse_args(words)
    return conduct(lambda: begin(arguments), Screen().complain)


def begin(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Set everything up; raises `Misuse`."""
    from mcp_kernel.client import ClientError
    from support_agent.agent import Agent
    from support_agent.choice import choose_model
    from support_agent.model import Stopped
    from support_agent.policy import Policy, find_stance
    from support_agent.screen import Screen

    choice = choose_model(os.environ, arguments.api, arguments.model, arguments.timeout)
    screen = Screen(choice.secrets)
    agent = Agent(choice.model, Policy(find_stance(arguments.policy), screen), screen)

    async def work() -> int:
        try:
            await agent.close_ticket(
                arguments.ticket, find_place(arguments), revision=arguments.revision, wire=arguments.wire
            )
        except (Stopped, ClientError) as error:
            screen.complain(str(error))
            return 1
        return 0

    return work()


def find_place(arguments: argparse.Namespace) -> Place:
    """Which of the three it is."""
    from support_agent.desk import Configured, Reached, Started

    if arguments.url:
        return Reached(arguments.url)
    return Configured(arguments.servers) if arguments.servers else Started(arguments.db_path)


def number(text: str) -> str:
    """A ticket's number, as it stands in an address."""
    if not re.fullmatch(r"[1-9][0-9]{0,14}", text, re.ASCII):
        raise argparse.ArgumentTypeError("a ticket has a number, such as 42")
    return text


def address(text: str) -> str:
    """A URL of a server."""
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("a server's URL is as http://127.0.0.1:8000/mcp")
    return text
