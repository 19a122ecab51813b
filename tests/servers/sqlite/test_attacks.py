"""Nothing changes the file, reaches another file, or takes more time and memory than was given."""

import hashlib
import resource
from pathlib import Path

import pytest

from mcp_server_sqlite.policy import Policy

from .conftest import Desk, Opener

WRITES = [
    "DELETE FROM customers",
    "INSERT INTO customers (name, email, city, country, joined_on) VALUES ('x', 'x', 'x', 'x', '2024-01-01')",
    "INSERT OR REPLACE INTO products VALUES (1, 'x', 'x', 1, 1)",
    "REPLACE INTO products VALUES (1, 'x', 'x', 1, 1)",
    "UPDATE products SET price = 0.01",
    "UPDATE products SET price = 1 RETURNING *",
    "WITH x AS (SELECT 1) DELETE FROM reviews WHERE id IN x",
    "WITH x(a) AS (SELECT 1) UPDATE products SET stock = (SELECT a FROM x)",
    "/* SELECT */ DELETE FROM reviews",
    "-- harmless\nDROP TABLE reviews",
    "; DELETE FROM reviews",
    "SELECT 1; DROP TABLE reviews",
    "SELECT 1;;; DELETE FROM reviews; --",
    "COMMIT; DROP TABLE reviews",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE TABLE t AS SELECT * FROM customers",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE INDEX i ON customers (city)",
    "CREATE TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE f USING fts5(a)",
    "CREATE VIRTUAL TABLE temp.f USING fts4(a)",
    "DROP TABLE reviews",
    "DROP VIEW best_sellers",
    "ALTER TABLE customers RENAME TO c",
    "ALTER TABLE customers ADD COLUMN x",
    "UPDATE sqlite_master SET sql = 'x'",
    "DELETE FROM sqlite_schema",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "VACUUM INTO 'stolen.db'",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE",
    "COMMIT",
    "ROLLBACK",
    "END",
    "SAVEPOINT s",
    "RELEASE s",
    "ATTACH 'other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "PRAGMA query_only = 0",
    "PRAGMA user_version = 7",
    "PRAGMA application_id(7)",
    "PRAGMA journal_mode = WAL",
    "PRAGMA journal_mode = MEMORY",
    "EXPLAIN PRAGMA journal_mode = WAL",
    "PRAGMA main.journal_mode('wal')",
    "PRAGMA writable_schema = 1",
    "PRAGMA trusted_schema = 1",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA soft_heap_limit = 1",
    "PRAGMA cache_size = -10000000",
    "PRAGMA temp_store = 2",
    "PRAGMA temp_store_directory = '/'",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA busy_timeout = 100000000",
    "PRAGMA threads = 8",
    "PRAGMA mmap_size = 1000000000",
    "PRAGMA schema_version = 1",
    "PRAGMA case_sensitive_like = 1",
    "PRAGMA optimize",
    "PRAGMA incremental_vacuum",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA shrink_memory",
    "PRAGMA auto_vacuum = 1",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA page_size = 512",
    "SELECT * FROM pragma_wal_checkpoint",
    "SELECT * FROM pragma_optimize",
    "SELECT load_extension('libc.so.6')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT fts3_tokenizer('simple', x'4141414141414141')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('stolen.txt', 'x')",
    "SELECT edit('x')",
    "SELECT optimize('x')",
]
BOMBS = [
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c ORDER BY x DESC",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x + 1 FROM c) SELECT max(x) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM c) SELECT length(x) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT group_concat(hex(randomblob(1000))) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT json_group_array(x) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(DISTINCT randomblob(999)) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) OVER (ORDER BY -x) FROM c",
    "SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d",
    "SELECT randomblob(1000000000)",
    "SELECT zeroblob(2000000000)",
    "SELECT hex(zeroblob(9000000))",
    "SELECT printf('%.*c', 100000000, 'x')",
    "SELECT printf('%1000000000d', 1)",
    "SELECT replace(hex(zeroblob(4000)), '0', hex(zeroblob(4000)))",
    "SELECT quote(zeroblob(9000000))",
    "SELECT instr(zeroblob(200000), zeroblob(90000) || x'01') FROM order_items",
    "SELECT 1 WHERE 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' LIKE '" + "%a" * 1000 + "b'",
    "SELECT " + "(" * 2000 + "1" + ")" * 2000,
    "SELECT " + "-" * 1 + " -".join("1" * 500),
    "SELECT " + "+".join(["1"] * 5000),
    " UNION ALL ".join(["SELECT 1"] * 600),
    "SELECT '" + "x" * 200_000 + "'",
    "SELECT " + ",".join(["?"] * 1100),
]


def fingerprint(path: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(path.parent.iterdir())}


@pytest.fixture(scope="module")
def hurried(desk: Opener, shop: Path) -> Desk:
    return desk(shop, Policy(query_timeout=0.3))


@pytest.mark.parametrize("sql", WRITES)
def test_a_statement_that_does_not_read_is_refused_and_changes_nothing(
    hurried: Desk, shop: Path, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = fingerprint(shop)
    assert hurried.ask(sql).startswith("REFUSED ")
    assert fingerprint(shop) == before
    assert list(tmp_path.iterdir()) == []
    assert hurried.query("SELECT count(*) FROM customers") == [[60]]


def test_the_engine_itself_reads_only_and_its_fences_are_set(hurried: Desk) -> None:
    fences = {"query_only": 1, "mmap_size": 0, "temp_store": 1, "cell_size_check": 1, "writable_schema": 0}
    assert {name: hurried.query(f"PRAGMA {name}")[0][0] for name in fences} == fences


@pytest.mark.parametrize("sql", BOMBS)
def test_a_bomb_is_stopped_in_time_and_memory(hurried: Desk, sql: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hurried.ask(sql)  # a few end by themselves: what counts is that all end, and small
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 300_000  # kB
    assert hurried.query("SELECT count(*) FROM customers") == [[60]]


@pytest.mark.parametrize("sql", BOMBS[:3])
def test_what_takes_too_long_says_so(hurried: Desk, sql: str) -> None:
    assert "stopped after 0.3 s, the time a query may take here" in hurried.ask(sql)


def test_one_value_is_limited_and_all_memory_is(hurried: Desk) -> None:
    assert hurried.query("SELECT length(zeroblob(9999999))") == [[9999999]]
    assert "larger than this server allows" in hurried.ask("SELECT length(zeroblob(10000001))")
    many = ", ".join("randomblob(9000000)" for _ in range(60))
    assert "needs more memory than this server allows" in hurried.ask(f"SELECT {many}")
    assert hurried.query("PRAGMA hard_heap_limit") == [[256 * 1024 * 1024]]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) FROM customers", 1),
        ("  -- a comment\n/* another */ SELECT 1", 1),
        ("SELECT name FROM products ORDER BY price DESC LIMIT 3;", 3),
        ("VALUES (1), (2)", 2),
        ("SELECT 'DROP TABLE customers; --'", 1),
        ("SELECT replace('delete', 'e', 'a'), 'update' AS \"insert\"", 1),
        ("PRAGMA journal_mode", 1),
        ("PRAGMA integrity_check", 1),
        ("PRAGMA foreign_key_check", 0),
        ("SELECT file FROM pragma_database_list WHERE name = 'main'", 1),
        ("SELECT hex(randomblob(16)), zeroblob(10), printf('%08.3f', 3.14159)", 1),
        ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 50000) SELECT count(*) FROM c", 1),
        ("EXPLAIN DELETE FROM customers WHERE 0", -1),
    ],
)
def test_an_honest_statement_of_the_same_kind_is_answered(hurried: Desk, sql: str, rows: int) -> None:
    if rows < 0:
        assert hurried.ask(sql).startswith("REFUSED")  # EXPLAIN compiles, and compiling a write is asking for one
    else:
        assert len(hurried.query(sql)) == rows
