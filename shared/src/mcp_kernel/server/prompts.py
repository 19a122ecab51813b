"""Prompts: messages that a user picks, with arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from mcp_kernel.errors import INVALID_PARAMS, InvalidArguments, ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.handlers import Handler
from mcp_kernel.server.results import to_messages

if TYPE_CHECKING:
    from mcp_kernel.server.access import View
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.threads import Threads


class Prompt:
    """A function that makes messages, as it was registered; its arguments travel as strings."""

    __slots__ = ("handler", "name", "title")

    def __init__(self, name: str, function: Callable[..., object], threads: Threads, title: str | None) -> None:
        self.name = name
        self.title = title
        self.handler = Handler(function, threads)

    @property
    def arguments(self) -> dict[str, JsonObject]:
        """The schema of each argument, by name."""
        return cast("dict[str, JsonObject]", self.handler.arguments.schema.get("properties", {}))

    def describe(self) -> JsonObject:
        """The wire's `Prompt`."""
        described: JsonObject = {"name": self.name}
        if self.title is not None:
            described["title"] = self.title
        if self.handler.description:
            described["description"] = self.handler.description
        required = cast("list[str]", self.handler.arguments.schema.get("required", []))
        if self.arguments:
            described["arguments"] = [
                _describe_argument(name, schema, name in required) for name, schema in self.arguments.items()
            ]
        return described

    def shows(self, view: View | None) -> bool:
        """Whether the prompt exists for whoever has this view."""
        return view is None or view.allows("prompts", self.name)


def _describe_argument(name: str, schema: JsonObject, required: bool) -> JsonObject:
    described: JsonObject = {"name": name, "required": required}
    if "description" in schema:
        described["description"] = schema["description"]
    return described


def find_prompt(exchange: Exchange) -> Prompt:
    """The prompt that a request names; raises `ProtocolError` -32602 where there is none for whoever asks."""
    name = cast("str", exchange.request.params["name"])
    prompt = exchange.peer.server.prompts.get(name)
    if prompt is None or not prompt.shows(exchange.view):
        exchange.refusal = None if prompt is None else "policy"
        raise ProtocolError(INVALID_PARAMS, f"Unknown prompt: {name}")
    return prompt


async def get_prompt(exchange: Exchange) -> JsonObject:
    """Answer `prompts/get`; raises `ProtocolError` -32602 for an unknown prompt or arguments that do not fit."""
    prompt = find_prompt(exchange)
    arguments = cast("JsonObject", exchange.request.params.get("arguments") or {})
    try:
        value = await prompt.handler.call(exchange, arguments)
    except (InvalidArguments, *exchange.peer.server.not_found) as error:
        raise ProtocolError(INVALID_PARAMS, str(error)) from None
    result: JsonObject = {"messages": to_messages(value)}
    if prompt.handler.description:
        result["description"] = prompt.handler.description
    return result
