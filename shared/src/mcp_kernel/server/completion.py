"""Completion: what the argument of a prompt or the variable of a template may be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.errors import INVALID_PARAMS, InvalidArguments, ProtocolError, ResourceNotFound
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.handlers import Handler
from mcp_kernel.server.prompts import Prompt
from mcp_kernel.server.registry import Registry
from mcp_kernel.server.resources import Resource, Resources, Template

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.threads import Threads

MOST: Final = 100  # values in one answer (server/utilities/completion, "Completion Results")


class Completions:
    """The functions that complete, by what they complete: (prompt name or URI template, argument)."""

    def __init__(self, prompts: Registry[Prompt], resources: Resources) -> None:
        self._prompts = prompts
        self._resources = resources
        self._handlers: dict[tuple[str, str], Handler] = {}

    def __len__(self) -> int:
        return len(self._handlers)

    def add(self, reference: str, argument: str, function: Callable[..., object], threads: Threads) -> None:
        """Register a function of the value typed so far; its further parameters are other arguments, by name."""
        self._handlers[reference, argument] = Handler(function, threads)

    async def complete(self, exchange: Exchange) -> JsonObject:
        """Answer `completion/complete`; raises `ProtocolError` -32602 for an unknown reference."""
        params = exchange.request.params
        reference = self._resolve(exchange, cast("JsonObject", params["ref"]))
        argument = cast("JsonObject", params["argument"])
        name, value = argument.get("name"), argument.get("value")
        if not isinstance(name, str) or not isinstance(value, str):
            raise ProtocolError(INVALID_PARAMS, "completion/complete: params.argument needs a name and a value")
        values = await self._values(exchange, reference, name, value)
        completion: JsonObject = {"values": values[:MOST], "total": len(values), "hasMore": len(values) > MOST}
        return {"completion": completion}

    def _resolve(self, exchange: Exchange, reference: JsonObject) -> str:
        kind, name, uri = reference.get("type"), reference.get("name"), reference.get("uri")
        view = exchange.view
        if kind == "ref/prompt" and isinstance(name, str):
            prompt = self._prompts.get(name)
            if prompt is not None and prompt.shows(view):
                exchange.denied_tables = frozenset() if view is None else view.denied_tables("prompts", name)
                return name
        if kind == "ref/resource" and isinstance(uri, str):
            found = self._find(uri)
            if isinstance(found, Resource) and found.shows(view):
                return found.uri
            if isinstance(found, Template) and found.shows(view):
                outline = found.template.outline
                exchange.denied_tables = frozenset() if view is None else view.denied_tables("resources", outline)
                return found.template.template
        raise ProtocolError(INVALID_PARAMS, f"completion/complete: nothing here is called {name or uri}")

    def _find(self, uri: str) -> Resource | Template | None:
        """What is declared at a URI or a template, or reads the URI."""
        with contextlib.suppress(ResourceNotFound):
            return self._resources.templates.get(uri) or self._resources.fixed.get(uri) or self._resources.match(uri)[0]
        return None

    async def _values(self, exchange: Exchange, reference: str, name: str, value: str) -> list[str]:
        handler = self._handlers.get((reference, name))
        if handler is None:
            return [choice for choice in self._choices(reference, name) if choice.startswith(value)]
        context = exchange.request.params.get("context")
        known = cast("JsonObject", context).get("arguments") if isinstance(context, dict) else None
        parameters = list(cast("JsonObject", handler.arguments.schema["properties"]))
        first, *others = parameters
        given = cast("JsonObject", known) if isinstance(known, dict) else {}
        arguments = {other: given[other] for other in others if other in given}
        try:
            return list(cast("list[str]", await handler.call(exchange, {first: value, **arguments})))
        except InvalidArguments:
            return []  # it needs to know an argument that is not filled in yet

    def _choices(self, reference: str, name: str) -> list[str]:
        """The allowed values of a prompt's argument, which its annotation tells without a function."""
        prompt = self._prompts.get(reference)
        if prompt is None:
            return []
        described = prompt.arguments.get(name, {})
        definitions = cast("dict[str, JsonObject]", prompt.handler.arguments.schema.get("$defs", {}))
        described = definitions.get(str(described.get("$ref")).rpartition("/")[2], described)
        choices = [described["const"]] if "const" in described else described.get("enum")
        return [str(choice) for choice in cast("list[object]", choices)] if isinstance(choices, list) else []
