"""`mcp-kernel keys new`: make an API key for the file of `--auth`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Coroutine
from typing import Final

from mcp_kernel.console.terminal import show, tell

_HINTS: Final = {
    True: ("# What a role may do the file says once, for all keys: [roles.NAME]",),
    False: (
        "# No role: the key may do what everyone may. For everyone to do everything, the file says once, for all keys:",
        "# [roles.everyone]",
        '# tools = ["*"]',
    ),
}
"""What follows the lines of a key, by whether it has roles."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `keys`."""
    text = "make API keys for servers that several people use (--auth)"
    parser = commands.add_parser("keys", help=text, description=text, allow_abbrev=False)
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions", parser_class=type(parser))
    text = "print a new key, once, and the lines of the file of --auth that let it in"
    new = actions.add_parser("new", help=text, description=text, allow_abbrev=False)
    new.add_argument("--name", metavar="NAME", help="whose key it is")
    new.add_argument("--role", action="append", default=[], metavar="ROLE", help="a role of the file, [roles.ROLE]")
    new.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Follow the command line."""

    async def work() -> int:
        from mcp_kernel.auth.resource.keys import digest, make_key

        key = make_key()
        hashed = digest(key.encode()).hex()
        tell("the first line is the key, which is shown now and kept nowhere; the rest goes into the file of --auth")
        show(key)
        show()
        show("[[keys]]")
        show(f"name = {json.dumps(arguments.name or f'key-{hashed[:8]}')}")
        show(f'hash = "sha256:{hashed}"')
        if arguments.role:
            show(f"roles = {json.dumps(arguments.role)}")
        for line in _HINTS[bool(arguments.role)]:
            show(line)
        return 0

    return work()
