"""`mcp-kernel read`: read a resource."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_kernel.console.attachments import Attachments
from mcp_kernel.console.destination import add_options, find_destination
from mcp_kernel.console.terminal import show, show_json

if TYPE_CHECKING:
    from mcp_kernel.client.results import Contents


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `read`."""
    text = "read a resource; its bytes go to stdout as they are where that is no terminal"
    parser = commands.add_parser("read", help=text, description=text, allow_abbrev=False)
    add_options(parser)
    parser.add_argument("uri", metavar="URI")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save what is no text here")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Follow the command line."""
    target, options = find_destination(arguments)

    async def work() -> int:
        from mcp_kernel.client.client import Client
        from mcp_kernel.console.questions import Questions

        Questions().take_over(options)
        async with Client(target, **options) as client:
            contents = await client.read_resource(arguments.uri)
        if arguments.json:
            show_json({"contents": [part.wire for part in contents]})
        else:
            _show_contents(contents, arguments.save, arguments.uri)
        return 0

    return work()


def _show_contents(contents: Sequence[Contents], directory: Path | None, uri: str) -> None:
    attachments = Attachments(directory, uri)
    for part in contents:
        if part.data is None:
            show(part.text or "")
        elif directory is None and len(contents) == 1 and not sys.stdout.isatty():
            sys.stdout.buffer.write(part.data)
        else:
            show(attachments.take(part.uri, part.mime_type, part.data))
