"""The server: what is offered of one database, and how it is described to a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from mcp_kernel import Context, Server
from mcp_kernel.toolkits import sql

from . import __version__
from .database import Database
from .refusals import Refusal, Unavailable, UnknownTable
from .server_identity import Claims


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDescription(sql.ColumnDescription):
    """A column. `generated` is 'stored' or 'virtual', `identity` 'always' or 'by default'; masked ones are refused."""

    identity: str | None
    comment: str | None

    def marks(self) -> Iterator[str]:
        """What there is to say of the column, in words."""
        yield from sql.ColumnDescription.marks(self)
        if self.identity:
            yield f"identity, {self.identity}"
        if self.comment:
            yield f"comment: {self.comment}"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A CHECK, UNIQUE, PRIMARY KEY, FOREIGN KEY or EXCLUDE constraint as SQL."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """A row-level security policy: which rows a role sees."""

    name: str
    command: str
    roles: list[str]
    using: str | None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, or a table that inherits, with the bound of its rows."""

    name: str
    bound: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDescription(sql.TableDescription):
    """All there is to know of a table or view. `row_count` is the engine's estimate."""

    columns: list[ColumnDescription]  # pyright: ignore[reportIncompatibleVariableOverride]  # frozen: nobody adds to it
    comment: str | None
    constraints: list[Constraint]
    row_security: bool
    policies: list[RowPolicy]
    partition_key: str | None
    partition_of: str | None
    partitions: list[Partition]
    row_count_exact: bool

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The description in words, line by line."""
        if self.comment:
            yield self.comment
        yield from sql.TableDescription.lines(self)
        if self.partition_of:
            yield f"partition of {self.partition_of}"
        yield from (f"partition {each.name} {each.bound or ''}".rstrip() for each in self.partitions)
        if self.row_security:
            yield "row-level security: this role may see only some of the rows"
        yield from (f"policy {each.name} for {each.command}: {each.using}" for each in self.policies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(sql.Plan):
    """The steps as a tree, what in them will be slow, and the planner's own figures."""

    total_cost: float
    estimated_rows: int

    def __str__(self) -> str:
        return f"{sql.Plan.__str__(self)}\nCost {self.total_cost}, about {self.estimated_rows} rows."


DIALECT = sql.Dialect(
    name="PostgreSQL",
    statements="(SELECT, WITH, VALUES, TABLE or EXPLAIN)",
    values=(
        "Dates, intervals, uuid, inet and the like are strings, as\n        PostgreSQL writes them. What JSON does "
        'not have comes as an object, and goes into params as one: {"$blob": base64},\n        {"$integer": digits} '
        'beyond 2^53, {"$numeric": digits} beyond 15 digits, {"$real": "Infinity"}.'
    ),
    params="The values of $1, $2 ... in order.",
    params_type=list[object] | None,
    schema="A schema; may be left out where the name is found without.",
    described=(
        "columns, keys, indexes, foreign keys both ways, constraints, partitions,\n        row-level security, "
        "triggers, comments, DDL, estimated rows"
    ),
    table=TableDescription,
    plan=Plan,
)


def build(database: Database, claims: Claims | None = None) -> Server:
    """Make the server of one database; the claims of a token say whose rights a call has there."""
    server = Server(
        "mcp-server-postgres",
        __version__,
        title="PostgreSQL",
        instructions=_instructions(database),
        tool_errors=(Refusal,),
        own_failures=(Unavailable,),
        not_found=(UnknownTable,),
    )
    wanted = claims or Claims()

    async def narrow(_: sql.Database, context: Context) -> sql.Database:
        if wanted.are_needed:
            return database.narrowed(context.denied_tables, wanted.read(context))
        return await sql.withhold(database, context)

    seen = sql.install(server, sql.One(database), DIALECT, narrow)
    _add_familiar_resources(server, seen, _familiar_prefix(database))
    server.ready_check("database")(database.probe)
    return server


def _instructions(database: Database) -> str:
    policy = database.policy
    warning = (
        " The operator has overridden the check of the role (--allow-superuser): only what is known to have effects is "
        "refused."
        if policy.allow_superuser
        else ""
    )
    return (
        f"Answers questions about the PostgreSQL database {database.label}. Nothing can be changed. Call list_tables "
        "first, then describe_table for the tables you need, then query with PostgreSQL's dialect of SQL: one "
        f"statement that reads, at most {policy.max_rows} rows.{warning}"
    )


def _add_familiar_resources(server: Server, seen: sql.Seen, prefix: str) -> None:
    """Schemas under the addresses that the npm server gave them."""

    @server.resource(f"{prefix}/{{table}}/schema", name="table-columns", title="Columns of a table")
    @seen.bind
    async def columns(database: Database, table: str) -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # registered
        """The columns of a table and their types, as JSON."""
        described = await database.describe_table(table)
        return [{"column_name": column.name, "data_type": column.type} for column in described.columns]

    @server.complete(f"{prefix}/{{table}}/schema", "table")
    async def complete(prefix: str, context: Context) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        names = await seen.table_names(server, seen.databases.databases[0], context)
        return [name for name in names if name.lower().startswith(prefix.lower())]


def _familiar_prefix(database: Database) -> str:
    """`postgres://HOST:PORT/DATABASE`, without user and password."""
    parts = urlsplit(database.name)
    host = parts.netloc.rpartition("@")[2] or "localhost"
    return f"postgres://{quote(host, safe=':[],.-')}/{quote(parts.path.strip('/'), safe='')}".rstrip("/")
