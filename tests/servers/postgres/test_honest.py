"""Honest questions: a refusal of one of them is a defect."""

from __future__ import annotations

import re

import pytest
from tests.servers.postgres.conftest import SECRET, Desk, Opener, Shop, command

from mcp_server_postgres.policy import Policy

QUERIES = """
SELECT count(*) FROM customers
SELECT city, count(*) FROM customers GROUP BY city HAVING count(*) >= 1 ORDER BY 2 DESC
SELECT DISTINCT ON (customer_id) customer_id, total FROM sales.orders ORDER BY customer_id, total DESC
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM sales.orders
SELECT percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY total) FROM sales.orders
SELECT mode() WITHIN GROUP (ORDER BY city) FROM customers
SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY total DESC), lag(total) OVER w FROM sales.orders
    WINDOW w AS (ORDER BY id)
SELECT sum(total) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM sales.orders
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT sum(i) FROM n
SELECT c.name, o.total FROM customers c LEFT JOIN sales.orders o ON o.customer_id = c.id
SELECT * FROM customers c, LATERAL (SELECT max(total) AS most FROM sales.orders o WHERE o.customer_id = c.id) m
SELECT * FROM customers NATURAL JOIN (SELECT id FROM customers) x
SELECT corr(id, total), regr_slope(total, id), stddev(total), variance(total) FROM sales.orders
SELECT city, customer_id, count(*) FROM customers c JOIN sales.orders o ON o.customer_id = c.id GROUP BY
    GROUPING SETS ((city), (customer_id), ())
SELECT city, count(*) FROM customers GROUP BY ROLLUP (city)
SELECT random() < 2
SELECT setseed(0.5) IS NOT NULL, random()
SELECT clock_timestamp() > now() - interval '1 day', timeofday() IS NOT NULL
SELECT gen_random_uuid() IS NOT NULL
SELECT date_trunc('month', placed), sum(total) FROM sales.orders GROUP BY 1
SELECT to_char(placed, 'YYYY-MM'), extract(dow FROM placed), age(placed) FROM sales.orders
SELECT generate_series('2024-01-01'::date, '2024-03-01', '1 week')
SELECT date_bin('15 minutes', placed, '2001-01-01') FROM sales.orders
SELECT placed AT TIME ZONE 'Europe/Rome' FROM sales.orders
SELECT now(), current_date, localtimestamp, current_user, version(), current_setting('server_version')
SELECT string_agg(name, ', ' ORDER BY name), array_agg(id), json_agg(name), jsonb_object_agg(id, name) FROM customers
SELECT to_jsonb(c), row_to_json(c) FROM customers c
SELECT * FROM jsonb_to_recordset('[{"a": 1}]') AS x(a int)
SELECT jsonb_path_query('{"a": [1, 2]}', '$.a[*]'), '{"a": 1}'::jsonb -> 'a', '{"a": 1}'::jsonb @> '{}'
SELECT unnest(ARRAY[1, 2]), ARRAY[1, 2] && ARRAY[2], array_length(ARRAY[1], 1)
SELECT x, y FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) WITH ORDINALITY AS u(x, y, n)
SELECT regexp_matches('a1b2', '[0-9]', 'g'), regexp_replace('abc', 'b', 'x'), split_part('a,b', ',', 2)
SELECT format('%s-%I', name, city), left(name, 1), md5(name), encode(sha256('x'), 'hex') FROM customers WHERE
    city IS NOT NULL
SELECT name ILIKE 'a%', name ~* '^a', name SIMILAR TO 'A%' FROM customers
SELECT to_tsvector('english', 'The quick fox') @@ plainto_tsquery('fox'), ts_rank(to_tsvector('a b'), to_tsquery('a'))
SELECT ts_headline('english', 'The quick fox', to_tsquery('fox'))
SELECT int4range(1, 5) @> 3, daterange('2024-01-01', '2024-02-01') && daterange('2024-01-15', NULL)
SELECT range_agg(int4range(id, id + 1)) FROM customers
SELECT point(1, 2) <-> point(3, 4), circle(point(0, 0), 2) @> point(1, 1)
SELECT inet '10.0.0.1' << inet '10.0.0.0/8', host('10.0.0.1'::inet)
SELECT coalesce(city, 'none'), nullif(city, 'Rome'), greatest(1, 2), least(1, 2) FROM customers
SELECT CASE WHEN total > 20 THEN 'big' ELSE 'small' END AS size, count(*) FROM sales.orders GROUP BY 1
SELECT width_bucket(total, 0, 40, 4), count(*) FROM sales.orders GROUP BY 1
SELECT count(*) FILTER (WHERE total > 10), bool_and(total >= 0), bit_or(id) FROM sales.orders
SELECT * FROM events WHERE happened BETWEEN '2023-01-01' AND '2023-12-31'
SELECT tableoid::regclass, count(*) FROM events GROUP BY 1
SELECT * FROM people
SELECT * FROM ONLY people
SELECT * FROM big TABLESAMPLE SYSTEM (10) LIMIT 3
SELECT * FROM big TABLESAMPLE BERNOULLI (1) REPEATABLE (1) LIMIT 3
SELECT pg_size_pretty(pg_total_relation_size('big')), pg_relation_size('big'), pg_database_size(current_database())
SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class WHERE relname = 'big'
SELECT * FROM pg_stat_user_tables
SELECT pid, state FROM pg_stat_activity
SELECT locktype, mode FROM pg_locks
SELECT name, setting FROM pg_settings WHERE name = 'work_mem'
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'customers'
SELECT * FROM information_schema.table_constraints LIMIT 5
SELECT attname, n_distinct, most_common_vals::text FROM pg_stats WHERE tablename = 'customers'
SELECT pg_get_viewdef('contacts'::regclass), pg_get_indexdef('sales.orders_total'::regclass)
SELECT obj_description('customers'::regclass), col_description('customers'::regclass, 4)
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'customers'::regclass
SELECT * FROM pg_partition_tree('events')
SELECT * FROM pg_index LIMIT 3
SELECT * FROM pg_class LIMIT 3
SELECT txid_current_if_assigned(), pg_backend_pid() > 0, pg_is_in_recovery()
SELECT * FROM contacts
SELECT * FROM spending
SELECT * FROM stored_logins
SELECT add_one(41)
SELECT mumbled(1)
SELECT ('Via', 1, now())::address, 'ok'::mood, 5::positive
SELECT to_number('12,5', '99,9'), round(12.345, 2), trunc(12.345), mod(7, 3), power(2, 10), ln(2.0)
SELECT substring('abc' from 2 for 1), overlay('abc' placing 'x' from 2), position('b' in 'abc'), trim(both 'x'
    from 'xax')
SELECT (SELECT max(total) FROM sales.orders), EXISTS (SELECT 1 FROM customers), 1 IN (SELECT id FROM
    customers), 3 > ALL (ARRAY[1, 2])
SELECT id FROM customers UNION ALL SELECT id FROM sales.orders EXCEPT SELECT 1 INTERSECT SELECT 2
SELECT * FROM customers ORDER BY id FETCH FIRST 2 ROWS WITH TIES
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3)) AS r(a, b)
SELECT crc.x COLLATE "C" FROM (VALUES ('a'), ('B')) AS crc(x) ORDER BY 1
"""
HONEST = re.split(r"\n(?! )", QUERIES.strip())

EXTENSIONS = {
    "vector": "SELECT '[1,2,3]'::vector <-> '[1,2,4]'::vector, avg(v) FROM (VALUES ('[1,2]'::vector)) AS t(v)",
    "pg_trgm": "SELECT similarity('abc', 'abd'), 'abc' % 'abd', word_similarity('a', 'ab'), show_trgm('abc')",
    "hstore": "SELECT 'a=>1'::hstore -> 'a', akeys('a=>1'::hstore)",
    "pgcrypto": "SELECT crypt('x', gen_salt('md5')), encode(digest('x', 'sha256'), 'hex'), gen_random_bytes(4)",
    "uuid-ossp": "SELECT uuid_generate_v4() IS NOT NULL",
    "fuzzystrmatch": "SELECT levenshtein('a', 'b'), soundex('a')",
    "unaccent": "SELECT unaccent('e')",
    "citext": "SELECT 'A'::citext = 'a'::citext",
    "ltree": "SELECT 'a.b'::ltree <@ 'a'::ltree",
    "intarray": "SELECT '{1,2}'::int[] & '{2}'::int[]",
    "cube": "SELECT '(1,2)'::cube <-> '(2,3)'::cube",
    "tablefunc": "SELECT normal_rand(1, 0, 1) IS NOT NULL",
}
REACHING = {
    "dblink": "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t(a int)",
    "tablefunc": "SELECT * FROM crosstab('SELECT 1, 2, 3') AS t(a int, b int)",
    "pg_trgm": "SELECT set_limit(0.5)",
    "xml2": "SELECT * FROM xpath_table('id', 'name', 'customers', '/', 'true') AS t(a int, b text)",
}
XML = "SELECT xpath('/a/text()', '<a>1</a>'::xml), xmlelement(name a, 1), xmlserialize(content '<a/>'::xml AS text)"


def test_there_are_many() -> None:
    assert len(HONEST) >= 60


@pytest.mark.parametrize("sql", HONEST)
def test_an_honest_question_is_answered(reader: Desk, sql: str) -> None:
    reader.query(sql)


@pytest.mark.parametrize(
    "sql", [sql for sql in HONEST if "pg_stats" not in sql and "mumbled" not in sql and "stored_logins" not in sql]
)
def test_it_is_answered_while_something_else_is_withheld(desk: Opener, sql: str) -> None:
    desk(Policy(deny_tables=frozenset({"credentials"}), mask_columns=frozenset({("sales.orders", "nothing")}))).query(
        sql
    )


def has(shop: Shop, extension: str) -> bool:
    rows = command(shop.superuser, f"SELECT 1 FROM pg_available_extensions WHERE name = '{extension}'")
    if rows:
        command(shop.superuser, f'CREATE EXTENSION IF NOT EXISTS "{extension}"')
    return bool(rows)


def skip_without(shop: Shop, extension: str) -> None:
    """Say aloud what cannot be tested on this PostgreSQL; the wheel has vector alone, Debian's contrib the others."""
    if not has(shop, extension):
        pytest.skip(f"this PostgreSQL does not bring {extension}")


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_honest_questions_to_extensions_are_answered(reader: Desk, shop: Shop, extension: str) -> None:
    skip_without(shop, extension)
    reader.query(EXTENSIONS[extension])


@pytest.mark.parametrize("extension", REACHING)
def test_extensions_that_reach_beyond_are_refused(desk: Opener, shop: Shop, extension: str) -> None:
    skip_without(shop, extension)
    for dsn, policy in ((shop.url(), Policy()), (shop.superuser, Policy(allow_superuser=True))):
        assert "Refused: the statement calls" in desk(policy, dsn).refusal(REACHING[extension])


def test_xml_is_read_where_there_is_a_library_for_it(reader: Desk, shop: Shop) -> None:
    if not command(
        shop.superuser, "SELECT 1 FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%--with-libxml%'"
    ):
        pytest.skip("this PostgreSQL was built without libxml")
    assert reader.query(XML)[0][2] == "<a/>"
    assert SECRET not in str(reader.query(XML))
