"""The SQLite server beside PyPI's `mcp-server-sqlite`, the reference server that was archived."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from pydantic_core import to_json

from .contenders import OURS
from .installing import install_python
from .trials import PEER, Call, Contest, Program, Trial

PACKAGE: Final = "mcp-server-sqlite"
VERSION: Final = "2025.4.25"
ROWS: Final = 20_000
TABLES: Final = 10
MANY: Final = "SELECT id, name, price FROM items LIMIT 10000"
TEN: Final = "SELECT id, name, price FROM items WHERE id BETWEEN 100 AND 199"
GROUPS: Final = "SELECT id % 10 AS part, count(*), avg(price) FROM items GROUP BY part"
ONE: Final = "SELECT id, name, price FROM items WHERE id = 77"
OTHER: Final = "SELECT id, name, price FROM items WHERE id = {turn}"


@contextmanager
def prepare(work: Path, *, quick: bool) -> Generator[Contest]:
    """Make the database."""
    del quick
    path = work / "shop.db"
    make_database(path)
    ours = [sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(path), "--max-rows", "20000"]
    about = (
        f"A file with a table of {ROWS:,} rows and {TABLES} small ones, `mcp-server-sqlite` beside PyPI's of the same "
        f"name, {VERSION}, the archived reference server, on the newest `mcp` that it runs on (1.x). Floor: Python's "
        "`sqlite3` on an open connection, and its rows as JSON. Ours counts the rows of each table that it lists."
    )
    program = Program([*ours, "--max-output-bytes", "0"])
    with closing(sqlite3.connect(path)) as connection:
        yield Contest("Tables", about, program, {PEER: lambda: find_peer(path)}, list_trials(connection))


def find_peer(path: Path) -> Program:
    """PyPI's, which does not start on `mcp` 2."""
    scripts = install_python(f"{PACKAGE}-{VERSION}", [f"{PACKAGE}=={VERSION}", "mcp[cli]<2"])
    return Program([str(scripts / PACKAGE), "--db-path", str(path)])


def make_database(path: Path) -> None:
    """A table of many rows and several of few."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL)")
        rows = ((number, f"item {number}", number * 1.5) for number in range(1, ROWS + 1))
        connection.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
        for number in range(TABLES):
            connection.execute(f"CREATE TABLE small{number} (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items)")
            connection.execute(f"INSERT INTO small{number} VALUES (1, 1)")  # noqa: S608  # a number


def list_trials(connection: sqlite3.Connection) -> list[Trial]:
    """The calls that both know."""

    def ask(sql: str) -> Callable[[int], bytes]:
        return lambda turn: fetch(connection, sql.replace("{turn}", str(turn + 1)))

    names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    return [
        Trial("1 row by its key", query(ONE), ask(ONE), "item 77", 40),
        Trial(
            "1 row, always another statement", query(OTHER), ask(OTHER), "item ", 40,
        ),
        Trial("100 rows", query(TEN), ask(TEN), "item 100", 20),
        Trial("an aggregate", query(GROUPS), ask(GROUPS), "2000", 10),
        Trial("10,000 rows", query(MANY), ask(MANY), "item 10000", 3, quick=True),
        Trial("list tables", lambda _name, _turn: [("list_tables", {})], ask(names), "small9", 20, quick=True),
        Trial(
            "describe a table", lambda _name, _turn: [("describe_table", {"table_name": "items"})],
            ask("PRAGMA table_info(items)"), "price", 20,
        ),
    ]  # fmt: skip


def query(sql: str) -> Callable[[str, int], Sequence[Call]]:
    """A statement, with {turn} for the turn; ours is told that all rows are wanted."""

    def calls(name: str, turn: int) -> Sequence[Call]:
        text = sql.replace("{turn}", str(turn + 1))
        if name == OURS:
            return [("query", {"sql": text, "limit": ROWS})]
        return [("read_query", {"query": text})]

    return calls


def fetch(connection: sqlite3.Connection, sql: str) -> bytes:
    """The rows as JSON."""
    cursor = connection.execute(sql)
    return to_json({"columns": [each[0] for each in cursor.description], "rows": cursor.fetchall()})
