"""Which database a call means: the only one there is, or the one that the caller names."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Literal, Protocol
from urllib.parse import unquote

from .database import Database
from .refusals import Refusal


class Named(Protocol):
    """A database, as far as its name goes."""

    @property
    def name(self) -> str:
        """What callers know it by."""
        ...


class Choice:
    """Binds handlers, whose first parameter is `database: Database`, to what the client may say of it.

    With one database the parameter is not there for the client; with several it is the name of one of them.
    """

    def __init__(self, databases: Sequence[Database]) -> None:
        self.databases = databases
        self._by_name = {database.name: database for database in databases}

    @property
    def is_needed(self) -> bool:
        """Whether there is more than one database."""
        return len(self.databases) > 1

    @property
    def names(self) -> list[str]:
        """The names to choose from; none where there is no choice."""
        return list(self._by_name) if self.is_needed else []

    @property
    def uri_prefix(self) -> str:
        """How the URIs of resources begin: `db:/` for the only one, with the name as a variable for several."""
        return "db://{database}" if self.is_needed else "db:/"

    def variables(self, database: Named) -> dict[str, str]:
        """The variables of a URI that tell a database."""
        return {"database": database.name} if self.is_needed else {}

    def owns(self, database: Named, uri: str) -> bool:
        """Tell whether a resource is one of this database."""
        return not self.is_needed or unquote(uri).startswith(f"db://{database.name}/")

    def bind(self, function: Callable[..., typing.Awaitable[object]]) -> Callable[..., typing.Awaitable[object]]:
        """Return the handler as clients see it."""

        @functools.wraps(function)
        async def bound(**arguments: object) -> object:
            name = arguments.pop("database", None)
            chosen = self._by_name.get(str(name)) if self.is_needed else self.databases[0]
            if chosen is None:
                raise Refusal(f"There is no database {name!r}. There are: {', '.join(self._by_name)}.")
            return await function(database=chosen, **arguments)

        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = dict(signature.parameters)
        parameter = parameters.pop("database")
        del hints["database"]
        if self.is_needed:
            parameters["database"] = parameter.replace(kind=parameter.KEYWORD_ONLY)
            hints["database"] = Literal[tuple(self._by_name)]
        bound.__signature__ = signature.replace(parameters=list(parameters.values()))  # pyright: ignore[reportAttributeAccessIssue]  # what inspect reads
        bound.__annotations__ = hints
        return bound
