"""A shop's database behind a gate: people with keys and roles, and what some of them must not see."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Final

from tests.auth.entrance import key_lines
from tests.served import serve

from mcp_kernel import Client
from mcp_kernel.client import ClientError
from mcp_kernel.client.target import Reach

EXAMPLE: Final = Path(__file__).parents[2] / "docs" / "auth.toml"
SECRET: Final = "hush-7741"
HIDDEN_COLUMNS: Final = ("zz_digest", "zz_actor")
"""Names and values that stand in no answer to whoever may not see `credentials` and `audit_logs`."""

SCHEMA: Final = f"""
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE credentials (id INTEGER PRIMARY KEY, name TEXT, zz_digest TEXT);
CREATE INDEX credentials_digest ON credentials (zz_digest);
CREATE TABLE audit_logs (id INTEGER PRIMARY KEY, city TEXT, zz_actor TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, credential INTEGER REFERENCES credentials (id), total REAL);
CREATE TABLE logs (id INTEGER PRIMARY KEY, said TEXT);
CREATE TABLE events (id INTEGER PRIMARY KEY, said TEXT);
CREATE TABLE metrics (id INTEGER PRIMARY KEY, value REAL);
CREATE VIEW passwords AS SELECT name, zz_digest AS word FROM credentials;
CREATE VIEW passwords_again AS SELECT word FROM passwords;
CREATE VIEW actors AS SELECT zz_actor AS who FROM audit_logs;
CREATE VIEW towns AS SELECT DISTINCT city FROM customers;
CREATE VIRTUAL TABLE letters USING fts4(content="credentials", name, zz_digest);
CREATE TRIGGER orders_audited AFTER INSERT ON orders
    BEGIN INSERT INTO audit_logs (zz_actor) VALUES (NEW.id); END;
INSERT INTO customers VALUES (1, 'Ada', 'Rome'), (2, 'Bob', 'Oslo');
INSERT INTO credentials VALUES (1, 'Ada', '{SECRET}'), (2, 'Bob', '{SECRET}-2');
INSERT INTO audit_logs VALUES (1, 'Rome', '{SECRET}');
INSERT INTO orders VALUES (1, 1, 9.5);
INSERT INTO letters (letters) VALUES ('rebuild');
ANALYZE;
"""

BROWSER: Final = """
[roles.browser]
tools = ["list_tables"]
resources = ["db://*"]
prompts = ["*"]
deny_tables = ["audit_logs", "credentials"]
"""

PEOPLE: Final = {"ann": ["analyst"], "dev": ["developer"], "root": ["admin"], "web": ["browser"], "nil": list[str]()}
"""Keys by name, with their roles; each key is its name, doubled."""


def write_auth(path: Path) -> None:
    """The roles of the example in the documentation, and one more; a key for each person."""
    roles = EXAMPLE.read_text("utf-8").partition("\n[roles.analyst]")
    keys = [key_lines(name, name * 2, f"roles = {held}".replace("'", '"')) for name, held in PEOPLE.items()]
    path.write_text("\n".join([*keys, "".join(roles[1:]), BROWSER]), "utf-8")


@contextmanager
def open_shop(folder: Path) -> Generator[str]:
    """Serve the shop over HTTP in a process of its own; gives its URL."""
    with closing(sqlite3.connect(folder / "shop.db")) as raw:
        raw.executescript(SCHEMA)
    write_auth(folder / "auth.toml")
    options = ["--db-path", str(folder / "shop.db"), "--allow-write", "--auth", str(folder / "auth.toml")]
    with serve([sys.executable, "-m", "mcp_server_sqlite", *options]) as url:
        yield url


@asynccontextmanager
async def enter(url: str, who: str, revision: str) -> AsyncGenerator[Client]:
    """Ask as one of the people, with the key in one of the two headers that may carry it."""
    header = {"X-API-Key": who * 2} if revision > "2026" else {"Authorization": f"Bearer {who * 2}"}
    async with Client(url, revision=revision, reach=Reach(headers=header)) as client:
        yield client


async def hear(client: Client, tool: str, **arguments: object) -> str:
    """All that a call is answered with, whatever it is."""
    try:
        return str((await client.call_tool(tool, arguments)).wire)
    except ClientError as error:
        return f"ERROR {error}"


def tells(answer: str) -> list[str]:
    """What of the hidden tables stands in an answer."""
    return [word for word in (SECRET, *HIDDEN_COLUMNS) if re.search(word, answer, re.IGNORECASE)]
