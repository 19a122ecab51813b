"""A small shop to try the server on: fills a new file, the same rows every time."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from .refusals import Refusal

SCHEMA = """
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
FIRST = ("Ada", "Ben", "Chen", "Dana", "Emil", "Fatima", "Goran", "Hana", "Ines", "Jonas", "Kofi", "Lena", "Mateo")
LAST = ("Almeida", "Brandt", "Costa", "Diallo", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kaur")
PLACES = [
    ("Berlin", "Germany"),
    ("Hamburg", "Germany"),
    ("Lisbon", "Portugal"),
    ("Porto", "Portugal"),
    ("Lyon", "France"),
    ("Osaka", "Japan"),
    ("Accra", "Ghana"),
    ("Toronto", "Canada"),
]
PRODUCTS = [
    ("Coffee", [("House Blend 500 g", 9.5), ("Espresso Beans 1 kg", 21.0), ("Decaf 250 g", 6.9)]),
    ("Tea", [("Green Sencha", 7.2), ("Earl Grey", 5.4), ("Rooibos", 4.8)]),
    ("Brewing", [("French Press", 29.0), ("Pour-over Set", 38.5), ("Paper Filters", 3.2), ("Milk Frother", 24.9)]),
    ("Grinders", [("Hand Grinder", 49.0), ("Electric Grinder", 129.0)]),
    ("Cups", [("Stoneware Mug", 12.0), ("Espresso Cups, 4", 26.0), ("Travel Mug", 19.5)]),
]
COMMENTS = [
    "Exactly what I wanted.",
    "Good, but the box was dented.",
    "Would buy it again.",
    "Smaller than it looks in the picture.",
    None,
    "Broke after two weeks.",
    "A present; it was loved.",
]


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
    chance = Random(42)  # noqa: S311  the same shop every time, no secret
    names = [(first, last) for last in LAST for first in FIRST]
    for number, (first, last) in enumerate(chance.sample(names, 60), 1):
        city, country = chance.choice(PLACES)
        row = (
            number,
            f"{first} {last}",
            f"{first}.{last}@example.com".lower(),
            city,
            country,
            _pick_date(chance, 2023),
        )
        raw.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", row)
    prices: list[float] = []
    for category, goods in PRODUCTS:
        for name, price in goods:
            prices.append(price)
            raw.execute(
                "INSERT INTO products VALUES (?, ?, ?, ?, ?)",
                (len(prices), name, category, price, chance.randint(0, 80)),
            )
    bought = _fill_orders(raw, chance, prices)
    for number, (customer, product) in enumerate(chance.sample(bought, 90), 1):
        stars = chance.choices([1, 2, 3, 4, 5], [1, 1, 3, 6, 8])[0]
        raw.execute(
            "INSERT INTO reviews VALUES (?, ?, ?, ?, ?)", (number, product, customer, stars, chance.choice(COMMENTS))
        )
    raw.execute("COMMIT")


def _fill_orders(raw: sqlite3.Connection, chance: Random, prices: list[float]) -> list[tuple[int, int]]:
    """Insert the orders and give who bought what, in an order that does not change."""
    bought: dict[tuple[int, int], None] = {}
    for order in range(1, 241):
        customer = min(chance.randint(1, 60), chance.randint(1, 60))  # some buy more often than others
        status = chance.choices(["paid", "shipped", "delivered", "returned"], [1, 2, 12, 1])[0]
        raw.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", (order, customer, _pick_date(chance, 2024), status))
        for product in chance.sample(range(1, len(prices) + 1), chance.randint(1, 4)):
            price = round(prices[product - 1] * chance.choice([1, 1, 1, 0.9]), 2)
            bought[customer, product] = None
            raw.execute(
                "INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (?, ?, ?, ?)",
                (order, product, chance.randint(1, 3), price),
            )
    return list(bought)


def _pick_date(chance: Random, year: int) -> str:
    return f"{year + chance.randint(0, 1)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
