"""The roastery's shop: the same rows every time, as an SQLite file and as a script for psql."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

Row: TypeAlias = tuple[int | str | float | None, ...]
Rows: TypeAlias = dict[str, list[Row]]

CUSTOMERS: Final = 400
ORDERS: Final = 3000
REVIEWS: Final = 600

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
_FIRST: Final = (
    "Ada Amir Aiko Ben Bruna Chen Clara Dana Diego Emil Elif Fatima Femi Goran Greta Hana Hugo Ines Ivo Jonas Jun Kofi "
    "Kaia Lena Luca Mateo Mira Nadia Noor Olga Omar Paula Pavel Rosa Ruben Sara Sven Tara Tomas Uma Vera Yusuf Zoe"
)
_LAST: Final = (
    "Almeida Brandt Costa Diallo Eriksen Fischer Garcia Haddad Ito Jansen Kaur Lindgren Moreau Novak Okafor Park "
    "Quintero Rossi Santos Tanaka Ueda Varga Weber Yilmaz Zhang"
)
_PLACES: Final = (
    ("Berlin", "Germany"),
    ("Hamburg", "Germany"),
    ("Lisbon", "Portugal"),
    ("Porto", "Portugal"),
    ("Lyon", "France"),
    ("Osaka", "Japan"),
    ("Accra", "Ghana"),
    ("Toronto", "Canada"),
    ("Oslo", "Norway"),
    ("Valencia", "Spain"),
)
PRODUCTS: Final = (
    ("House Blend 250 g", "Coffee", 7.90),
    ("House Blend 1 kg", "Coffee", 24.50),
    ("Espresso Nero 1 kg", "Coffee", 26.00),
    ("Ethiopia Guji 250 g", "Coffee", 11.20),
    ("Colombia Huila 250 g", "Coffee", 10.40),
    ("Decaf Swiss Water 250 g", "Coffee", 9.80),
    ("Green Sencha 100 g", "Tea", 8.20),
    ("Earl Grey 100 g", "Tea", 6.40),
    ("Rooibos 100 g", "Tea", 5.60),
    ("French Press 1 l", "Brewing", 34.00),
    ("Pour-over Set", "Brewing", 42.50),
    ("Paper Filters, 100", "Brewing", 4.20),
    ("Milk Frother", "Brewing", 24.90),
    ("Moka Pot, 6 cups", "Brewing", 38.00),
    ("Scale with Timer", "Brewing", 49.00),
    ("Hand Grinder", "Grinders", 79.00),
    ("Electric Grinder", "Grinders", 189.00),
    ("Grinder Brush", "Grinders", 7.50),
    ("Stoneware Mug", "Cups", 14.00),
    ("Espresso Cups, 4", "Cups", 28.00),
    ("Travel Mug", "Cups", 22.50),
)
"""Name, category, price."""
_COMMENTS: Final = (
    "Exactly what I wanted.",
    "Good, but the box was dented.",
    "Would buy it again.",
    "Smaller than it looks in the picture.",
    "Broke after two weeks.",
    "A present; it was loved.",
    "Tastes of chocolate, as promised.",
    None,
)
_FIRST_DAY: Final = date(2024, 1, 1)
_DAYS: Final = 730


def make_rows() -> Rows:
    """The rows of every table, in an order in which they can be inserted."""
    chance = Random(7)  # noqa: S311  the same shop every time, no secret
    rows: Rows = {name: [] for name in ("customers", "products", "orders", "order_items", "reviews")}
    names = chance.sample([(first, last) for first in _FIRST.split() for last in _LAST.split()], CUSTOMERS)
    for number, (first, last) in enumerate(names, 1):
        email = f"{first}.{last}@example.com".lower()
        rows["customers"].append((number, f"{first} {last}", email, *chance.choice(_PLACES), _day(chance, 365)))
    for number, (name, category, price) in enumerate(PRODUCTS, 1):
        rows["products"].append((number, name, category, price, chance.randint(0, 250)))
    bought = _add_orders(rows, chance)
    for number, (product, customer) in enumerate(chance.sample(bought, REVIEWS), 1):
        stars = chance.choices(range(1, 6), (1, 1, 3, 6, 8))[0]
        rows["reviews"].append((number, product, customer, stars, chance.choice(_COMMENTS)))
    return rows


def _add_orders(rows: Rows, chance: Random) -> list[tuple[int, int]]:
    """Add the orders with their items, and return who bought what (product, customer), each once."""
    bought: dict[tuple[int, int], None] = {}
    for order in range(1, ORDERS + 1):
        customer = min(chance.randint(1, CUSTOMERS), chance.randint(1, CUSTOMERS))  # some buy more often than others
        status = chance.choices(("paid", "shipped", "delivered", "returned"), (1, 2, 12, 1))[0]
        rows["orders"].append((order, customer, _day(chance, _DAYS), status))
        for product in chance.sample(range(1, len(PRODUCTS) + 1), chance.randint(1, 4)):
            price = round(PRODUCTS[product - 1][2] * chance.choice((1, 1, 1, 0.9)), 2)
            bought[product, customer] = None
            rows["order_items"].append((order, product, chance.randint(1, 3), price))
    return list(bought)


def _day(chance: Random, days: int) -> str:
    return (_FIRST_DAY + timedelta(days=chance.randrange(days))).isoformat()


def write_database(path: Path) -> None:
    """Make the shop as a new SQLite file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(f"BEGIN; {SCHEMA}")
        for table, rows in make_rows().items():
            places = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608  our own names
        database.execute("COMMIT")


def write_script() -> str:
    """The shop as a script for psql, for an empty database."""
    return "\n".join(["BEGIN;", SCHEMA, *_copies(make_rows()), "COMMIT;", "ANALYZE;", ""])


def _copies(tables: Rows) -> Iterator[str]:
    for table, rows in tables.items():
        yield f"COPY {table} FROM STDIN;"
        yield from (_line(row) for row in rows)
        yield "\\."


def _line(row: Sequence[object]) -> str:
    """A row as COPY reads it; no value of ours has a tab, a backslash or a line feed."""
    return "\t".join("\\N" if value is None else str(value) for value in row)
