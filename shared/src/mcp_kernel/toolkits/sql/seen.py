"""The databases as whoever asks may see them: without the tables that do not exist for him."""

from __future__ import annotations

import functools
import inspect
import logging
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from mcp_kernel.server.context import Context
from mcp_kernel.server.server import Server
from mcp_kernel.toolkits.sql.databases import Database, Databases, Handler

Narrow: TypeAlias = Callable[[Database, Context], Awaitable[Database]]
"""Gives a database as the principal of a request may see it; raises one of the server's `tool_errors` for a no."""

_CONTEXT = "context"
_LOG = logging.getLogger("mcp_kernel")
_MOST_CHECKED: Final = 1000  # sets of tables, which come from the operator's file


async def withhold(database: Database, context: Context) -> Database:
    """Withhold the tables that the roles of whoever asks deny."""
    denied = context.denied_tables
    return await database.without(denied) if denied else database


class Seen:
    """Binds handlers as `Databases.bind` does, each call to what whoever makes it may see."""

    def __init__(self, databases: Databases, narrow: Narrow) -> None:
        self.databases = databases
        self._narrow = narrow
        self._checked: set[tuple[str, frozenset[str]]] = set()

    def bind(self, function: Handler) -> Handler:
        """Return a handler as clients see it; `function` takes a parameter `database`, and may take `context`."""
        signature = inspect.signature(function)
        takes_context = _CONTEXT in signature.parameters

        @functools.wraps(function)
        async def bound(database: Database, context: Context, **arguments: object) -> object:
            if takes_context:
                arguments[_CONTEXT] = context
            return await function(database=await self.narrow(database, context), **arguments)

        context = inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY)
        others = [each for each in signature.parameters.values() if each.name != _CONTEXT]
        hints = typing.get_type_hints(function, include_extras=True)
        bound.__signature__ = signature.replace(parameters=[*others, context])  # pyright: ignore[reportAttributeAccessIssue]  # what inspect reads
        bound.__annotations__ = {**hints, _CONTEXT: Context}
        return self.databases.bind(bound)

    async def narrow(self, database: Database, context: Context) -> Database:
        """Give a database as whoever asks may see it; once for each set of tables, tell the log what is misspelt."""
        narrowed = await self._narrow(database, context)
        denied = (database.name, context.denied_tables)
        if context.denied_tables and denied not in self._checked and len(self._checked) < _MOST_CHECKED:
            self._checked.add(denied)
            for warning in await narrowed.policy_warnings():
                _LOG.warning("%s", warning)
        return narrowed

    async def table_names(self, server: Server, database: Database, context: Context) -> Sequence[str]:
        """The tables of a database; none while it cannot be opened, since lists must answer all the same."""
        try:
            return await (await self.narrow(database, context)).table_names()
        except server.tool_errors:
            return []
