"""Calls a handler: with its arguments and context, awaited or in a thread."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, cast

from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server import docstrings
from mcp_kernel.server.context import Context
from mcp_kernel.server.schema import Arguments

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.threads import Threads


class Handler:
    """A function of the user, with what its signature and docstring say."""

    __slots__ = ("_threads", "arguments", "description", "function", "is_async")

    def __init__(self, function: Callable[..., object], threads: Threads) -> None:
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.arguments = Arguments(function, Context)
        self.description = docstrings.read(function).description
        self._threads = threads

    def call(self, exchange: Exchange, arguments: JsonObject) -> Awaitable[object]:
        """Validate the arguments and run the function; raises `ToolError` for arguments that do not fit."""
        return self.run(self.bind(exchange, arguments))

    def bind(self, exchange: Exchange, arguments: JsonObject) -> dict[str, object]:
        """Return the keywords for `run`; raises `ToolError` for arguments that do not fit."""
        keywords = self.arguments.parse(arguments)
        if self.arguments.context is not None:
            keywords[self.arguments.context] = Context(exchange)
        return keywords

    def run(self, keywords: dict[str, object]) -> Awaitable[object]:
        """Return what runs the function, once: in a thread where it is no coroutine function."""
        # The function's own coroutine and none around it, since each costs every call that passes through it.
        return self.function(**keywords) if self.is_async else self._run_aside(keywords)  # pyright: ignore[reportReturnType]  # as is_async says

    async def _run_aside(self, keywords: dict[str, object]) -> object:
        work = partial(copy_context().run, partial(_run_in_thread, self.function, keywords))
        return await self._threads.run(work)


def name_of(function: Callable[..., object]) -> str:
    """What a function is called; a callable object is called as its class."""
    return cast("str", getattr(function, "__name__", type(function).__name__))


def _run_in_thread(function: Callable[..., object], keywords: dict[str, object]) -> object:
    try:
        return function(**keywords)
    except StopIteration as error:  # no future can carry it, and whoever awaits the call would wait for ever
        raise RuntimeError("The handler raised StopIteration") from error
