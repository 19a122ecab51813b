"""What is used of asyncpg, which tells no types of its own."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, cast

CONNECT_SECONDS = 5
COMMAND_SECONDS = 30
MOST_CONNECTIONS = 8
_APPLICATION = {"application_name": "mcp-server-ticketing"}


class Connection(Protocol):
    """A connection to the database."""

    async def execute(self, query: str, *args: object) -> str:
        """Run SQL, and return what the engine says was done; several statements where there are no arguments."""
        ...

    async def fetch(self, query: str, *args: object) -> Sequence[Sequence[object]]:
        """Run one statement and return its rows."""
        ...

    async def fetchval(self, query: str, *args: object) -> object:
        """Run one statement and return the first value of its first row."""
        ...

    async def add_listener(self, channel: str, callback: Callable[[object, int, str, object], None]) -> None:
        """Hear what is told on a channel: connection, process, channel, text."""
        ...

    def add_termination_listener(self, callback: Callable[[object], None]) -> None:
        """Hear that the connection has ended."""
        ...

    def is_in_transaction(self) -> bool:
        """Whether a transaction was begun and not ended."""
        ...

    def terminate(self) -> None:
        """Close at once."""
        ...

    def is_closed(self) -> bool:
        """Whether it can be used no more."""
        ...


class Pool(Protocol):
    """Connections to one database."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Borrow a connection."""
        ...

    async def close(self) -> None:
        """Close all, when they are given back."""
        ...

    def terminate(self) -> None:
        """Close all at once."""
        ...


async def open_pool(url: str | None) -> Pool:
    """Open a pool, of which the first connection is made now."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none; imported when the first call needs it

    opened: object = await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType]  # as above
        url,
        min_size=1,
        max_size=MOST_CONNECTIONS,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        statement_cache_size=0,  # a pooler between would make its names stale
        server_settings=_APPLICATION,
    )
    return cast("Pool", opened)


async def connect(url: str | None) -> Connection:
    """Open a connection by itself."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # as above

    opened: object = await asyncpg.connect(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above
        url, timeout=CONNECT_SECONDS, statement_cache_size=0, server_settings=_APPLICATION
    )
    return cast("Connection", opened)


def is_known(error: BaseException) -> bool:
    """Whether an error is one of the database, of the driver, or of the way between them."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # as above

    kinds = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)  # TimeoutError too
    return isinstance(error, kinds)


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error of the database, "" for every other."""
    return str(getattr(error, "sqlstate", None) or "")


def text_of(error: BaseException) -> str:
    """What an error says, without its full stop."""
    return str(getattr(error, "message", None) or error).strip().rstrip(".") or type(error).__name__
