"""Ways to the values of a denied table and of masked columns: none of them comes out, whatever is asked of whatever."""

from __future__ import annotations

import pytest
from tests.servers.postgres.conftest import SECRET
from tests.servers.postgres.siege import FIT, STRICT, Fortress, in_turn, on_every_front

WAYS = """
SELECT password FROM credentials
SELECT "password" FROM "public"."credentials"
SELECT * FROM ONLY credentials
SELECT password FROM credentials TABLESAMPLE SYSTEM (100)
SELECT credentials FROM credentials
SELECT credentials.* FROM credentials
SELECT to_json(c) FROM credentials c
SELECT row_to_json(c), c::text FROM credentials c
SELECT json_agg(c) FROM credentials c
SELECT c.password FROM customers LEFT JOIN credentials c USING (id)
SELECT password FROM customers NATURAL JOIN credentials
SELECT (SELECT password FROM credentials LIMIT 1)
SELECT name FROM customers WHERE EXISTS (SELECT FROM credentials WHERE password LIKE 'h%')
SELECT name FROM customers ORDER BY (SELECT password FROM credentials LIMIT 1)
SELECT name FROM customers LIMIT (SELECT length(password) FROM credentials LIMIT 1)
SELECT name FROM customers UNION SELECT password FROM credentials
SELECT name FROM customers EXCEPT SELECT password FROM credentials
SELECT name FROM customers INTERSECT ALL SELECT password FROM credentials
WITH c AS (TABLE credentials) SELECT * FROM c
WITH RECURSIVE c (p) AS (SELECT password FROM credentials UNION SELECT p FROM c) SELECT p FROM c
SELECT * FROM customers c, LATERAL (SELECT password FROM credentials p WHERE p.id = c.id) x
SELECT ARRAY(SELECT password FROM credentials)
SELECT CASE WHEN (SELECT password FROM credentials LIMIT 1) > 'h' THEN 1 ELSE 2 END
SELECT id FROM credentials
SELECT ctid, xmin FROM credentials
SELECT tableoid::regclass FROM credentials
SELECT count(*) FROM credentials
SELECT 1 / (SELECT count(*) - 1 FROM credentials)
SELECT (SELECT password FROM credentials LIMIT 1)::int
SELECT password::int FROM logins
SELECT password FROM stored_logins
SELECT * FROM logins_again
SELECT password FROM traps.with_invoker
SELECT told(1)
SELECT mumbled(1)
SELECT traps.owners_eye()
SELECT traps.text_of_sql()
SELECT traps.dynamic('SELECT password FROM credentials')
SELECT traps.raises((SELECT password FROM credentials LIMIT 1))
SELECT ssn FROM customers
SELECT * FROM customers
SELECT c.ssn FROM customers c
SELECT (c).ssn FROM customers c
SELECT (c.*).ssn FROM customers c
SELECT ssn(c) FROM customers c
SELECT c FROM customers c
SELECT c::text FROM customers c
SELECT c.*::text FROM customers c
SELECT to_jsonb(c) - 'ssn' FROM customers c
SELECT jsonb_path_query(to_jsonb(c), '$.ssn') FROM customers c
SELECT jsonb_each(to_jsonb(c)) FROM customers c
SELECT array_agg(c) FROM customers c
SELECT ROW(c.*) FROM customers c
SELECT c IS NULL FROM customers c
SELECT c = c FROM customers c
SELECT DISTINCT c FROM customers c
SELECT max(ssn) FROM customers
SELECT string_agg(ssn, ',') FROM customers
SELECT ssn || '' FROM customers
SELECT count(DISTINCT ssn) FROM customers
SELECT name FROM customers WHERE ssn LIKE 'hush%'
SELECT name FROM customers WHERE (ssn, 1) > ('h', 0)
SELECT name FROM customers ORDER BY ssn
SELECT count(*) FROM customers GROUP BY ssn
SELECT count(*) FROM customers GROUP BY CUBE (ssn)
SELECT count(*) OVER (PARTITION BY ssn) FROM customers
SELECT name FROM customers HAVING max(ssn) > 'h'
SELECT DISTINCT ON (ssn) name FROM customers
SELECT a.name FROM customers a JOIN customers b USING (ssn)
SELECT name FROM customers NATURAL JOIN (SELECT 'guess' AS ssn) g
SELECT c.ssn FROM customers c JOIN (SELECT 1 AS id) x USING (id) AS j
SELECT x.d FROM customers x (a, b, c, d)
SELECT name FROM customers WHERE CASE WHEN ssn > 'i' THEN 1/0 ELSE 1 END = 1
SELECT ssn::int FROM customers
SELECT ssn::date FROM customers
SELECT ('{' || ssn)::json FROM customers
SELECT traps.raises(ssn) FROM customers
SELECT tag FROM customers
SELECT ssn FROM contacts
SELECT contacts FROM contacts
SELECT ssn FROM traps.copied
SELECT traps.whole(c) FROM customers c
SELECT * FROM traps.everybody()
SELECT name FROM traps.everybody()
SELECT secret FROM traps.fat
SELECT substr(secret, 1, 9) FROM traps.fat
SELECT length(secret) FROM traps.fat
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'customers'
SELECT histogram_bounds::text FROM pg_catalog.pg_stats WHERE attname = 'ssn'
SELECT most_common_vals::text FROM pg_stats_ext
SELECT stavalues1::text FROM pg_statistic
SELECT query_to_xml('SELECT password FROM credentials', true, true, '')
SELECT table_to_xml('credentials', true, true, '')
SELECT database_to_xml(true, true, '')
SELECT cursor_to_xml('mcp cursor', 1, true, true, '')
SELECT * FROM ts_stat('SELECT to_tsvector(password) FROM credentials')
SELECT ts_rewrite('a'::tsquery, 'SELECT password::tsquery, password::tsquery FROM credentials')
SELECT lo_get(1)
SELECT * FROM pg_largeobject
SELECT pg_read_file('base/1/1259')
EXPLAIN SELECT password FROM credentials
EXPLAIN (VERBOSE) SELECT name FROM customers WHERE ssn = 'x'
EXPLAIN SELECT (SELECT password FROM credentials LIMIT 1)::int
"""
BESIDE = """
SELECT id, name, city, label FROM customers
SELECT count(*) FROM customers
SELECT EXISTS (SELECT 1 FROM customers)
SELECT c.id, c.name FROM customers c JOIN big USING (id)
SELECT name FROM customers ORDER BY city NULLS LAST
SELECT ctid, xmin, tableoid::regclass FROM customers
SELECT to_jsonb(x) FROM (SELECT id, name FROM customers) x
SELECT NULL::customers IS NULL, (NULL::customers).name
SELECT jsonb_populate_record(NULL::customers, '{"ssn": "mine"}')
SELECT 'credentials', 'ssn', 1 AS ssn, 2 AS password
SELECT owner FROM rows_of_others
SELECT id FROM traps.fat
SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' LIMIT 3
SELECT column_name FROM information_schema.columns WHERE table_name = 'customers'
SELECT obj_description('customers'::regclass), col_description('customers'::regclass, 4)
EXPLAIN SELECT name FROM customers WHERE id = 1
"""


def lines(text: str) -> list[str]:
    return text.strip().split("\n")


@pytest.mark.parametrize("sql", lines(WAYS), ids=range(len(lines(WAYS))))
@in_turn
def test_no_way_leads_to_what_is_withheld(fortress: Fortress, role: str, era: str, sql: str) -> None:
    attacker = fortress.attacker(role, era, STRICT)
    said = attacker.refused(sql)
    assert "does not exist" not in said or "xml" in said, "the attack is at fault"
    assert "syntax error" not in said, "the attack is at fault"
    attacker.call("explain_query", sql=sql, analyze=True)
    attacker.leave(SECRET)


@pytest.mark.parametrize("sql", lines(BESIDE), ids=range(len(lines(BESIDE))))
@on_every_front
def test_what_lies_beside_it_can_be_read(fortress: Fortress, role: str, era: str, sql: str) -> None:
    attacker = fortress.attacker(role, era, STRICT)
    answered, text = attacker.ask(sql)
    assert answered, text
    attacker.leave()


def test_a_superuser_cannot_read_it_from_where_long_values_lie(fortress: Fortress) -> None:
    ((toast,),) = fortress.ask_outside("SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = 'fat'")
    sql = f"SELECT encode(chunk_data, 'escape') FROM {toast}"
    attacker = fortress.attacker("boss", "legacy", STRICT)
    assert "masked" in attacker.refused(sql)
    attacker.leave(SECRET)
    answered, text = fortress.attacker("boss", "legacy").ask(sql)
    assert answered, "where nothing is withheld, it can"
    assert SECRET in text


@on_every_front
def test_rows_that_the_role_may_not_see_are_not_seen(fortress: Fortress, role: str, era: str) -> None:
    """Row-level security is the database's: it holds for the fit role, and not for a superuser."""
    answered, text = fortress.attacker(role, era, STRICT).ask("SELECT owner FROM rows_of_others")
    assert answered
    assert ("somebody" in text) == (role != FIT)
