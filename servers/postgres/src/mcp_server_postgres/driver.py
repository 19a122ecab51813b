"""What is used of asyncpg, which tells no types of its own."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from .messages import Step

OWN_PATH = "SET LOCAL search_path = pg_catalog"
"""Said before every query of ours: in a schema of the role's path anybody may have put another `lower` or `=`."""
LONGEST_TEXT = 1000  # characters of an error, which may quote a value of any length
ROLES_PATH = "SET LOCAL search_path TO DEFAULT"
CURSOR = '"mcp cursor"'


class Row(Protocol):
    """A row, by the names and the places of its columns."""

    def __getitem__(self, key: str | int) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    def keys(self) -> Iterator[str]:
        """The names of the columns."""
        ...


class Type(Protocol):
    """A type, of which the driver knows more than is used."""

    oid: int


class Attribute(Protocol):
    """A column of a prepared statement."""

    name: str
    type: Type


class Prepared(Protocol):
    """A statement that was parsed and resolved, and neither planned nor run."""

    def get_parameters(self) -> Sequence[Type]:
        """The types of $1, $2 ..."""
        ...

    def get_attributes(self) -> Sequence[Attribute]:
        """The columns of the result."""
        ...


class Connection(Protocol):
    """A connection to the database."""

    async def execute(self, query: str) -> str:
        """Run SQL of our own by the simple protocol, which takes several statements: never a caller's."""
        ...

    async def fetch(self, query: str, *args: object) -> Sequence[Row]:
        """Run one statement by the extended protocol."""
        ...

    async def prepare(self, query: str) -> Prepared:
        """Have one statement parsed and resolved."""
        ...

    def ahead(self, *steps: "Step") -> None:
        """Send these before whatever is asked next, without waiting; what is wrong in them is then raised."""
        ...

    def forget_ahead(self) -> None:
        """Send nothing of what nobody asked after."""
        ...

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer, not even the connection's end."""
        ...

    async def ask(self, query: str, *args: object) -> Sequence[Row]:
        """Run one statement of our own, of which there are few: each is described once."""
        ...

    async def resolve(self, cursor_sql: str, sql: str) -> tuple[list[int], Sequence[Attribute]]:
        """Have a DECLARE and its query parsed and resolved: the types of the parameters, and the columns."""
        ...

    async def open(self, sql: str, values: Sequence[str | None], fetch: str) -> Sequence[Row]:
        """Declare the cursor for a query with values, and run `fetch`, a FETCH from it."""
        ...

    async def close(self, *, timeout: float | None = None) -> None:
        """Say goodbye."""
        ...

    def terminate(self) -> None:
        """Close at once."""
        ...

    def is_closed(self) -> bool:
        """Whether it can be used no more."""
        ...


async def connect(dsn: str | None, seconds: float) -> Connection:
    """Open a connection; without a DSN the PG* variables say where."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none; imported when the first call needs it

    from .session import Session

    opened: object = await asyncpg.connect(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above
        dsn,
        timeout=seconds,  # pyright: ignore[reportArgumentType]  # a number of seconds, whole or not
        statement_cache_size=0,  # a pooler between, or a reset, would make its names stale
        server_settings={"application_name": "mcp-server-postgres"},
        connection_class=Session,
    )
    return cast("Connection", opened)


def is_known(error: BaseException) -> bool:
    """Whether an error is one of the database, of the driver, or of the way between them."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # as above

    kinds = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
    return isinstance(error, kinds)


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error of the database, "" for every other."""
    return str(getattr(error, "sqlstate", None) or "")


def text_of(error: BaseException) -> str:
    """What an error says, without its full stop; of a long one the beginning."""
    text = str(getattr(error, "message", None) or error).strip().rstrip(".")
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."
