"""A small shop to try the server on: fills a new file, the same rows every time."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeAlias

from .refusals import Refusal

Row: TypeAlias = tuple[int | str | float | None, ...]
Rows: TypeAlias = dict[str, list[Row]]


class Size(NamedTuple):
    """How many of each there are."""

    customers: int
    orders: int
    reviews: int


SMALL: Final = Size(customers=60, orders=240, reviews=90)

SCHEMA: Final = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    joined_on TEXT NOT NULL CHECK (joined_on GLOB '????-??-??')
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    price REAL NOT NULL CHECK (price > 0),
    stock INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ordered_on TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('paid', 'shipped', 'delivered', 'returned'))
);
CREATE TABLE order_items (
    order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_price REAL NOT NULL,
    total REAL GENERATED ALWAYS AS (quantity * unit_price) VIRTUAL,
    PRIMARY KEY (order_id, product_id)
) WITHOUT ROWID;
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES products (id),
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    comment TEXT
);
CREATE INDEX orders_by_customer ON orders (customer_id, ordered_on);
CREATE INDEX items_by_product ON order_items (product_id);
CREATE INDEX reviews_by_product ON reviews (product_id);
CREATE VIEW order_totals AS
    SELECT o.id AS order_id, o.customer_id, o.ordered_on, o.status, round(sum(i.total), 2) AS total
    FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id;
CREATE VIEW best_sellers AS
    SELECT p.id, p.name, p.category, sum(i.quantity) AS sold, round(sum(i.total), 2) AS revenue
    FROM products p JOIN order_items i ON i.product_id = p.id GROUP BY p.id ORDER BY revenue DESC;
CREATE TRIGGER review_needs_a_purchase BEFORE INSERT ON reviews
WHEN NOT EXISTS (
    SELECT 1 FROM orders o JOIN order_items i ON i.order_id = o.id
    WHERE o.customer_id = NEW.customer_id AND i.product_id = NEW.product_id
)
BEGIN
    SELECT RAISE(ABORT, 'a customer can review only what they bought');
END;
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
_INTO: Final = {"order_items": "order_items (order_id, product_id, quantity, unit_price)"}  # the total is generated


def create_empty(path: Path | str) -> None:
    """Make a new, empty database. An existing file of that name is never touched."""
    _create(Path(path), lambda _raw: None)


def create_sample(path: Path | str) -> None:
    """Make a new database with a small shop in it. An existing file of that name is never touched."""
    _create(Path(path), _fill)


def _create(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Claim the name first, by a creation that fails when it is taken, then fill the file that is ours."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a link to another file
    try:
        os.close(os.open(absolute, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        raise Refusal(
            f"{absolute} exists already and is left as it is. Choose another name, or serve it as it is."
        ) from None
    except OSError as error:
        raise Refusal(
            f"{absolute} cannot be created: {error.strerror}. Check the folder and its permissions."
        ) from None
    try:
        with closing(sqlite3.connect(absolute, isolation_level=None)) as raw:
            raw.execute("PRAGMA user_version=1")  # makes it a database, also when nothing is filled in
            fill(raw)
    except BaseException:
        absolute.unlink(missing_ok=True)
        raise


def _fill(raw: sqlite3.Connection) -> None:
    raw.executescript(f"BEGIN; {SCHEMA}")
    for table, rows in make_rows().items():
        places = ", ".join("?" * len(rows[0]))
        raw.executemany(f"INSERT INTO {_INTO.get(table, table)} VALUES ({places})", rows)  # noqa: S608  our own names
    raw.execute("COMMIT")


def make_rows(size: Size = SMALL) -> Rows:
    """The rows of every table, in an order in which they can be inserted; of one size the same every time."""
    chance = Random(7)  # noqa: S311  the same shop every time, no secret
    rows: Rows = {name: [] for name in ("customers", "products", "orders", "order_items", "reviews")}
    names = chance.sample([(first, last) for first in _FIRST.split() for last in _LAST.split()], size.customers)
    for number, (first, last) in enumerate(names, 1):
        email = f"{first}.{last}@example.com".lower()
        rows["customers"].append((number, f"{first} {last}", email, *chance.choice(_PLACES), _day(chance, 365)))
    for number, (name, category, price) in enumerate(PRODUCTS, 1):
        rows["products"].append((number, name, category, price, chance.randint(0, 250)))
    bought = _add_orders(rows, chance, size)
    for number, (product, customer) in enumerate(chance.sample(bought, size.reviews), 1):
        stars = chance.choices(range(1, 6), (1, 1, 3, 6, 8))[0]
        rows["reviews"].append((number, product, customer, stars, chance.choice(_COMMENTS)))
    return rows


def _add_orders(rows: Rows, chance: Random, size: Size) -> list[tuple[int, int]]:
    """Add the orders with their items, and return who bought what (product, customer), each once."""
    bought: dict[tuple[int, int], None] = {}
    for order in range(1, size.orders + 1):
        customer = min(chance.randint(1, size.customers), chance.randint(1, size.customers))  # some buy more often
        status = chance.choices(("paid", "shipped", "delivered", "returned"), (1, 2, 12, 1))[0]
        rows["orders"].append((order, customer, _day(chance, _DAYS), status))
        for product in chance.sample(range(1, len(PRODUCTS) + 1), chance.randint(1, 4)):
            price = round(PRODUCTS[product - 1][2] * chance.choice((1, 1, 1, 0.9)), 2)
            bought[product, customer] = None
            rows["order_items"].append((order, product, chance.randint(1, 3), price))
    return list(bought)


def _day(chance: Random, days: int) -> str:
    return (_FIRST_DAY + timedelta(days=chance.randrange(days))).isoformat()
