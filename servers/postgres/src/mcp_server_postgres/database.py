"""Database: one PostgreSQL database, answered from read-only. The front door of the domain; it knows nothing of MCP."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from . import catalog
from .answers import Column, QueryResult, say_rows
from .driver import is_known, state_of, text_of
from .identity import Identity, assume
from .policy import Policy, quote
from .refusals import Refusal, Unavailable, describe_error

_CANCELLED = "57014"
_LOST = ("57P", "08")
MOST_EXAMINERS = 64

if TYPE_CHECKING:
    from .describing import TableDescription
    from .driver import Connection
    from .examining import Examiner
    from .plan import Plan
    from .pool import Pool
    from .reader import Statement
    from .standing import Standing
    from .target import Target


class Visit:
    """One call's stay in the database: a connection in a READ ONLY transaction, and when it began."""

    def __init__(self, connection: "Connection", standing: "Standing", began: float) -> None:
        self.connection = connection
        self.standing = standing
        self._began = began

    def elapsed_ms(self) -> float:
        """Milliseconds since the call arrived."""
        return round((asyncio.get_running_loop().time() - self._began) * 1000, 3)


class Database:
    """A target and the policy it is served under. Making one touches nothing: it connects at the first call."""

    def __init__(self, target: "Target", policy: Policy | None = None) -> None:
        self.target = target
        self.policy = policy or Policy()
        self._parts: tuple[Pool, Examiner] | None = None
        self._identity = Identity()
        self._source: Database | None = None  # whose connections this one uses
        self._examiners: OrderedDict[tuple[frozenset[str], str | None], Examiner] = OrderedDict()

    @property
    def name(self) -> str:
        """What callers know the database by."""
        return str(self.target)

    @property
    def label(self) -> str:
        """The database in words, without user and host: for a model, which has no use for them."""
        return self.name.partition("?")[0].rpartition("/")[2] or "of the server"

    @property
    def cannot_withhold(self) -> bool:
        """Whether the last connection found that what the policy withholds cannot be withheld here."""
        if self._parts is None or not self.policy.restricts:
            return False
        return self._parts[0].has_opened and not self._parts[0].standing.can_probe

    # --- what is asked ---

    async def query(self, sql: str, params: object = None, limit: int = 100) -> QueryResult:
        """Run one statement that reads; `limit` is capped by the policy's rows."""
        from .examining import bind
        from .lexing import take_explain
        from .reader import Reading, join_notes

        if limit < 1:
            raise Refusal("limit must be at least 1.")
        explained = take_explain(sql)
        async with self._visit(own=False) as visit:
            if explained is not None:
                return await self._show_plan(visit, explained, params, limit)
            statement = await self._examine(visit, sql)
            values = bind(statement, params)
            await self._check_cost(visit, statement, values)
            sheet, note = await Reading(statement, self.policy).run(visit.connection, values, limit)
            columns, count = list(statement.columns), len(sheet.rows)
            elapsed, noted = visit.elapsed_ms(), join_notes(sheet, note)
            return QueryResult(columns, sheet.rows, count, note is not None, elapsed, noted)

    async def list_tables(self, schema: str | None = None, pattern: str | None = None) -> list[catalog.TableSummary]:
        """List tables, views and what else has rows; the pattern is a part of a name, or has * and ? (or %) in it."""
        async with self._visit() as visit:
            tables = await catalog.read_tables(visit.connection, self.policy, visit.standing.path)
            return catalog.choose_tables(tables, schema, pattern)

    async def describe_table(self, table: str, schema: str | None = None) -> "TableDescription":
        """Tell all there is to know of a table or view; an unknown name is refused with the nearest ones."""
        async with self._visit() as visit:
            tables = await catalog.read_tables(visit.connection, self.policy, visit.standing.path)
            (described,) = await self._describe(visit, [catalog.find_table(tables, table, schema)])
            return described

    async def explain_query(self, sql: str, params: object = None, analyze: bool = False) -> "Plan":
        """Give the plan of a statement as a tree; with `analyze` also run it, to its end or the deadline."""
        from .lexing import take_explain
        from .plan import ask_plan

        explained = take_explain(sql)
        async with self._visit(own=False) as visit:
            statement = await self._examine(visit, sql if explained is None else explained[1])
            written, values = _to_plan(statement, params)
            if analyze:
                if params is None and statement.parameters:
                    raise Refusal(
                        "To run the statement, write values in the place of $1, $2 ...; or leave analyze out."
                    )
                await self._check_cost(visit, statement, values)
            return await ask_plan(visit.connection, written, values, analyze)

    async def table_names(self) -> list[str]:
        """Give the names that list_tables gives, for completion: with the schema where the search path has it not."""
        return [table.label for table in await self.list_tables()]

    async def sample_rows(self, table: str, limit: int = 20) -> QueryResult:
        """Give the first rows of a table, in no order that means anything, without masked columns."""
        described = await self.describe_table(table)
        columns = ", ".join(quote(column.name) for column in described.columns if not column.masked)
        source = f"{quote(described.schema)}.{quote(described.name)}"
        sql = f"SELECT {columns} FROM {source}"  # noqa: S608  # the names are quoted, and it goes the way of every other
        result = await self.query(sql, None, limit)
        return replace(result, note=" ".join(filter(None, (result.note, described.note))) or None)

    async def schema_ddl(self, table: str | None = None) -> str:
        """Give the DDL of one table with its indexes and triggers, or of all, as one SQL text."""
        async with self._visit() as visit:
            tables = await catalog.read_tables(visit.connection, self.policy, visit.standing.path)
            chosen = tables if table is None else [catalog.find_table(tables, table)]
            return "\n\n".join(each.ddl or "" for each in await self._describe(visit, chosen))

    async def policy_warnings(self) -> list[str]:
        """Name what is denied or masked but not in the database: a misspelling there is a silent hole."""
        async with self._visit() as visit:
            missing = await catalog.find_unmatched(visit.connection, self.policy)
        return [
            f"Nothing in {self} is named {name}: check --deny-table, --mask-column and deny_tables." for name in missing
        ]

    async def check(self) -> "Standing":
        """Connect, and find out whether the role is fit for what the policy asks."""
        async with self._visit() as visit:
            return visit.standing

    async def probe(self) -> None:
        """Connect once, whatever the calls are doing; raises `Refusal` where that, or the role, does not do."""
        try:
            await self._open()[0].probe()
        except Exception as error:
            raise self._explain(error) from None

    async def without(self, tables: frozenset[str]) -> "Database":
        """The same database for somebody for whom these tables do not exist either."""
        return self.narrowed(tables, Identity())

    def narrowed(self, tables: frozenset[str], identity: Identity) -> "Database":
        """The same database, on the same connections, for somebody with an identity and without these tables."""
        if self._source is not None:
            raise RuntimeError("a database is narrowed once")
        narrowed = Database(self.target, replace(self.policy, deny_tables=self.policy.deny_tables | tables))
        narrowed._identity, narrowed._source = identity, self
        return narrowed

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield whenever the schema has changed, from this call on."""
        from .changes import watch  # here: only a subscriber needs it

        return watch(self)

    async def schema_mark(self) -> str:
        """A text that is another whenever a table, a column or a comment was changed, made or dropped."""
        async with self._visit() as visit:
            return await catalog.read_mark(visit.connection)

    async def close(self) -> None:
        """Close every connection; one in use closes when its call ends."""
        if self._parts is not None:
            await self._parts[0].close()

    def __str__(self) -> str:
        return self.name

    # --- how ---

    @asynccontextmanager
    async def _visit(self, own: bool = True) -> AsyncGenerator[Visit]:
        """Stay in a READ ONLY transaction, for no longer than the policy allows; says in words what goes wrong.

        `own` says that no caller's SQL is run in it.
        """
        pool, _ = self._open()
        from .examining import begin

        seconds = self.policy.query_timeout
        began = asyncio.get_running_loop().time()
        try:
            async with (
                asyncio.timeout_at(began + seconds),
                pool.transaction(begin(self.policy, own=own), began + seconds) as connection,
            ):
                await assume(connection, self._identity)
                yield Visit(connection, pool.standing, began)
        except Exception as error:
            raise self._explain(error) from None

    def _explain(self, error: Exception) -> Exception:
        """Put an error into words for the caller; one that is nobody's but ours stays what it is."""
        state = state_of(error)
        if isinstance(error, TimeoutError) or state == _CANCELLED:
            return Refusal(
                f"Stopped after {self.policy.query_timeout:g} s, the time of one query. Ask for less: a narrower "
                "WHERE, an aggregate of fewer rows; explain_query shows what takes the time."
            )
        if isinstance(error, Refusal) or not is_known(error):
            return error
        if not state or state.startswith(_LOST):
            return Unavailable(self.target.clean(_say_lost(error)))
        return Refusal(self.target.clean(describe_error(error, self.policy.restricts)))

    def _open(self) -> "tuple[Pool, Examiner]":
        if self._source is not None:
            return self._source._open()[0], self._source._examiner(self.policy, self._identity.role)
        if self._parts is None:
            from .examining import Examiner  # here: with asyncpg, which a server that is only listed need not load
            from .pool import Pool

            self._parts = (Pool(self.target, self.policy), Examiner(self.policy))
        return self._parts

    def _examiner(self, policy: Policy, role: str | None) -> "Examiner":
        """What a statement is and touches is kept for each role: `"$user"` in a search path is another's for each."""
        from .examining import Examiner  # as above

        key = (policy.deny_tables, role)
        if key not in self._examiners:
            self._examiners[key] = Examiner(policy)
        self._examiners.move_to_end(key)
        while len(self._examiners) > MOST_EXAMINERS:
            self._examiners.popitem(last=False)
        return self._examiners[key]

    async def _examine(self, visit: Visit, sql: str) -> "Statement":
        return await self._open()[1].examine(visit.connection, visit.standing, sql, self._identity)

    async def _describe(self, visit: Visit, tables: list[catalog.TableSummary]) -> "list[TableDescription]":
        from .describing import describe
        from .guard import find_masked

        denied = await catalog.find_denied(visit.connection, self.policy)
        masked = await find_masked(visit.connection, [table.oid for table in tables], self.policy)
        connection, path = visit.connection, visit.standing.path
        return [await describe(connection, table, denied, masked.get(table.oid, set()), path) for table in tables]

    async def _check_cost(self, visit: Visit, statement: "Statement", values: "list[str | None]") -> None:
        if self.policy.max_cost:
            from .plan import ask_cost

            cost = await ask_cost(visit.connection, statement.sql, values)
            if cost > self.policy.max_cost:
                raise Refusal(
                    f"The planner expects a cost of {cost:.0f}, and {self.policy.max_cost:g} is the most here. "
                    "explain_query shows where it lies: narrow the WHERE, use an indexed column, join less."
                )

    async def _show_plan(self, visit: Visit, explained: tuple[str, str], params: object, limit: int) -> QueryResult:
        from .plan import show_plan

        statement = await self._examine(visit, explained[1])
        lines = await show_plan(visit.connection, *_to_plan(statement, params), explained[0])
        most = min(limit, self.policy.max_rows)
        note = say_rows(limit, self.policy) if len(lines) > most else None
        columns, shown = [Column("QUERY PLAN", "text")], lines[:most]
        return QueryResult(columns, [[line] for line in shown], len(shown), bool(note), visit.elapsed_ms(), note)


def _to_plan(statement: "Statement", params: object) -> "tuple[str, list[str | None]]":
    """What to plan: with the caller's values, or for any values where none were given."""
    from .examining import bind
    from .lexing import blank_parameters

    if params is None and statement.parameters:
        return blank_parameters(statement.original, list(statement.parameter_types)), []
    return statement.sql, bind(statement, params)


def _say_lost(error: Exception) -> str:
    said = text_of(error) or type(error).__name__
    return (
        f"The connection to the database was lost while this ran ({said}): it was restarted, or somebody ended it. "
        "Nothing was changed; ask again in a moment."
    )
