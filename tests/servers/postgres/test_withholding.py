"""Denied tables and masked columns give no value away, by whatever way; what is beside them can still be read."""

from __future__ import annotations

import pytest
from tests.servers.postgres.conftest import SECRET, Desk, Opener, Shop, command

from mcp_server_postgres.guard import spread
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Refusal, UnknownTable

DENIED = frozenset({"credentials", "events_2023", "managers"})
STRICT = Policy(deny_tables=DENIED, mask_columns=frozenset({("customers", "ssn"), ("sales.orders", "placed")}))

DENYING = [
    "SELECT * FROM credentials",
    "SELECT count(*) FROM credentials",
    "SELECT 1 FROM customers WHERE id IN (SELECT id FROM credentials)",
    "SELECT name FROM customers c WHERE EXISTS (SELECT FROM credentials x WHERE x.id = c.id)",
    "WITH x AS (SELECT password FROM public.credentials) SELECT * FROM x",
    "SELECT id FROM customers NATURAL JOIN credentials",
    "SELECT login FROM logins",
    "SELECT * FROM logins_again",
    "SELECT password FROM stored_logins",
    "SELECT told(1)",
    "SELECT mumbled(1)",
    "SELECT * FROM events",
    "SELECT what FROM events WHERE happened > '2024-01-01'",
    "SELECT * FROM events_2023",
    "SELECT * FROM people",
    "SELECT id FROM managers",
    "EXPLAIN SELECT * FROM credentials",
    "SELECT most_common_vals::text FROM pg_stats",
    "SELECT stanumbers1 FROM pg_statistic",
    "SELECT query_to_xml('SELECT * FROM credentials', true, true, '')",
]
MASKING = [
    "SELECT ssn FROM customers",
    "SELECT * FROM customers",
    "SELECT c.* FROM customers c",
    "SELECT c FROM customers c",
    "SELECT to_jsonb(c) FROM customers c",
    "SELECT count(c) FROM customers c",
    "SELECT name FROM customers ORDER BY ssn",
    "SELECT name FROM customers WHERE ssn LIKE 'h%'",
    "SELECT count(*) FROM customers GROUP BY ssn",
    "SELECT max(ssn) OVER () FROM customers",
    "SELECT count(*) FILTER (WHERE ssn > 'a') FROM customers",
    "SELECT tag FROM customers",
    "SELECT a.name FROM customers a JOIN customers b USING (ssn)",
    "SELECT a.name FROM customers a NATURAL JOIN customers b",
    "SELECT ssn FROM contacts",
    "SELECT id FROM contacts",
    "TABLE customers",
    "SELECT (SELECT ssn FROM customers LIMIT 1)",
    "SELECT x.c3 FROM customers AS x(c1, c2, c4, c3)",
    "SELECT (x).ssn FROM (SELECT c AS x FROM customers c) y",
    "SELECT placed FROM sales.orders",
    "SELECT j FROM (customers a JOIN big b USING (id)) j",
    "SELECT to_jsonb(j) FROM (big b CROSS JOIN (customers a JOIN events_2024 p USING (id))) j LIMIT 1",
    "SELECT ssn(c) FROM customers c",
    "SELECT x.d FROM customers AS x (a, b, c, d)",
    "SELECT name FROM customers NATURAL JOIN (SELECT 'guess' AS ssn) g",
    "SELECT (SELECT x FROM (SELECT c) AS y(x)) FROM customers c",
    "SELECT contacts FROM contacts",
    "EXPLAIN SELECT ssn FROM customers",
    "SELECT name FROM customers WHERE CASE WHEN ssn > 'i' THEN 1/0 ELSE 1 END = 1",
]
OPEN = {
    "SELECT count(*) FROM customers": 3,
    "SELECT count(name) FROM customers": 3,
    "SELECT max(label) FROM customers": "Cy!",
    "SELECT count(*) FROM events_2024": 1,
    "SELECT count(*) FROM ONLY big": 30000,
    "SELECT count(id) FROM sales.orders": 40,
    "SELECT max(spent) > 0 FROM spending": True,
    "SELECT name FROM (SELECT id, name FROM customers) x WHERE id = 1": "Ada",
    "SELECT add_one(1)": 2,
    "SELECT max(j.name) FROM (customers a JOIN big b USING (id)) j": "Cy",
    "SELECT count(*) FROM customers a JOIN big b USING (id)": 3,
}


@pytest.fixture(scope="module")
def strict(desk: Opener) -> Desk:
    return desk(STRICT)


@pytest.mark.parametrize("sql", DENYING)
def test_a_denied_table_is_not_read(strict: Desk, sql: str) -> None:
    said = strict.refusal(sql)
    assert "Refused" in said or "anyarray" in said
    assert SECRET not in said


@pytest.mark.parametrize("sql", MASKING)
def test_a_masked_column_is_not_read(strict: Desk, sql: str) -> None:
    said = strict.refusal(sql)
    assert "masked" in said
    assert "may be read: id" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "sql", [sql for sql in DENYING + MASKING if "query_to_xml" not in sql and "stanumbers" not in sql]
)
def test_all_of_that_can_be_read_where_nothing_is_withheld(reader: Desk, sql: str) -> None:
    """The counterpart: it is the policy that refuses, and no mistake in the SQL."""
    try:
        reader.query(sql)
    except Refusal as refusal:
        assert "division by zero" in str(refusal)  # noqa: PT017  # the only one that may fail


@pytest.mark.parametrize("sql", OPEN)
def test_what_is_beside_it_can_be_read(strict: Desk, sql: str) -> None:
    assert strict.one(sql) == OPEN[sql]


def test_a_masked_column_of_a_partition_is_masked_through_its_parent(desk: Opener) -> None:
    masked = desk(Policy(mask_columns=frozenset({("events_2023", "what")})))
    assert "masked" in masked.refusal("SELECT what FROM events")
    assert masked.one("SELECT count(id) FROM events") == 2
    parent = desk(Policy(mask_columns=frozenset({("events", "what")})))
    assert "masked" in parent.refusal("SELECT what FROM events_2024")


def test_a_denied_parent_denies_its_partitions(desk: Opener) -> None:
    assert "not served" in desk(Policy(deny_tables=frozenset({"events"}))).refusal("SELECT * FROM events_2024")


def test_a_denied_table_stands_in_no_list_and_no_description(strict: Desk) -> None:
    database = strict.database
    said = [
        str(strict.run(database.list_tables())),
        str(strict.run(database.table_names())),
        str(strict.run(database.describe_table("customers"))),
        strict.run(database.schema_ddl()),
    ]
    for text in said:
        assert "credentials" not in text
        assert "logins" not in text
        assert "events_2023" not in text


def test_a_denied_table_is_as_unknown_as_one_that_is_not_there(strict: Desk) -> None:
    for name in ("credentials", "logins", "zeitung"):
        with pytest.raises(UnknownTable) as caught:
            strict.run(strict.database.describe_table(name))
        assert "credentials" not in str(caught.value).replace("'credentials'", "")


def test_masked_columns_are_marked_and_left_out_of_samples(strict: Desk) -> None:
    described = strict.run(strict.database.describe_table("customers"))
    assert [column.name for column in described.columns if column.masked] == ["ssn", "tag"]
    sample = strict.run(strict.database.sample_rows("customers"))
    assert [column.name for column in sample.columns] == ["id", "name", "city", "label"]
    assert SECRET not in str(sample)


def test_errors_that_could_carry_values_come_without_their_text(strict: Desk, reader: Desk) -> None:
    sql = "SELECT name::int FROM customers"
    assert "Ada" in reader.refusal(sql)
    assert "Ada" not in strict.refusal(sql)
    assert "22P02" in strict.refusal(sql)


def test_functions_of_which_nobody_knows_what_they_read_are_refused_unless_allowed(desk: Opener, strict: Desk) -> None:
    assert "nobody can say" in strict.refusal("SELECT mumbled(1)")
    allowed = desk(Policy(deny_tables=frozenset({"managers"}), allow_functions=frozenset({"mumbled"})))
    assert allowed.one("SELECT mumbled(1)") == SECRET


def test_a_table_that_is_renamed_is_looked_at_again(desk: Opener, shop: Shop) -> None:
    command(shop.superuser, "CREATE TABLE harmless AS SELECT 1 AS a", "GRANT SELECT ON harmless TO PUBLIC")
    denying = desk(Policy(deny_tables=frozenset({"harmful"})))
    assert denying.one("SELECT a FROM harmless") == 1
    command(shop.superuser, "ALTER TABLE harmless RENAME TO harmful")
    try:
        assert "harmful" not in str(denying.run(denying.database.table_names()))
        assert "not served" in denying.refusal("SELECT a FROM harmful")
    finally:
        command(shop.superuser, "DROP TABLE harmful")


def test_misspelt_names_are_told_to_the_operator(desk: Opener) -> None:
    misspelt = desk(
        Policy(deny_tables=frozenset({"credential", "sales.orders"}), mask_columns=frozenset({("customers", "snn")}))
    )
    warnings = misspelt.run(misspelt.database.policy_warnings())
    assert [each.split(" is named ")[1].split(":")[0] for each in warnings] == ["credential", "customers.snn"]


def test_generated_columns_follow_what_they_are_made_of() -> None:
    assert spread({"ssn"}, {"ssn": [], "tag": ["ssn"], "label": ["name"], "name": []}) == {"ssn", "tag"}
