"""The PostgreSQL server beside npm's `@modelcontextprotocol/server-postgres` and PyPI's `postgres-mcp`.

The database is found and started as the tests do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TypeAlias, cast

from pydantic_core import to_json

from .accounting import peak
from .contenders import HERE, OURS
from .installing import NotHere, install_npm, install_python
from .rows import Aim, Row
from .trials import Call, Contest, Effort, Program, Trial

Ask: TypeAlias = Callable[[str], bytes]
"""Runs SQL and gives its rows as JSON."""

NPM: Final = "npm"
PYPI: Final = "PyPI"
NPM_PACKAGE: Final = "@modelcontextprotocol/server-postgres"
NPM_VERSION: Final = "0.6.2"
PYPI_VERSION: Final = "0.3.0"
# It asks for versions that cannot be had together.
PYPI_NEEDS: Final = ("pglast==8.8", "pydantic<2.11", "mcp[cli]==1.6.0", "psycopg[binary,pool]")
PYPI_STEPS: Final = (
    (*PYPI_NEEDS, "humanize", "attrs", "instructor"),
    ("--no-deps", f"postgres-mcp=={PYPI_VERSION}"),
)
TABLE: Final = """
CREATE TABLE items AS SELECT g AS id, 'item ' || g AS name, g * 1.5 AS price FROM generate_series(1, 20000) g;
ALTER TABLE items ADD PRIMARY KEY (id); ANALYZE items;
CREATE ROLE reader LOGIN; GRANT SELECT ON items TO reader
"""
AIMS: Final = (Aim(1.0, NPM), Aim(1.0, PYPI))
ROW: Final = "SELECT id, name, price FROM items WHERE id = "
QUERIES: Final = (
    ("1 row by its key", f"{ROW}77", "item 77", 30),
    ("1 row, always another statement", f"{ROW}{{turn}}", "item ", 30),
    ("an aggregate", "SELECT count(*), avg(price) FROM items", "20000", 10),
    ("100 rows", "SELECT id, name, price FROM items ORDER BY id LIMIT 100", "item 100", 15),
    ("10,000 rows", "SELECT id, name, price FROM items ORDER BY id LIMIT 10000", "item 10000", 3),
)
"""Title, SQL with {turn} for the turn, what the answer holds, turns a round."""
TABLES: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
COLUMNS: Final = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'items'"


@contextmanager
def prepare(work: Path, *, quick: bool) -> Generator[Contest]:
    """Start a database with a table, and connect."""
    del work, quick
    sys.path.insert(0, str(HERE.parent))
    from tests.cluster import run_cluster

    with run_cluster() as cluster, asyncio.Runner() as runner:
        dsn = cluster.url("reader")
        desk = Desk(runner)
        desk.execute(cluster.url(), TABLE)
        about = (
            "A database with a table of 20,000 rows, `mcp-server-postgres` beside npm's "
            f"`{NPM_PACKAGE}` {NPM_VERSION} and PyPI's `postgres-mcp` {PYPI_VERSION} in its restricted mode (in a "
            "Python 3.13 of its own, on `mcp` 1.6 and pglast 8.8). Floor: asyncpg on an open connection, and its rows "
            "as JSON."
        )
        peers = {NPM: lambda: find_npm(dsn), PYPI: lambda: find_pypi(dsn)}
        with desk.connect(dsn) as ask:
            yield Contest("Queries", about, list_ours(dsn), peers, list_trials(ask))


class Connection(Protocol):
    """What is used of asyncpg's."""

    async def fetch(self, query: str) -> Sequence[Mapping[str, object]]: ...

    async def execute(self, query: str) -> str: ...

    async def close(self) -> None: ...


class Desk:
    """Connections to a database in this process, on a loop that waits between the calls."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    @contextmanager
    def connect(self, dsn: str) -> Generator[Ask]:
        """Connect, and yield what runs SQL and gives its rows as JSON."""
        connection = self._runner.run(connect(dsn))
        try:
            yield lambda sql: to_json([dict(row) for row in self._runner.run(connection.fetch(sql))])
        finally:
            self._runner.run(connection.close())

    def execute(self, dsn: str, sql: str) -> None:
        """Run statements that give nothing."""

        async def run() -> None:
            connection = await connect(dsn)
            await connection.execute(sql)
            await connection.close()

        self._runner.run(run())


async def connect(dsn: str) -> Connection:
    """Connect as a user's program would."""
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none; this module is read for its titles too

    opened: object = await asyncpg.connect(dsn)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above
    return cast("Connection", opened)


def list_ours(dsn: str) -> Program:
    """Ours, with every limit out of the way."""
    words = [sys.executable, "-m", "mcp_server_postgres", dsn, "--max-rows", "20000", "--max-output-bytes", "0"]
    return Program(words)


def find_npm(dsn: str) -> Program:
    """Npm's."""
    folder = install_npm(f"server-postgres-{NPM_VERSION}", f"{NPM_PACKAGE}@{NPM_VERSION}")
    return Program(["node", str(folder / "node_modules" / NPM_PACKAGE / "dist" / "index.js"), dsn])


def find_pypi(dsn: str) -> Program:
    """PyPI's, which wants Python 3.12."""
    scripts = install_python(f"postgres-mcp-{PYPI_VERSION}", *PYPI_STEPS, version="3.13")
    return Program([str(scripts / "postgres-mcp"), dsn, "--access-mode=restricted"])


def list_trials(ask: Ask) -> list[Trial]:
    """Queries, which all know; tables and columns, for which npm's has no tool."""
    return [
        *(list_query(ask, *each) for each in QUERIES),
        Trial("list tables", list_tables, lambda _: ask(TABLES), "items", 15, AIMS),
        Trial("describe a table", describe, lambda _: ask(COLUMNS), "price", 15, AIMS),
    ]


def list_query(ask: Ask, title: str, sql: str, holds: str, times: int) -> Trial:
    """A query, with {turn} for the turn; ours is told that all rows are wanted."""

    def calls(name: str, turn: int) -> Sequence[Call]:
        text = sql.replace("{turn}", str(turn + 1))
        if name == OURS:
            return [("query", {"sql": text, "limit": 20000})]
        return [("query" if name == NPM else "execute_sql", {"sql": text})]

    quick = title in ("1 row by its key", "10,000 rows")
    return Trial(title, calls, lambda turn: ask(sql.replace("{turn}", str(turn + 1))), holds, times, AIMS, quick)


def list_tables(name: str, _turn: int) -> Sequence[Call]:
    """The tables of a schema."""
    if name == OURS:
        return [("list_tables", {})]
    return [("list_objects", {"schema_name": "public"})] if name == PYPI else []


def describe(name: str, _turn: int) -> Sequence[Call]:
    """The columns of a table."""
    if name == OURS:
        return [("describe_table", {"table_name": "items"})]
    return [("get_object_details", {"schema_name": "public", "object_name": "items"})] if name == PYPI else []


def ask_for_more(contest: Contest, rows: int, effort: Effort) -> list[Row]:
    """Ask each, in a process of its own, for very many rows, of which ours returns 100 and says that there are more.

    What a server does that cannot is said in its cell.
    """
    sql = f"SELECT g AS id, 'item ' || g AS name FROM generate_series(1, {rows}) g"  # noqa: S608  # a number
    took, memory = Row(f"{rows:,} rows, of which ours gives 100", "s"), Row("peak memory for it", "MiB")
    programs = {OURS: lambda: contest.ours, **({} if effort.alone else contest.peers)}
    for name, find in programs.items():
        try:
            with find().start() as pipe:
                limit = {"limit": 100} if name == OURS else {}
                began = time.perf_counter()
                try:
                    pipe.ask("execute_sql" if name == PYPI else "query", {"sql": sql, **limit}, "item 100")
                    took.add(name, time.perf_counter() - began)
                except (AssertionError, OSError, RuntimeError) as error:
                    took.missing[name] = f"failed after {time.perf_counter() - began:.0f} s: {error}"
                with suppress(OSError, RuntimeError):  # the process may be gone
                    memory.add(name, peak(pipe.pid))
        except NotHere as error:
            took.missing[name] = memory.missing[name] = str(error)
    return [took, memory]
