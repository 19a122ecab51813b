"""Tools: what a model may call."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError, Unsupported
from mcp_kernel.protocol import mirroring
from mcp_kernel.protocol.capabilities import TASKS
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.complaints import nearest
from mcp_kernel.server.exchange import TaskOffer
from mcp_kernel.server.handlers import Handler
from mcp_kernel.server.registry import Registry
from mcp_kernel.server.results import ToolOutput, ToolResult

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mcp_kernel.server.exchange import Exchange

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

    `task` and `task_after` are explained at `Server.tool`.
    """

    name: str
    title: str | None = None
    hints: Hints = Hints()
    timeout: float | None = None
    input_schema: Mapping[str, object] | None = None
    task: TaskMode = "never"
    task_after: float | None = 0.0


class Tool:
    """A function that a model may call, as it was registered."""

    __slots__ = ("declaration", "handler", "input_schema", "mirrored", "name", "output")

    def __init__(
        self, function: Callable[..., object], declaration: Declaration, threads: Callable[[], Executor]
    ) -> None:
        self.name = declaration.name
        self.declaration = declaration
        self.handler = Handler(function, threads)
        given = declaration.input_schema
        self.input_schema = self.handler.arguments.schema if given is None else dict(given)
        self.mirrored = mirroring.find_mirrored(self.input_schema)
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

    async def call(self, exchange: Exchange) -> ToolResult:
        """Run the tool; raises `ToolError` for what the model should hear.

        Raises `Unsupported` when it must become a task and the client has none.
        """
        declared = self.declaration
        timeout = declared.timeout if exchange.ruling is None else exchange.ruling
        if timeout is not None:
            exchange.give(timeout)
        if declared.task == "required" and not exchange.takes_tasks:
            raise Unsupported(TASKS)
        keywords = self.handler.bind(exchange, cast("JsonObject", exchange.request.params.get("arguments") or {}))
        if declared.task != "never":
            limit = exchange.peer.server.task_timeout if timeout is None else timeout
            exchange.offer_task(TaskOffer(declared.task_after, limit))
        value = await self.handler.run(keywords)
        if type(value) is ToolResult:
            return value
        return self.output.encode(value, exchange.budget)


async def call_tool(exchange: Exchange, tools: Registry[Tool]) -> ToolResult:
    """Answer `tools/call`; raises `ProtocolError` -32602 for an unknown tool (server/tools, "Error Handling")."""
    name = cast("str", exchange.request.params["name"])
    tool = tools.get(name)
    if tool is None:
        meant = nearest(name, tools.names)
        hint = f". Did you mean {meant}?" if meant else ""
        raise ProtocolError(INVALID_PARAMS, f"Unknown tool: {name}{hint}")
    return await tool.call(exchange)
