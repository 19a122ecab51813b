"""Nothing tells what a denied table or a masked column holds, whatever the statement; honest statements still work."""

from typing import Any

import pytest

from .conftest import ALPHA, BRAVO, DENIED, Desk

GUESS = f"'{ALPHA}-1'"
FORBIDDEN = (ALPHA, BRAVO, ALPHA.upper(), BRAVO.upper(), *DENIED, "passwords", "letters", "vault_words")

TABLE_ATTACKS = [
    "SELECT * FROM credentials",
    'SELECT * FROM "CREDENTIALS"',
    "SELECT * FROM [Credentials]",
    "SELECT * FROM main.`credentials` AS c",
    "SELECT count(*) FROM credentials",
    "SELECT 1 FROM credentials LIMIT 1",
    "SELECT max(rowid) FROM credentials",
    "WITH x AS (SELECT * FROM credentials) SELECT * FROM x",
    "SELECT (SELECT password FROM credentials LIMIT 1)",
    "SELECT EXISTS (SELECT 1 FROM credentials)",
    "SELECT * FROM orders WHERE id IN (SELECT id FROM credentials)",
    f"SELECT * FROM orders WHERE {GUESS} IN credentials",
    "SELECT * FROM customers NATURAL JOIN credentials",
    "SELECT * FROM customers NATURAL FULL JOIN credentials",
    "SELECT count(*) FROM customers NATURAL LEFT JOIN credentials",
    f"SELECT 1 FROM (SELECT {GUESS} AS password) JOIN credentials USING (password)",
    f"SELECT 1 FROM (SELECT {GUESS} AS password) NATURAL JOIN credentials",
    f"SELECT 1 FROM (SELECT {GUESS} AS token) NATURAL FULL JOIN keyring",
    "SELECT id FROM customers NATURAL FULL JOIN (SELECT id FROM orders) NATURAL FULL JOIN credentials",
    "SELECT * FROM passwords",
    "SELECT count(*) FROM passwords",
    "SELECT * FROM (SELECT 'x' AS login) NATURAL FULL JOIN passwords",
    "SELECT * FROM orders ORDER BY (SELECT password FROM credentials c WHERE c.id = orders.id)",
    "SELECT sum(total) OVER (ORDER BY (SELECT password FROM credentials)) FROM orders",
    "SELECT 1 UNION ALL SELECT password FROM credentials",
    "VALUES ((SELECT password FROM credentials LIMIT 1))",
    "EXPLAIN SELECT * FROM credentials",
    "EXPLAIN QUERY PLAN SELECT * FROM credentials WHERE password = 'x'",
    "; SELECT * FROM customers NATURAL FULL JOIN credentials",
    "\ufeff; SELECT * FROM customers NATURAL FULL JOIN credentials",
    "-- EXPLAIN\n; SELECT * FROM customers NATURAL FULL JOIN credentials",
    "EXPLAIN ; SELECT * FROM customers NATURAL FULL JOIN credentials",
    "/* " + "x" * 99_920 + " */ SELECT * FROM customers NATURAL FULL JOIN credentials",
    "SELECT * FROM audit",
    "SELECT name, seq FROM sqlite_sequence",
    "SELECT * FROM sqlite_stat1",
    "SELECT * FROM (SELECT 'x' AS tbl) NATURAL FULL JOIN sqlite_stat1",
    "SELECT * FROM sqlite_stat4",
    "SELECT name, pageno FROM dbstat",
    "SELECT * FROM (SELECT 1 AS pageno) NATURAL FULL JOIN dbstat",
    "SELECT data FROM sqlite_dbpage",
    "SELECT * FROM (SELECT 1 AS pgno) NATURAL FULL JOIN sqlite_dbpage",
    "SELECT sql FROM sqlite_stmt",
    "SELECT name, sql FROM sqlite_master",
    "SELECT name, tbl_name, sql FROM main.sqlite_schema",
    "SELECT * FROM (SELECT 'table' AS type) NATURAL FULL JOIN sqlite_schema",
    "SELECT * FROM pragma_table_info('credentials')",
    "SELECT * FROM pragma_table_list",
    "SELECT * FROM (SELECT 'main' AS schema) NATURAL FULL JOIN pragma_table_list",
    "PRAGMA table_info(credentials)",
    "PRAGMA table_xinfo('credentials')",
    "PRAGMA table_list",
    "PRAGMA index_list(credentials)",
    "PRAGMA index_info(sqlite_autoindex_credentials_1)",
    "PRAGMA foreign_key_list(orders)",
    "PRAGMA foreign_key_check",
    "PRAGMA integrity_check",
    "PRAGMA quick_check(credentials)",
    "SELECT * FROM pragma_foreign_key_list('orders')",
    "SELECT * FROM pragma_integrity_check",
    "SELECT * FROM vault_docs",
    "SELECT * FROM vault_docs WHERE vault_docs MATCH 'hush'",
    "SELECT * FROM vault_docs_content",
    "SELECT hex(block) FROM vault_docs_data",
    "SELECT * FROM (SELECT 1 AS id) NATURAL FULL JOIN vault_docs_content",
    "SELECT * FROM (SELECT 'x' AS body) NATURAL FULL JOIN vault_docs",
    "SELECT * FROM vault_words",
    "SELECT * FROM (SELECT 'x' AS term) NATURAL FULL JOIN vault_words",
    "SELECT * FROM letters",
    "SELECT * FROM letter_terms",
    "SELECT * FROM letters_segdir",
    "SELECT * FROM positions",
    "SELECT * FROM (SELECT 0 AS id, 0.0 AS x0, 0.0 AS x1) NATURAL FULL JOIN positions",
    f"SELECT 1 FROM (SELECT {sum(ALPHA.encode())}.0 AS x0) NATURAL JOIN positions",
    "SELECT * FROM positions_node",
    "SELECT rowid FROM names WHERE names MATCH 'hush'",
]
COLUMN_ATTACKS = [
    "SELECT ssn FROM customers",
    'SELECT c."SSN" FROM customers c',
    "SELECT tag, sealed, twice FROM customers",
    "SELECT ssn, tag FROM contacts",
    "SELECT * FROM contacts",
    f"SELECT name FROM customers WHERE ssn = {GUESS}",
    "SELECT name FROM customers WHERE ssn > 'hush-b' AND city = 'Rome'",
    f"SELECT name FROM customers WHERE lower(ssn) = {GUESS}",
    "SELECT name FROM customers WHERE sealed LIKE 'HUSH-A%'",
    f"SELECT name FROM customers JOIN (SELECT {GUESS} AS ssn) USING (ssn)",
    f"SELECT name FROM customers NATURAL JOIN (SELECT {GUESS} AS ssn)",
    f"SELECT name FROM (SELECT {GUESS} AS ssn) NATURAL LEFT JOIN customers",
    f"SELECT name FROM customers NATURAL FULL JOIN (SELECT {GUESS} AS ssn)",
    f"SELECT name FROM customers JOIN (SELECT '{ALPHA}-1' AS tag) USING (tag)",
    f"SELECT name FROM customers JOIN (SELECT upper({GUESS}) AS sealed) USING (sealed)",
    f"SELECT name FROM customers JOIN (SELECT {GUESS} || {GUESS} AS twice) USING (twice)",
    f"SELECT name FROM contacts NATURAL JOIN (SELECT {GUESS} AS ssn)",
    f"SELECT count(*) FROM contacts JOIN (SELECT {GUESS} AS tag) USING (tag)",
    "SELECT a.name FROM customers a JOIN customers b USING (ssn)",
    "SELECT a.name FROM customers a CROSS JOIN customers b USING (ssn) ORDER BY ssn",
    "SELECT name FROM customers INDEXED BY customers_ssn WHERE ssn >= 'hush-b'",
    "SELECT name FROM customers INDEXED BY customers_partial WHERE city = 'Rome' AND ssn > 'hush-b'",
    f"SELECT 1 WHERE {GUESS} IN (SELECT ssn FROM customers)",
    "SELECT name FROM customers ORDER BY ssn LIMIT 1",
    "SELECT min(ssn), max(ssn), group_concat(ssn), count(DISTINCT ssn) FROM customers",
    "SELECT count(*) FROM customers GROUP BY ssn",
    "SELECT name, rank() OVER (ORDER BY ssn) FROM customers",
    "SELECT json_group_array(ssn) FROM customers",
    "SELECT code, owner FROM badges",
    f"SELECT owner FROM badges WHERE code = {GUESS}",
    f"SELECT owner FROM badges JOIN (SELECT {GUESS} AS code) USING (code)",
    f"SELECT owner FROM badges NATURAL FULL JOIN (SELECT {GUESS} AS code)",
    f"SELECT level FROM badges INDEXED BY badges_level JOIN (SELECT {GUESS} AS code) USING (code)",
    "SELECT number, rowid, oid, _rowid_ FROM cards",
    f"SELECT holder FROM cards WHERE rowid > {sum(ALPHA.encode()) * 10}",
    f"SELECT holder FROM cards JOIN (SELECT {sum(ALPHA.encode()) * 10 + 1} AS number) USING (number)",
    f"SELECT holder FROM cards NATURAL FULL JOIN (SELECT {sum(ALPHA.encode()) * 10 + 1} AS number)",
    "SELECT * FROM (SELECT 'x' AS ssn) NATURAL FULL JOIN names",
    "WITH RECURSIVE r(x) AS (SELECT ssn FROM customers UNION SELECT x || 'y' FROM r LIMIT 9) SELECT * FROM r",
    "SELECT (SELECT x.ssn FROM customers x WHERE x.id = customers.id) FROM customers",
]
HONEST: list[tuple[str, Any]] = [
    ("SELECT count(*) FROM customers", [[4]]),
    ("SELECT id, name, ssn, label FROM customers WHERE id = 1", [[1, "name1", None, "name1!"]]),
    ("SELECT name FROM customers WHERE city = 'Oslo'", [["name2"]]),
    ("SELECT name FROM customers WHERE name >= 'name3' ORDER BY name DESC", [["name4"], ["name3"]]),
    ("SELECT name FROM customers WHERE id BETWEEN 2 AND 3 ORDER BY id", [["name2"], ["name3"]]),
    ("SELECT name FROM customers WHERE city = 'Oslo' OR id = 3 ORDER BY 1", [["name2"], ["name3"]]),
    ("SELECT name FROM customers JOIN orders ON customer_id = customers.id WHERE total > 5", [["name4"]]),
    ("SELECT a.name FROM customers a JOIN customers b USING (id) WHERE b.city = 'Lima'", [["name3"]]),
    (
        "SELECT c.name, s.spent FROM customers c JOIN spending s ON s.customer_id = c.id WHERE c.id = 2",
        [["name2", 3.0]],
    ),
    ("SELECT city, count(*) FROM customers GROUP BY city ORDER BY 2 DESC LIMIT 1", [["Rome", 2]]),
    ("SELECT name FROM contacts WHERE id = 4", [["name4"]]),
    ("SELECT owner FROM badges WHERE level = 2", [["owner2"]]),
    ("SELECT owner, level FROM badges ORDER BY level LIMIT 1", [["owner1", 1]]),
    ("SELECT holder FROM cards ORDER BY holder LIMIT 1", [["holder1"]]),
    ("SELECT holder FROM cards WHERE holder = 'holder2'", [["holder2"]]),
    ("SELECT title FROM docs WHERE docs MATCH 'rivers'", [["Report"]]),
    ("SELECT snippet(docs, 1, '<', '>', '', 3), bm25(docs) < 0 FROM docs('rivers')", [["words about <rivers>", 1]]),
    ("SELECT term FROM docs_words WHERE term = 'rivers'", [["rivers"]]),
    ("SELECT id FROM boxes WHERE x0 <= 1 AND x1 >= 1", [[1]]),
    ("SELECT value FROM json_each('[7, 8]') WHERE key = 1", [[8]]),
    ("SELECT c.name FROM customers c, json_each('[2]') j WHERE c.id = j.value", [["name2"]]),
    ("WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT sum(n) FROM r", [[6]]),
    ("SELECT id, sum(total) OVER (ORDER BY id) FROM orders WHERE id < 3", [[1, 1.5], [2, 4.5]]),
    ("SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE city = 'Lima')", [[3]]),
    ("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'customers'", [["customers"]]),
    (
        "SELECT m.name, count(*) FROM sqlite_schema m, pragma_table_info(m.name) p WHERE m.name = 'orders'",
        [["orders", 4]],
    ),
    ("SELECT name FROM pragma_table_info('orders') WHERE pk", [["id"]]),
    ("SELECT \"table\" FROM pragma_foreign_key_list('orders')", [["customers"]]),
    ("PRAGMA index_info(customers_city)", [[0, 3, "city"], [1, 2, "ssn"]]),
    ("PRAGMA user_version", [[0]]),
    ("SELECT 1 AS addr, 2 AS opcode", [[1, 2]]),
]


def check_silence(vaults: tuple[Desk, Desk], sql: str) -> str:
    """Ask both vaults; they must tell the same, nothing forbidden in it, and still answer."""
    alpha, bravo = (desk.ask(sql) for desk in vaults)
    assert alpha == bravo
    assert [word for word in FORBIDDEN if word in alpha] == []
    for desk in vaults:
        assert desk.query("SELECT count(*) FROM customers") == [[4]]
    return alpha


@pytest.mark.parametrize("sql", TABLE_ATTACKS)
def test_a_denied_table_stays_untold(vaults: tuple[Desk, Desk], sql: str) -> None:
    check_silence(vaults, sql)


@pytest.mark.parametrize("sql", COLUMN_ATTACKS)
def test_a_masked_column_stays_untold(vaults: tuple[Desk, Desk], sql: str) -> None:
    check_silence(vaults, sql)


@pytest.mark.parametrize("sql", [sql for sql in TABLE_ATTACKS if sql.startswith("SELECT * FROM cust")])
def test_reading_a_denied_table_is_a_refusal_that_says_what_to_do(vaults: tuple[Desk, Desk], sql: str) -> None:
    assert "list_tables shows what can be read" in check_silence(vaults, sql)


@pytest.mark.parametrize(("sql", "rows"), HONEST)
def test_an_honest_statement_is_answered_beside_what_is_withheld(
    vaults: tuple[Desk, Desk], sql: str, rows: Any
) -> None:
    for desk in vaults:
        assert desk.query(sql) == rows


def test_a_masked_column_reads_as_null_and_the_answer_says_so(vaults: tuple[Desk, Desk]) -> None:
    result = vaults[0].run(vaults[0].database.query("SELECT name, ssn, tag, sealed FROM customers WHERE id = 1"))
    assert result.rows == [["name1", None, None, None]]
    assert result.note == "Masked here, and NULL in whatever uses them: customers.sealed, customers.ssn, customers.tag."


def test_the_catalog_does_not_know_what_is_denied(vaults: tuple[Desk, Desk]) -> None:
    for desk in vaults:
        database = desk.database
        heard = [desk.hear(database.list_tables()), desk.hear(database.schema_ddl()), *desk.run(database.table_names())]
        for table in desk.run(database.table_names()):
            heard += [desk.hear(database.describe_table(table)), desk.hear(database.schema_ddl(table))]
            heard += [
                desk.hear(database.sample_rows(table)),
                desk.hear(database.explain_query(f"SELECT * FROM {table}")),
            ]
        whole = "\n".join(heard)
        assert [word for word in FORBIDDEN if word in whole] == []
        assert "customers" in whole
        assert "docs_words" in whole


@pytest.mark.parametrize("name", ["credentials", "CREDENTIALS", "passwords", "vault_docs", "letters", "sqlite_stat1"])
def test_a_denied_name_is_an_unknown_name(vaults: tuple[Desk, Desk], name: str) -> None:
    denied, unknown = (vaults[0].hear(vaults[0].database.describe_table(each)) for each in (name, "zzzzzzzz"))
    assert denied.split(" here.")[0].replace(name, "zzzzzzzz") == unknown.split(" here.")[0]


def test_a_misspelt_policy_is_told(vaults: tuple[Desk, Desk], desk: Any) -> None:
    from mcp_server_sqlite.policy import Policy

    policy = Policy(deny_tables=frozenset({"credentals"}), mask_columns=frozenset({("customers", "snn")}))
    wrong = desk(vaults[0].database.path, policy)
    warnings = wrong.run(wrong.database.policy_warnings())
    assert ["credentals" in warnings[0], "customers.snn" in warnings[1]] == [True, True]
    assert vaults[0].run(vaults[0].database.policy_warnings()) == []
