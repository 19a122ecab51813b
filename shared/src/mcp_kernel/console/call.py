"""`mcp-kernel call`: call a tool, and show what it answers."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_kernel.console.arguments import fill_in, read_object, split_words
from mcp_kernel.console.attachments import Attachments
from mcp_kernel.console.destination import add_options, find_destination
from mcp_kernel.console.terminal import show, show_json, tell

if TYPE_CHECKING:
    from mcp_kernel.client.catalog import Tool
    from mcp_kernel.client.client import Client
    from mcp_kernel.client.results import ToolResult
    from mcp_kernel.protocol.jsonrpc import JsonObject


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `call`."""
    text = "call a tool; the exit code is 1 where the tool says that it failed"
    parser = commands.add_parser("call", help=text, description=text, allow_abbrev=False)
    add_options(parser)
    parser.add_argument("tool", metavar="TOOL")
    parser.add_argument(
        "words", nargs="*", metavar="key=value", help="an argument, read by the tool's schema; key:=JSON as it is"
    )
    parser.add_argument("--arguments", metavar="JSON", help="the arguments as a JSON object; - reads it from stdin")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save pictures, sounds and files here")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Follow the command line."""
    written = split_words(arguments.words)
    text: str | None = sys.stdin.read() if arguments.arguments == "-" else arguments.arguments
    given = read_object(text) if text is not None else {}
    target, options = find_destination(arguments)

    async def work() -> int:
        from mcp_kernel.client.client import Client
        from mcp_kernel.console.questions import Questions

        Questions().take_over(options)
        options["on_log"] = tell_log
        async with Client(target, **options) as client:
            tool = await _find_tool(client, arguments.tool)
            values = given | fill_in(tool.input_schema, written)
            result = await client.call_tool(tool.name, values, on_progress=tell_progress)
        if arguments.json:
            show_json(result.wire)
        else:
            _show_result(result, Attachments(arguments.save, tool.name))
        if result.is_error:
            tell(f"the tool {tool.name} says that it failed")
        return 1 if result.is_error else 0

    return work()


async def _find_tool(client: Client, name: str) -> Tool:
    """The tool of this name; raises `UnknownTool`."""
    from mcp_kernel.client.group import UnknownTool

    tools = {tool.name: tool for tool in await client.list_tools()}
    if name in tools:
        return tools[name]
    close = difflib.get_close_matches(name, tools, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(tools) or 'none'}."
    raise UnknownTool(f"The server has no tool {name!r}; {hint}")


def _show_result(result: ToolResult, attachments: Attachments) -> None:
    """Text and the rest in the order of the result; data where no text says the same."""
    for block in result.content:
        show(attachments.describe(block))
    if result.structured is not None and not any(_says(block, result.structured) for block in result.content):
        show(json.dumps(result.structured, indent=2, ensure_ascii=False))


def _says(block: JsonObject, value: object) -> bool:
    """Whether a block is this value as JSON, for clients that know no structured content."""
    text = block.get("text")
    try:
        return isinstance(text, str) and json.loads(text) == value
    except (ValueError, RecursionError):
        return False


def tell_progress(done: float, total: float | None, message: str | None) -> None:
    """Show progress."""
    of = f" of {total:g}" if total is not None else ""
    tell(f"progress {done:g}{of}{f': {message}' if message else ''}")


def tell_log(level: str, data: object, logger: str | None) -> None:
    """Show a log message of the server."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    tell(f"{level}{f' {logger}' if logger else ''}: {text}")
