"""The vault: a database with something to hide in every place where SQLite can keep it.

Two vaults differ in nothing but the secret. What a caller is told must be the same of both: that catches a value that
leaks, and also a comparison, a seek or an order that depends on one.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from mcp_server_sqlite.database import Database
from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.refusals import Refusal
from mcp_server_sqlite.sample import create_sample

T = TypeVar("T")
ALPHA, BRAVO = "hush-alpha-7741", "hush-bravo-9902"
DENIED = ("credentials", "keyring", "audit", "vault_docs", "positions")
MASKED = (("customers", "ssn"), ("badges", "code"), ("cards", "number"))
STRICT = Policy(deny_tables=frozenset(DENIED), mask_columns=frozenset(MASKED), query_timeout=5)

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, ssn TEXT, city TEXT,
    tag TEXT AS (substr(ssn, 1, 30)) VIRTUAL, sealed TEXT AS (upper(ssn)) STORED, twice TEXT AS (tag || tag) VIRTUAL,
    label TEXT AS (name || '!') VIRTUAL);
CREATE INDEX customers_ssn ON customers (ssn);
CREATE INDEX customers_lower ON customers (lower(ssn));
CREATE INDEX customers_partial ON customers (city) WHERE ssn > 'hush-b';
CREATE INDEX customers_city ON customers (city, ssn);
CREATE INDEX customers_name ON customers (name);
CREATE TABLE credentials (id INTEGER PRIMARY KEY, login TEXT, password TEXT UNIQUE, city TEXT);
CREATE TABLE keyring (token TEXT, service TEXT, PRIMARY KEY (token, service)) WITHOUT ROWID;
CREATE TABLE badges (level INTEGER, code TEXT, owner TEXT, PRIMARY KEY (code, owner)) WITHOUT ROWID;
CREATE INDEX badges_level ON badges (level);
CREATE TABLE cards (number INTEGER PRIMARY KEY, holder TEXT);
CREATE INDEX cards_holder ON cards (holder);
CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id),
    credential_id INTEGER REFERENCES credentials (id), total REAL);
CREATE VIEW contacts AS SELECT id, name, ssn, tag FROM customers;
CREATE VIEW passwords AS SELECT login, password FROM credentials;
CREATE VIEW spending AS SELECT customer_id, sum(total) AS spent FROM orders GROUP BY customer_id;
CREATE TRIGGER orders_audit AFTER INSERT ON orders BEGIN INSERT INTO audit (what) VALUES (NEW.id); END;
CREATE VIRTUAL TABLE docs USING fts5(title, body);
CREATE VIRTUAL TABLE docs_words USING fts5vocab(docs, row);
CREATE VIRTUAL TABLE vault_docs USING fts5(body);
CREATE VIRTUAL TABLE vault_words USING fts5vocab(vault_docs, instance);
CREATE VIRTUAL TABLE names USING fts5(name, ssn, content='customers', content_rowid='id');
CREATE VIRTUAL TABLE letters USING fts4(content="credentials", login, password);
CREATE VIRTUAL TABLE letter_terms USING fts4aux(letters);
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
CREATE VIRTUAL TABLE positions USING rtree(id, x0, x1);
"""


def build_vault(path: Path, secret: str) -> Path:
    """Make a vault; two with different secrets have the same number of everything."""
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(SCHEMA)
        for number, city in enumerate(["Rome", "Oslo", "Lima", "Rome"], 1):
            raw.execute(
                "INSERT INTO customers (id, name, ssn, city) VALUES (?, ?, ?, ?)",
                (number, f"name{number}", f"{secret}-{number}" if number < 4 else "hush-known", city),
            )
            raw.execute(
                "INSERT INTO credentials VALUES (?, ?, ?, ?)", (number, f"login{number}", f"{secret}-{number}", city)
            )
            raw.execute("INSERT INTO keyring VALUES (?, ?)", (f"{secret}-{number}", f"service{number}"))
            raw.execute("INSERT INTO badges VALUES (?, ?, ?)", (number, f"{secret}-{number}", f"owner{number}"))
            raw.execute("INSERT INTO cards VALUES (?, ?)", (sum(secret.encode()) * 10 + number, f"holder{number}"))
            raw.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", (number, number, number, number * 1.5))
        raw.execute("INSERT INTO docs VALUES ('Report', 'honest words about rivers')")
        raw.execute("INSERT INTO vault_docs VALUES (?)", (secret,))
        raw.execute("INSERT INTO names(names) VALUES ('rebuild')")
        raw.execute("INSERT INTO letters(letters) VALUES ('rebuild')")
        raw.execute("INSERT INTO boxes VALUES (1, 0, 2)")
        raw.execute("INSERT INTO positions VALUES (1, ?1, ?1)", (sum(secret.encode()),))
        raw.commit()
        raw.execute("ANALYZE")
        raw.commit()
    return path


def told(answer: object) -> str:
    """Give all that a caller sees of an answer, without its time and the order of its rows."""
    if isinstance(answer, list):
        return "\n".join(told(item) for item in cast("list[object]", answer))
    if isinstance(answer, str):
        return answer
    shown: dict[str, Any] = asdict(answer)  # pyright: ignore[reportArgumentType]  every answer is a dataclass
    shown.pop("elapsed_ms", None)
    if "rows" in shown:
        shown["rows"] = sorted(map(repr, shown["rows"]))
    return repr(shown)


@dataclass
class Desk:
    """Asks one database, on an event loop that lasts as long as the desk."""

    database: Database
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, 60))  # a fence that is down must fail a test, not hang it

    def query(self, sql: str, *args: Any, **kwargs: Any) -> list[list[Any]]:
        return self.run(self.database.query(sql, *args, **kwargs)).rows

    def hear(self, work: Coroutine[Any, Any, object]) -> str:
        """Give what the caller is told, be it an answer or a refusal. Any other exception is a defect."""
        try:
            return told(self.run(work))
        except Refusal as refusal:
            return f"REFUSED {refusal}"

    def ask(self, sql: str, params: Any = None) -> str:
        return self.hear(self.database.query(sql, params))


Opener = Callable[..., Desk]


@pytest.fixture(scope="module")
def desk() -> Iterator[Opener]:
    """Open databases that are closed after the module."""
    with asyncio.Runner() as runner:
        desks: list[Desk] = []

        def open_desk(path: Path, policy: Policy | None = None) -> Desk:
            desks.append(Desk(Database.open(path, policy or Policy(query_timeout=5)), runner))
            return desks[-1]

        yield open_desk
        for each in desks:
            runner.run(each.database.close())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample shop."""
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    create_sample(path)
    return path


@pytest.fixture(scope="module")
def vaults(tmp_path_factory: pytest.TempPathFactory, desk: Opener) -> tuple[Desk, Desk]:
    """Both vaults, under the strict policy."""
    folder = tmp_path_factory.mktemp("vaults")
    alpha, bravo = (build_vault(folder / f"{secret}.db", secret) for secret in (ALPHA, BRAVO))
    return desk(alpha, STRICT), desk(bravo, STRICT)
