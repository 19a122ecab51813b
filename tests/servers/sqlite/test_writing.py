"""insert_record: the one write, and nothing beside it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_server_sqlite.database import Database
from mcp_server_sqlite.policy import Policy, quote
from mcp_server_sqlite.sample import PRODUCTS, create_sample
from mcp_server_sqlite.writing import InsertResult

from .conftest import BRAVO, STRICT, Desk, Opener, build_vault

PRODUCT = {"name": "Kettle", "category": "Brewing", "price": 39.5}


@pytest.fixture
def writable(desk: Opener, tmp_path: Path) -> Desk:
    create_sample(tmp_path / "shop.db")
    return desk(tmp_path / "shop.db", Policy(allow_write=True, query_timeout=5))


def test_a_row_is_inserted_with_its_defaults(writable: Desk) -> None:
    result = writable.run(writable.database.insert_record("PRODUCTS", {"NAME": "Kettle", "category": "B", "price": 1}))
    assert (result.table, result.replayed) == ("products", False)
    assert writable.query("SELECT name, price, stock FROM products WHERE id = ?", [result.rowid]) == [
        ["Kettle", 1.0, 0]
    ]


def test_without_allow_write_nothing_is_inserted(desk: Opener, shop: Path) -> None:
    before = shop.read_bytes()
    opened = desk(shop)
    assert "--allow-write" in opened.hear(opened.database.insert_record("products", PRODUCT))
    assert shop.read_bytes() == before


def test_allow_write_allows_no_written_statement(writable: Desk) -> None:
    assert "insert_record adds a row" in writable.ask("DELETE FROM products")
    assert writable.query("SELECT count(*) FROM products") == [[len(PRODUCTS)]]


def test_a_key_that_comes_again_changes_nothing_and_answers_the_same(writable: Desk) -> None:
    insert = writable.database.insert_record
    first = writable.run(insert("products", PRODUCT, "key-1"))
    second = writable.run(insert("products", dict(reversed(PRODUCT.items())), "key-1"))
    assert (second.rowid, first.replayed, second.replayed) == (first.rowid, False, True)
    assert "used before for another row" in writable.hear(insert("products", {**PRODUCT, "price": 1}, "key-1"))
    assert "used before for another row" in writable.hear(insert("reviews", {"stars": 1}, "key-1"))
    assert writable.query("SELECT count(*) FROM products") == [[len(PRODUCTS) + 1]]
    assert "mcp_idempotency_keys" not in writable.run(writable.database.table_names())
    assert "mcp_idempotency_keys" not in writable.run(writable.database.schema_ddl())


def test_a_row_that_failed_leaves_its_key_free(writable: Desk) -> None:
    insert = writable.database.insert_record
    assert "CHECK constraint failed" in writable.hear(insert("products", {**PRODUCT, "price": -1}, "key-1"))
    assert writable.run(insert("products", PRODUCT, "key-1")).replayed is False


def test_one_key_at_once_from_many_callers_inserts_once(writable: Desk) -> None:
    async def crowd() -> list[bool]:
        calls = [writable.database.insert_record("products", PRODUCT, "key") for _ in range(8)]
        return [result.replayed for result in await asyncio.gather(*calls)]

    assert sorted(writable.run(crowd())) == [False] + [True] * 7


@pytest.mark.parametrize(
    ("table", "data", "text"),
    [
        ("prodcts", PRODUCT, "Nearest: products"),
        ("products", {}, "data is empty"),
        ("products", {"nam": "x"}, "Nearest: name"),
        ("products", {"name": "x", "NAME": "y"}, "twice"),
        ("products", {"name) VALUES (1); DROP TABLE products; --": 1}, "has no column"),
        ("best_sellers", {"name": "x"}, "is a view"),
        ("order_items", {"order_id": 1, "total": 1}, "generated column"),
        ("products", {"name": None, "category": "x", "price": 1}, "NOT NULL constraint failed"),
        ("products", {**PRODUCT, "name": PRODUCTS[0][0]}, "UNIQUE constraint failed"),
        ("orders", {"customer_id": 999, "ordered_on": "x", "status": "paid"}, "FOREIGN KEY constraint failed"),
        ("reviews", {"product_id": 1, "customer_id": 60, "stars": 5}, "only what they bought"),
        ("sqlite_schema", {"name": "x"}, "There is no table"),
        ("mcp_idempotency_keys", {"key": "x"}, "There is no table"),
        ("products", {**PRODUCT, "price": [1]}, "is a list"),
    ],
)
def test_a_row_that_does_not_fit_is_explained_and_nothing_inserted(
    writable: Desk, table: str, data: dict[str, Any], text: str
) -> None:
    before = writable.database.path.read_bytes()
    assert text in writable.hear(writable.database.insert_record(table, data))
    assert writable.database.path.read_bytes() == before


def test_a_locked_file_is_waited_for_then_told(desk: Opener, tmp_path: Path) -> None:
    create_sample(tmp_path / "shop.db")
    opened = desk(tmp_path / "shop.db", Policy(allow_write=True, query_timeout=0.3))
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked" in opened.hear(opened.database.insert_record("products", PRODUCT))
        other.execute("ROLLBACK")
    assert opened.run(opened.database.insert_record("products", PRODUCT)).rowid == len(PRODUCTS) + 1


def test_a_reader_that_takes_its_time_is_waited_for(writable: Desk) -> None:
    path = writable.database.path

    async def insert_beside(reader: sqlite3.Connection) -> InsertResult:
        inserting = asyncio.ensure_future(writable.database.insert_record("products", PRODUCT))
        held_off = 0
        while (
            held_off < 10 and not inserting.done()
        ):  # the writer that waits lets no new reader in, each of which tries for 20 ms
            held_off += await asyncio.to_thread(is_locked)
        assert not inserting.done()
        reader.execute("ROLLBACK")
        return await inserting

    def is_locked() -> bool:
        with closing(sqlite3.connect(path, timeout=0.02)) as another:
            try:
                another.execute("SELECT count(*) FROM products").fetchone()
            except sqlite3.OperationalError:
                return True
            return False

    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM products").fetchone()
        assert writable.run(insert_beside(reader)).rowid == len(PRODUCTS) + 1


def test_what_is_withheld_cannot_be_written_or_heard_of(desk: Opener, tmp_path: Path) -> None:
    path = build_vault(tmp_path / "vault.db", BRAVO)
    opened = desk(path, Policy(STRICT.deny_tables, STRICT.mask_columns, allow_write=True))
    insert = opened.database.insert_record
    assert "There is no table" in opened.hear(insert("credentials", {"login": "x"}))
    assert "masked here and cannot be written" in opened.hear(insert("customers", {"name": "x", "ssn": "y"}))
    assert "There is no table" in opened.hear(insert("passwords", {"login": "x"}))
    heard = opened.hear(insert("orders", {"credential_id": 99}))
    assert "credentials" not in heard
    assert opened.run(insert("orders", {"customer_id": 1, "total": 2})).rowid == 5
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM audit").fetchone() == (5,)  # its trigger still does its work


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=NAMES, column=NAMES, value=st.one_of(st.none(), st.integers(-(2**53) + 1, 2**53 - 1), NAMES))
def test_any_name_goes_through_quoting_into_the_file_and_back(
    tmp_path: Path, table: str, column: str, value: Any
) -> None:
    path = tmp_path / "names.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as raw:
        if table.lower().startswith("sqlite_"):
            table = f"x{table}"
        raw.execute(f"CREATE TABLE {quote(table)} ({quote(column)}, {quote(column + '2')})")

    async def insert() -> list[list[Any]]:
        database = Database.open(path, Policy(allow_write=True))
        try:
            await database.insert_record(table, {column: value})
            assert (await database.describe_table(table)).columns[0].name == column
            return (await database.sample_rows(table)).rows
        finally:
            await database.close()

    assert asyncio.run(insert()) == [[value, None]]
