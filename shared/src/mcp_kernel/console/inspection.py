"""`mcp-kernel inspect`: what a server offers, and what its tools cost."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast

from mcp_kernel.console.destination import add_options, find_destination
from mcp_kernel.console.terminal import draw_table, line_width, scrub, show, show_json, wrap
from mcp_kernel.errors import METHOD_NOT_FOUND

if TYPE_CHECKING:
    from mcp_kernel.client.catalog import Prompt, Resource, ResourceTemplate, Tool
    from mcp_kernel.client.client import Client
    from mcp_kernel.client.conversation import ServerDescription

T = TypeVar("T")

_HINTS: Final = {
    "readOnlyHint": ("read-only", "writes"),
    "destructiveHint": ("destructive", ""),
    "idempotentHint": ("idempotent", ""),
    "openWorldHint": ("open world", ""),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers; `tokens` is what each tool costs a model's context."""

    server: ServerDescription
    tools: Sequence[Tool]
    tokens: Sequence[int]
    resources: Sequence[Resource]
    templates: Sequence[ResourceTemplate]
    prompts: Sequence[Prompt]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `inspect`."""
    text = "show what a server offers: tools, resources, prompts, and what each tool costs a model's context"
    parser = commands.add_parser("inspect", help=text, description=text, allow_abbrev=False)
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Follow the command line."""
    target, options = find_destination(arguments)

    async def work() -> int:
        from mcp_kernel.client.client import Client

        async with Client(target, **options) as client:
            offer = await take_stock(client)
        if arguments.json:
            show_json(_to_json(offer))
        else:
            show(describe(offer, line_width()))
        return 0

    return work()


async def take_stock(client: Client) -> Offer:
    """Ask for every list that the server says it has."""
    from mcp_kernel.client.formats import estimate_tokens

    server = await client.connect()
    tools = await client.list_tools() if server.supports("tools") else []
    has_resources = server.supports("resources")
    return Offer(
        server,
        tools,
        [estimate_tokens(tool.wire) for tool in tools],
        await _list(client.list_resources) if has_resources else [],
        await _list(client.list_resource_templates) if has_resources else [],
        await _list(client.list_prompts) if server.supports("prompts") else [],
    )


async def _list(ask: Callable[[], Awaitable[list[T]]]) -> list[T]:
    """A server may have resources, and not the method that lists them."""
    from mcp_kernel.client.failures import ServerRefused

    try:
        return await ask()
    except ServerRefused as error:
        if error.code != METHOD_NOT_FOUND:
            raise
        return []


def describe(offer: Offer, width: int) -> str:
    """The tables, for a person."""
    parts = [_describe_server(offer.server, width)]
    if offer.tools:
        rows = [
            (tool.name, f"{tokens:,}", _hints(tool.annotations), _summary(_usage(tool), tool.description or tool.title))
            for tool, tokens in zip(offer.tools, offer.tokens, strict=True)
        ]
        title = f"Tools: {len(offer.tools)}, about {sum(offer.tokens):,} tokens of a model's context"
        parts.append(f"{title}\n\n{draw_table(('NAME', 'TOKENS', 'HINTS', 'ARGUMENTS AND USE'), rows, width)}")
    places = [(each.uri, each.mime_type or "", _summary(each.name, each.description)) for each in offer.resources]
    parts += _section("Resources", ("URI", "TYPE", "WHAT IT IS"), places, width)
    patterns = [
        (each.uri_template, each.mime_type or "", _summary(each.name, each.description)) for each in offer.templates
    ]
    parts += _section("Resource templates", ("URI", "TYPE", "WHAT IT IS"), patterns, width)
    prompts = [(each.name, _summary(_blanks(each), each.description or each.title)) for each in offer.prompts]
    parts += _section("Prompts", ("NAME", "ARGUMENTS AND USE"), prompts, width)
    return "\n\n".join(parts)


def _describe_server(server: ServerDescription, width: int) -> str:
    title = f" ({server.title})" if server.title and server.title != server.name else ""
    lines = [scrub(f"{server.name or 'a server without a name'} {server.version}{title}, revision {server.revision}")]
    if server.instructions:
        lines += ["", *wrap(scrub(server.instructions), width)]
    return "\n".join(lines)


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    return [f"{title}: {len(rows)}\n\n{draw_table(heads, rows, width)}"] if rows else []


def _usage(tool: Tool) -> str:
    """The arguments of a tool; one that may be left out has a question mark."""
    properties = tool.input_schema.get("properties")
    required = tool.input_schema.get("required")
    needed = cast("list[object]", required) if isinstance(required, list) else []
    names = list(cast("Mapping[str, object]", properties)) if isinstance(properties, dict) else []
    return ", ".join(name if name in needed else f"{name}?" for name in names)


def _blanks(prompt: Prompt) -> str:
    names = [(str(each.get("name", "")), each.get("required") is True) for each in prompt.arguments]
    return ", ".join(name if needed else f"{name}?" for name, needed in names)


def _hints(annotations: Mapping[str, object]) -> str:
    said = [words[0 if annotations[hint] else 1] for hint, words in _HINTS.items() if hint in annotations]
    return ", ".join(word for word in said if word) or "none"


def _summary(head: str, text: str | None) -> str:
    """A head, and the first paragraph of a text below it."""
    paragraph = " ".join((text or "").strip().split("\n\n")[0].split())
    return "\n".join(part for part in (head, paragraph) if part)


def _to_json(offer: Offer) -> dict[str, object]:
    server = offer.server
    return {
        "server": {
            "name": server.name,
            "version": server.version,
            "title": server.title,
            "revision": server.revision,
            "instructions": server.instructions,
            "capabilities": server.capabilities,
        },
        "tools": [{**tool.wire, "tokens": tokens} for tool, tokens in zip(offer.tools, offer.tokens, strict=True)],
        "tokens": sum(offer.tokens),
        "resources": [each.wire for each in offer.resources],
        "resourceTemplates": [each.wire for each in offer.templates],
        "prompts": [each.wire for each in offer.prompts],
    }
