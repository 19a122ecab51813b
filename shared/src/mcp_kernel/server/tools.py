"""Tools: what a model may call."""

from __future__ import annotations

import re
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from mcp_kernel.errors import INVALID_PARAMS, INVALID_REQUEST, ProtocolError, Unsupported
from mcp_kernel.protocol import mirroring
from mcp_kernel.protocol.capabilities import TASKS
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.complaints import nearest
from mcp_kernel.server.exchange import TaskOffer
from mcp_kernel.server.handlers import Handler
from mcp_kernel.server.results import ToolOutput, ToolResult

if TYPE_CHECKING:
    from mcp_kernel.server.access import View
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.threads import Threads

_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")
TaskMode: TypeAlias = Literal["never", "allowed", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a tool says of itself; the defaults of the specification's `ToolAnnotations`, all four always sent."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True

    def to_wire(self) -> JsonObject:
        """The wire's `ToolAnnotations`; a tool that only reads destroys nothing and may be repeated."""
        return {
            "readOnlyHint": self.read_only,
            "destructiveHint": self.destructive and not self.read_only,
            "idempotentHint": self.idempotent or self.read_only,
            "openWorldHint": self.open_world,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What is said of a tool beside its function; `input_schema` stands in for the one made from the signature.

    The rest is explained at `Server.tool`.
    """

    name: str
    title: str | None = None
    hints: Hints = Hints()
    timeout: float | None = None
    input_schema: Mapping[str, object] | None = None
    task: TaskMode = "never"
    task_after: float | None = 0.0
    scopes: tuple[str, ...] = ()
    privileged: bool = False
    idempotency_key: str | None = None


class Tool:
    """A function that a model may call, as it was registered."""

    __slots__ = ("_has_terms", "declaration", "handler", "input_schema", "mirrored", "name", "output")

    def __init__(self, function: Callable[..., object], declaration: Declaration, threads: Threads) -> None:
        unfit = [scope for scope in declaration.scopes if not _SCOPE.fullmatch(scope)]
        if unfit:
            raise ValueError(f"{declaration.name}: {unfit[0]!r} is no scope (RFC 6749, section 3.3)")
        self.name = declaration.name
        self.declaration = declaration
        self.handler = Handler(function, threads)
        given = declaration.input_schema
        self.input_schema = self.handler.arguments.schema if given is None else dict(given)
        key = declaration.idempotency_key
        if key is not None and key not in cast("JsonObject", self.input_schema.get("properties") or {}):
            raise ValueError(f"{self.name} has no argument {key!r} to be its idempotency key")
        self.mirrored = mirroring.find_mirrored(self.input_schema)
        terms = (declaration.scopes, declaration.timeout is not None, declaration.task != "never", key is not None)
        self._has_terms = any(terms)
        returned = typing.get_type_hints(function, include_extras=True).get("return", object)
        self.output = ToolOutput(returned, f"{function.__qualname__}, its result")

    def describe(self) -> JsonObject:
        """The wire's `Tool`."""
        described: JsonObject = {"name": self.name}
        if self.declaration.title is not None:
            described["title"] = self.declaration.title
        if self.handler.description:
            described["description"] = self.handler.description
        described["inputSchema"] = self.input_schema
        if self.output.schema is not None:
            described["outputSchema"] = self.output.schema
        described["annotations"] = self.declaration.hints.to_wire()
        return described

    def shows(self, view: View | None) -> bool:
        """Whether the tool exists for whoever has this view."""
        return not self.declaration.privileged if view is None else view.allows("tools", self.name)

    async def call(self, exchange: Exchange) -> ToolResult:
        """Run the tool; raises `ToolError` for what the model should hear.

        Raises `Unsupported` when it must become a task and the client has none.
        """
        if self._has_terms or exchange.ruling is not None:
            return await self._call_on_terms(exchange)
        arguments: JsonObject = exchange.request.params.get("arguments") or {}  # pyright: ignore[reportAssignmentType]  # by its shape; a cast is a call
        value = await self.handler.call(exchange, arguments)
        return value if type(value) is ToolResult else self.output.encode(value, exchange.budget)

    async def _call_on_terms(self, exchange: Exchange) -> ToolResult:
        """Run a tool that was declared with more than hints, or that the operator gives another time."""
        declared = self.declaration
        if declared.scopes:
            _check_scopes(exchange, declared)
        timeout = declared.timeout if exchange.ruling is None else exchange.ruling
        if timeout is not None:
            exchange.give(timeout)
        if declared.task == "required" and not exchange.takes_tasks:
            raise Unsupported(TASKS)
        keywords = self.handler.bind(exchange, cast("JsonObject", exchange.request.params.get("arguments") or {}))
        if declared.task != "never":
            limit = exchange.peer.server.task_timeout if timeout is None else timeout
            exchange.offer_task(TaskOffer(declared.task_after, limit))
        if declared.idempotency_key is None:
            return await self._run(exchange, keywords)
        from mcp_kernel.server.repeats import answer_once

        return await answer_once(exchange, declared.idempotency_key, partial(self._run, exchange, keywords))

    async def _run(self, exchange: Exchange, keywords: dict[str, object]) -> ToolResult:
        value = await self.handler.run(keywords)
        if type(value) is ToolResult:
            return value
        return self.output.encode(value, exchange.budget)


def call_tool(exchange: Exchange) -> Awaitable[ToolResult]:
    """Answer `tools/call`; raises `ProtocolError` -32602 for an unknown tool (server/tools, "Error Handling")."""
    return find_tool(exchange).call(exchange)


def find_tool(exchange: Exchange) -> Tool:
    """The tool that a request names; raises `ProtocolError` -32602 where there is none for whoever asks."""
    server = exchange.peer.server
    tools, view = server.tools, None if server.policy is None else exchange.view
    name: str = exchange.request.params["name"]  # pyright: ignore[reportAssignmentType]  # by its shape; a cast is a call
    tool = tools.get(name)
    if tool is None or not tool.shows(view):
        exchange.refusal = None if tool is None else "policy"
        meant = nearest(name, [each.name for each in tools if each.shows(view)])
        hint = f". Did you mean {meant}?" if meant else ""
        raise ProtocolError(INVALID_PARAMS, f"Unknown tool: {name}{hint}")
    return tool


def find_mirrored(exchange: Exchange) -> Mapping[str, Sequence[str]]:
    """The arguments of the tool that a request calls which headers mirror: header name to path."""
    _, method, params = exchange.request
    tool = exchange.peer.server.tools.get(str(params.get("name"))) if method == "tools/call" else None
    return tool.mirrored if tool is not None and tool.mirrored and tool.shows(exchange.view) else {}


def _check_scopes(exchange: Exchange, declared: Declaration) -> None:
    """Refuse a call without the scopes that its tool needs: over HTTP with 403 and the way to more of them."""
    principal = exchange.principal
    held = frozenset[str]() if principal is None else principal.scopes
    missing = [scope for scope in declared.scopes if scope not in held]
    if missing:
        from mcp_kernel.server.principal import ask_for_scopes

        exchange.refusal = "scopes"
        exchange.headers = ask_for_scopes(principal, declared.scopes)
        raise ProtocolError(
            INVALID_REQUEST,
            f"{declared.name} needs a token with the scope {' '.join(declared.scopes)}; missing: {' '.join(missing)}",
            {"requiredScopes": list(declared.scopes)},
            status=403,
        )
