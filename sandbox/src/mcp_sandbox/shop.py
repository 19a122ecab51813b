"""The roastery's shop: the SQLite server's sample, much larger, as an SQLite file and as a script for psql."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from mcp_server_sqlite.sample import Rows, Size, make_rows

SIZE: Final = Size(customers=400, orders=3000, reviews=600)

# What both engines read alike. In SQLite a date is a text and a numeric a float.
SCHEMA: Final = """\
CREATE TABLE customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    city text NOT NULL,
    country text NOT NULL,
    joined_on date NOT NULL
);
CREATE TABLE products (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    category text NOT NULL,
    price numeric(8, 2) NOT NULL CHECK (price > 0),
    stock integer NOT NULL
);
CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers (id),
    ordered_on date NOT NULL,
    status text NOT NULL CHECK (status IN ('paid', 'shipped', 'delivered', 'returned'))
);
CREATE TABLE order_items (
    order_id integer NOT NULL REFERENCES orders (id),
    product_id integer NOT NULL REFERENCES products (id),
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(8, 2) NOT NULL,
    PRIMARY KEY (order_id, product_id)
);
CREATE TABLE reviews (
    id integer PRIMARY KEY,
    product_id integer NOT NULL REFERENCES products (id),
    customer_id integer NOT NULL REFERENCES customers (id),
    stars integer NOT NULL CHECK (stars BETWEEN 1 AND 5),
    comment text
);
CREATE INDEX orders_by_customer ON orders (customer_id, ordered_on);
CREATE INDEX items_by_product ON order_items (product_id);
CREATE INDEX reviews_by_product ON reviews (product_id);
CREATE VIEW order_totals AS
    SELECT o.id AS order_id, o.customer_id, o.ordered_on, o.status, round(sum(i.quantity * i.unit_price), 2) AS total
    FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id;
CREATE VIEW best_sellers AS
    SELECT p.id, p.name, p.category, sum(i.quantity) AS sold, round(sum(i.quantity * i.unit_price), 2) AS revenue
    FROM products p JOIN order_items i ON i.product_id = p.id GROUP BY p.id;
"""


def write_database(path: Path) -> None:
    """Make the shop as a new SQLite file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(f"BEGIN; {SCHEMA}")
        for table, rows in make_rows(SIZE).items():
            places = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608  our own names
        database.execute("COMMIT")


def write_script() -> str:
    """The shop as a script for psql, for an empty database."""
    return "\n".join(["BEGIN;", SCHEMA, *_copies(make_rows(SIZE)), "COMMIT;", "ANALYZE;", ""])


def _copies(tables: Rows) -> Iterator[str]:
    for table, rows in tables.items():
        yield f"COPY {table} FROM STDIN;"
        yield from (_line(row) for row in rows)
        yield "\\."


def _line(row: Sequence[object]) -> str:
    """A row as COPY reads it; no value of ours has a tab, a backslash or a line feed."""
    return "\t".join("\\N" if value is None else str(value) for value in row)
