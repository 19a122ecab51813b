"""A database of a shop with something to hide, on a PostgreSQL that the test run starts, and desks to ask it from."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pytest
from tests.cluster import run_cluster

from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_postgres.database import Database
from mcp_server_postgres.driver import connect
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal
from mcp_server_postgres.target import Target

if TYPE_CHECKING:
    from tests.servers.postgres.siege import Fortress

T = TypeVar("T")
READER, PLAIN, LOCKED = "mcp_reader", "mcp_plain", "locked"
PASSWORD = "Xk9-zebra"
SECRET = "hush-7741"

ROLES = f"""
CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE {PLAIN} LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE {LOCKED} LOGIN PASSWORD '{PASSWORD}';
"""
SHOP = f"""
REVOKE ALL ON DATABASE {{database}} FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE {{database}} TO {READER}, {LOCKED};
GRANT CONNECT ON DATABASE {{database}} TO {PLAIN};
CREATE SCHEMA sales;
CREATE SCHEMA hidden;
CREATE TYPE mood AS ENUM ('ok', 'sad');
CREATE TYPE address AS (street text, number int, since timestamptz);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE customers (
    id int PRIMARY KEY, name text NOT NULL, city text, ssn text,
    tag text GENERATED ALWAYS AS (upper(ssn)) STORED, label text GENERATED ALWAYS AS (name || '!') STORED,
    UNIQUE (name, city));
COMMENT ON TABLE customers IS 'People who buy';
COMMENT ON COLUMN customers.ssn IS 'A number that nobody needs';
CREATE TABLE sales.orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id int REFERENCES customers (id) ON DELETE CASCADE,
    total numeric(10, 2) CHECK (total >= 0), placed timestamptz DEFAULT '2024-05-01 12:00+00');
CREATE INDEX orders_total ON sales.orders (total) WHERE total > 10;
CREATE TABLE credentials (id int PRIMARY KEY REFERENCES customers (id), login text, password text);
CREATE TABLE hidden.untold (id int);
CREATE TABLE events (id int, happened date, what text) PARTITION BY RANGE (happened);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE people (id int, note text);
CREATE TABLE managers (bonus int) INHERITS (people);
CREATE TABLE big (id int PRIMARY KEY, body text);
CREATE TABLE rows_of_others (owner text, what text);
ALTER TABLE rows_of_others ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows_of_others FOR SELECT USING (owner = current_user);
CREATE VIEW contacts AS SELECT id, name, ssn FROM customers;
CREATE VIEW logins AS SELECT login, password FROM credentials;
CREATE VIEW logins_again AS SELECT login FROM logins;
CREATE VIEW spending AS SELECT customer_id, sum(total) AS spent FROM sales.orders GROUP BY 1;
CREATE MATERIALIZED VIEW stored_logins AS SELECT * FROM credentials;
CREATE FUNCTION told(int) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT password FROM credentials WHERE id = $1; END;
CREATE FUNCTION mumbled(int) RETURNS text LANGUAGE plpgsql STABLE AS
    $$BEGIN RETURN (SELECT password FROM credentials WHERE id = $1); END$$;
CREATE FUNCTION add_one(int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 + 1; END;
CREATE FUNCTION naps(float8) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT pg_sleep($1); END;
CREATE DOMAIN drowsy AS int CHECK (VALUE > 0 AND naps(VALUE) IS NULL);
CREATE VIEW sleeper AS SELECT pg_sleep(1)::text AS nap;
CREATE VIEW sleeper_again AS SELECT * FROM sleeper;
CREATE OPERATOR ~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_notify);
CREATE FUNCTION lock_state(bigint, bigint) RETURNS bigint LANGUAGE sql BEGIN ATOMIC
    SELECT $1 FROM pg_advisory_lock($2); END;
CREATE AGGREGATE lock_all (bigint) (SFUNC = lock_state, STYPE = bigint, INITCOND = '0');
CREATE TYPE path_name AS (path text);
CREATE FUNCTION read_path(path_name) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT pg_read_file(($1).path); END;
CREATE FUNCTION is_before(path_name, path_name) RETURNS boolean LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT false; END;
CREATE FUNCTION compares(path_name, path_name) RETURNS int LANGUAGE sql BEGIN ATOMIC
    SELECT (pg_sleep(9) IS NULL)::int; END;
CREATE OPERATOR <<< (LEFTARG = path_name, RIGHTARG = path_name, FUNCTION = is_before);
CREATE OPERATOR === (LEFTARG = path_name, RIGHTARG = path_name, FUNCTION = is_before);
CREATE OPERATOR CLASS slowly FOR TYPE path_name USING btree AS
    OPERATOR 1 <<<, OPERATOR 3 ===, FUNCTION 1 compares(path_name, path_name);
CREATE CAST (path_name AS text) WITH FUNCTION read_path(path_name);
INSERT INTO customers (id, name, city, ssn) VALUES
    (1, 'Ada', 'Rome', '{SECRET}'), (2, 'Bob', 'Oslo', '{SECRET}-2'), (3, 'Cy', NULL, NULL);
INSERT INTO credentials VALUES (1, 'ada', '{SECRET}');
INSERT INTO sales.orders (customer_id, total) SELECT 1 + g % 2, g FROM generate_series(1, 40) g;
INSERT INTO events VALUES (1, '2023-05-05', '{SECRET}'), (2, '2024-05-05', 'open');
INSERT INTO managers VALUES (1, '{SECRET}', 7);
INSERT INTO big SELECT g, repeat('x', 100) FROM generate_series(1, 30000) g;
INSERT INTO rows_of_others VALUES ('{READER}', 'mine'), ('somebody', '{SECRET}');
REFRESH MATERIALIZED VIEW stored_logins;
GRANT USAGE ON SCHEMA public, sales TO {READER}, {PLAIN}, {LOCKED};
GRANT SELECT ON ALL TABLES IN SCHEMA public, sales, hidden TO {READER}, {PLAIN}, {LOCKED};
ANALYZE;
"""


@dataclass(frozen=True)
class Shop:
    """Where the database is, for whom."""

    admin: str
    database: str

    def url(self, user: str = READER, password: str = PASSWORD, database: str = "") -> str:
        place = urlsplit(self.admin).netloc.rpartition("@")[2]
        return f"postgresql://{user}:{password}@{place}/{database or self.database}"

    @property
    def superuser(self) -> str:
        """The DSN of a superuser, for the same database."""
        return urlsplit(self.admin)._replace(path=f"/{self.database}").geturl()


@contextmanager
def open_shop(admin: str) -> Generator[Shop]:
    """Make the database and its roles, and drop them afterwards."""
    database = f"shop_{uuid.uuid4().hex[:8]}"
    shop = Shop(admin, database)
    drop = [
        f"DROP DATABASE IF EXISTS {database} WITH (FORCE)",
        *(f"DROP ROLE {each}" for each in (READER, PLAIN, LOCKED)),
    ]
    command(admin, ROLES, f"CREATE DATABASE {database}")
    try:
        command(shop.superuser, SHOP.format(database=database))
        yield shop
    finally:
        command(admin, *drop)


@contextmanager
def side_database(shop: Shop, options: str = "") -> Generator[Shop]:
    """An empty database beside the shop, for what would be in the way there; the reader may make temporary objects."""
    side = Shop(shop.admin, f"side_{uuid.uuid4().hex[:8]}")
    command(shop.admin, f"CREATE DATABASE {side.database} {options}")
    try:
        yield side
    finally:
        command(shop.admin, f"DROP DATABASE {side.database} WITH (FORCE)")


def has_extension(shop: Shop, name: str) -> bool:
    """Whether this PostgreSQL brings an extension; the wheel has few, Debian's packages the others."""
    return bool(command(shop.superuser, f"SELECT 1 FROM pg_available_extensions WHERE name = '{name}'"))


def command(dsn: str, *statements: str) -> list[Any]:
    """Run SQL as an outsider does, and give the rows of the last statement."""

    async def run() -> list[Any]:
        connection = await connect(dsn, 20)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            if statements[-1].lstrip()[:6].upper() in ("SELECT", "SHOW T"):
                return [tuple(row) for row in await connection.fetch(statements[-1])]
            await connection.execute(statements[-1])
            return []
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        return runner.run(asyncio.wait_for(run(), 60))


@contextmanager
def make_shop() -> Generator[Shop]:
    """The shop, on the PostgreSQL of DATABASE_URL (a superuser's), or on one that is started here."""
    given = os.environ.get("DATABASE_URL")
    if given:
        with open_shop(given) as shop:
            yield shop
        return
    with run_cluster() as cluster, open_shop(cluster.url()) as shop:
        yield shop


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """The shop of the whole run."""
    with make_shop() as shop:
        yield shop


class Desk:
    """Asks one database, on an event loop that lasts as long as the desk."""

    def __init__(self, database: Database, runner: asyncio.Runner) -> None:
        self.database, self.runner = database, runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, 60))  # a fence that is down must fail a test, not hang it

    def query(self, sql: str, params: Any = None, limit: int = 100) -> list[list[Any]]:
        return self.run(self.database.query(sql, params, limit)).rows

    def one(self, sql: str, params: Any = None) -> Any:
        """The only value of the only row."""
        ((value,),) = self.query(sql, params)
        return value

    def refusal(self, sql: str, params: Any = None) -> str:
        """Why a statement is refused; any other exception, and an answer, is a defect."""
        with pytest.raises(Refusal) as caught:
            self.run(self.database.query(sql, params))
        return str(caught.value)


Opener = Callable[..., Desk]


@pytest.fixture(scope="session")
def desk(shop: Shop) -> Iterator[Opener]:
    """Open desks, one for each policy and role, which are closed at the end."""
    with asyncio.Runner() as runner:
        desks: dict[tuple[Policy, str], Desk] = {}

        def open_desk(policy: Policy | None = None, dsn: str = "") -> Desk:
            asked = (policy or Policy(), dsn or shop.url())
            if asked not in desks:
                desks[asked] = Desk(Database(Target(Dsn(asked[1])), asked[0]), runner)
            return desks[asked]

        yield open_desk
        for each in desks.values():
            runner.run(each.database.close())


@pytest.fixture(scope="session")
def reader(desk: Opener) -> Desk:
    """A desk of the fit role, with nothing withheld."""
    return desk()


@pytest.fixture(scope="session")
def fortress() -> Iterator[Fortress]:
    """The shop with traps in it, on a cluster of its own, and servers before it; see `siege.py`."""
    from tests.servers.postgres.siege import besiege  # here: it stands on this module

    with besiege() as fortress:
        yield fortress
