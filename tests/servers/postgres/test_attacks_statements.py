"""Statements that are no reading, in every disguise: none runs, and the database and its disk are as they were."""

from __future__ import annotations

import pytest
from tests.servers.postgres.siege import FIT, Fortress, in_turn, on_every_front

OTHERS = """
DROP TABLE customers
DELETE FROM customers
UPDATE customers SET name = 'pwned'
INSERT INTO customers (id, name) VALUES (9, 'pwned')
MERGE INTO customers USING (SELECT 1) x ON false WHEN NOT MATCHED THEN INSERT (id, name) VALUES (9, 'pwned')
TRUNCATE customers
CREATE TABLE pwned (a int)
CREATE TABLE pwned AS SELECT 1
CREATE TEMP TABLE pwned (a int)
CREATE VIEW pwned AS SELECT 1
CREATE FUNCTION pg_temp.pwned() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE EXTENSION dblink
CREATE ROLE pwned SUPERUSER
CREATE EVENT TRIGGER pwned ON ddl_command_start EXECUTE FUNCTION traps.reads()
CREATE SERVER pwned FOREIGN DATA WRAPPER postgres_fdw
ALTER ROLE mcp_reader SUPERUSER
ALTER SYSTEM SET work_mem = '1GB'
ALTER TABLE customers DISABLE ROW LEVEL SECURITY
GRANT SELECT ON hidden.untold TO PUBLIC
SECURITY LABEL ON TABLE customers IS 'pwned'
COMMENT ON TABLE customers IS 'pwned'
SELECT 1 AS a INTO pwned
SELECT * INTO TEMP pwned FROM customers
WITH x AS (DELETE FROM customers RETURNING *) SELECT * FROM x
WITH x AS (INSERT INTO customers (id, name) VALUES (9, 'pwned') RETURNING id) SELECT id FROM x
WITH x AS (SELECT 1), y AS (UPDATE customers SET name = 'pwned' RETURNING 1) SELECT * FROM x, y
WITH x AS (SELECT 1) DELETE FROM customers
COPY customers TO STDOUT
COPY customers FROM STDIN
COPY customers TO '/tmp/pwned'
COPY customers FROM '{canary}'
COPY (SELECT * FROM customers) TO PROGRAM 'touch /tmp/pwned'
COPY (SELECT 1) TO '{folder}/pwned'
DO $$BEGIN DELETE FROM customers; END$$
DO LANGUAGE plpgsql 'BEGIN PERFORM pg_read_file(''{canary}''); END'
CALL traps.reads('{canary}')
SET statement_timeout = 0
SET SESSION AUTHORIZATION postgres
SET ROLE postgres
SET TRANSACTION READ WRITE
RESET ALL
BEGIN
COMMIT
ROLLBACK
SAVEPOINT pwned
PREPARE TRANSACTION 'pwned'
PREPARE pwned AS SELECT 1
EXECUTE pwned
DEALLOCATE ALL
DECLARE pwned CURSOR WITH HOLD FOR SELECT 1
FETCH ALL FROM "mcp cursor"
MOVE ALL FROM "mcp cursor"
CLOSE ALL
LISTEN pwned
NOTIFY pwned, 'told'
UNLISTEN *
LOCK TABLE customers
VACUUM customers
ANALYZE customers
CLUSTER customers
REINDEX TABLE customers
REFRESH MATERIALIZED VIEW stored_logins
CHECKPOINT
LOAD '{folder}/pwned'
DISCARD ALL
SHOW ALL
IMPORT FOREIGN SCHEMA public FROM SERVER pwned INTO public
EXPLAIN ANALYZE SELECT 1
EXPLAIN ANALYZE DELETE FROM customers
EXPLAIN (ANALYZE) CREATE TABLE pwned AS SELECT 1
EXPLAIN (COSTS OFF, ANALYZE TRUE) SELECT 1
EXPLAIN (ANALYZE OFF, ANALYZE ON) SELECT 1
EXPLAIN ("analyze") SELECT 1
EXPLAIN DELETE FROM customers
EXPLAIN CREATE TABLE pwned AS SELECT 1
EXPLAIN DECLARE pwned CURSOR FOR SELECT 1
EXPLAIN EXECUTE pwned
EXPLAIN EXPLAIN SELECT 1
"""
STACKED = """
SELECT 1; DROP TABLE customers
SELECT 1;;DROP TABLE customers
;DROP TABLE customers
SELECT 1; COMMIT; DROP TABLE customers
COMMIT; DROP TABLE customers; BEGIN
ROLLBACK; DROP TABLE customers
SELECT 1; SELECT 2
/* SELECT */ DROP TABLE customers
-- a comment~DROP TABLE customers
/* /* */ SELECT 1 */ DROP TABLE customers
SELECT 1 -- ;~; DROP TABLE customers
SELECT 1 /* ; */; DROP TABLE customers
SELECT $$;$$; DROP TABLE customers
SELECT $a$ $b$ ; $a$; DROP TABLE customers
SELECT ''';'; DROP TABLE customers
SELECT E'\\';'; DROP TABLE customers; --'
SELECT '\\'; DROP TABLE customers; --'
SELECT E'a'~'\\''; DROP TABLE customers; --'
SELECT U&'\\0027'; DROP TABLE customers
SELECT 1 END; DROP TABLE customers
SELECT 1; END; DROP TABLE customers; BEGIN ATOMIC SELECT 1
SELECT 1) s OFFSET 0) q(c0); DROP TABLE customers; --
SELECT 'x') s OFFSET 0) q(c0)) z; DROP TABLE customers; --
EXPLAIN SELECT 1; DROP TABLE customers
EXPLAIN (COSTS OFF) SELECT 1; DROP TABLE customers
EXPLAIN (FORMAT TEXT) (FORMAT JSON) DROP TABLE customers
SELECT 1\u2028; DROP TABLE customers
SELECT 1\ufeff; DROP TABLE customers
SELECT 1\x0b; DROP TABLE customers
"""
LOCKING = """
SELECT * FROM customers FOR UPDATE
SELECT * FROM customers FOR NO KEY UPDATE SKIP LOCKED
SELECT * FROM customers FOR SHARE NOWAIT
SELECT * FROM (SELECT * FROM customers FOR KEY SHARE) x
WITH x AS (SELECT * FROM customers FOR UPDATE) SELECT * FROM x
"""
HONEST = """
SELECT 'DROP TABLE customers; COMMIT'
SELECT $$COPY customers TO PROGRAM 'sh'$$ AS delete
SELECT E'a'~'\\'; b', U&'\\0041', $x$;$x$, 'it''s'
SELECT name AS "insert" FROM customers -- ; DROP TABLE customers
SELECT name /* ; /* nested */ ; */ FROM customers;
(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1;
VALUES (1, 'update'), (2, 'delete');;
TABLE customers
WITH x AS MATERIALIZED (SELECT 1 AS a) SELECT a FROM x
WITH RECURSIVE x (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x WHERE n < 9) CYCLE n SET looped USING path TABLE x
EXPLAIN SELECT * FROM customers
EXPLAIN (VERBOSE, FORMAT JSON, ANALYZE OFF) SELECT 'analyze'
explain (select 1)
"""


def lines(text: str) -> list[str]:
    """A statement a line; ~ is a line's end."""
    return [line.replace("~", "\n") for line in text.strip().split("\n")]


@pytest.mark.parametrize("sql", lines(OTHERS) + lines(STACKED), ids=range(len(lines(OTHERS) + lines(STACKED))))
@in_turn
def test_what_is_no_single_reading_statement_does_not_run(fortress: Fortress, role: str, era: str, sql: str) -> None:
    attacker = fortress.attacker(role, era)
    sql = sql.replace("{canary}", fortress.canary).replace("{folder}", str(fortress.cluster.folder))
    answered, text = attacker.ask(sql)
    assert not answered or sql.startswith(("SELECT '\\'", "SELECT 1\ufeff")), text
    assert not attacker.call("explain_query", sql=sql, analyze=True)[0] or not sql.startswith(("DROP", "WITH", "COPY"))
    attacker.leave()


@pytest.mark.parametrize("sql", lines(LOCKING), ids=range(len(lines(LOCKING))))
@in_turn
def test_rows_are_not_locked(fortress: Fortress, role: str, era: str, sql: str) -> None:
    attacker = fortress.attacker(role, era)
    assert "read-only transaction" in attacker.refused(sql) or role == FIT
    assert not attacker.call("explain_query", sql=sql, analyze=True)[0]
    attacker.leave()


@pytest.mark.parametrize("sql", lines(HONEST), ids=range(len(lines(HONEST))))
@on_every_front
def test_what_only_looks_so_is_answered(fortress: Fortress, role: str, era: str, sql: str) -> None:
    attacker = fortress.attacker(role, era)
    answered, text = attacker.ask(sql)
    assert answered, text
    attacker.leave()


SMUGGLED = ["1; DROP TABLE customers", "'); DROP TABLE customers; --", "$1", "\\", "{DROP,TABLE}", "/*", "\u0000;"]


@pytest.mark.parametrize("value", SMUGGLED)
@on_every_front
def test_a_parameter_is_a_value_and_nothing_else(fortress: Fortress, role: str, era: str, value: str) -> None:
    attacker = fortress.attacker(role, era)
    answered, text = attacker.ask("SELECT $1::text AS given, length($1)", value)
    assert answered == ("\0" not in value), text
    attacker.ask("SELECT name FROM customers WHERE id = $1", value)
    attacker.ask("SELECT name FROM customers LIMIT $1", value)
    attacker.leave()
