"""What stands around every request: stages, in one order, the first outermost.

A stage is one concern: it lets a request through, or refuses it by raising what a handler may raise, and sees the
answer on its way back. Whoever assembles a server decides which stages there are (`deployment.py`); without any,
requests go straight to their methods and nothing here is run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from mcp_kernel.protocol.jsonrpc import JsonObject, Prepared
from mcp_kernel.server.results import ToolResult

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange

Answer: TypeAlias = JsonObject | Prepared | ToolResult
Method: TypeAlias = "Callable[[Exchange], Answer | Awaitable[Answer]]"
Proceed: TypeAlias = "Callable[[Exchange], Awaitable[Answer]]"


class Stage(Protocol):
    """One concern around a request."""

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """Answer a request: with what `proceed` returns, or by raising `ProtocolError`, `ToolError`, `Unsupported`.

        What `proceed` raises passes through. A request that is stopped ends it by cancellation, `exchange.ending`
        saying why; one that became a task is answered long before this returns.
        """
        ...


def compose(stages: Sequence[Stage]) -> Callable[[Exchange, Method], Awaitable[Answer]]:
    """Return what runs a method inside the stages."""

    chains: dict[Method, Proceed] = {}  # of each method, of which there are a few

    def run(exchange: Exchange, method: Method) -> Awaitable[Answer]:
        chain = chains.get(method)
        if chain is None:
            chain = chains[method] = _enclose(stages, method)
        return chain(exchange)

    return run


def _enclose(stages: Sequence[Stage], method: Method) -> Proceed:
    async def proceed(exchange: Exchange) -> Answer:
        answer = method(exchange)
        return await answer if isawaitable(answer) else answer

    for stage in reversed(stages):
        proceed = partial(stage.run, proceed=proceed)
    return proceed
