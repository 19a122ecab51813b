"""Traps in a database: what somebody with the right to create things can lay, and a query steps on unawares."""

SCHEMA = """
CREATE SCHEMA traps;
GRANT USAGE ON SCHEMA traps TO PUBLIC;
SET search_path = traps, public;
CREATE SEQUENCE counter;
GRANT USAGE ON SEQUENCE counter TO PUBLIC;
CREATE FUNCTION locks(bigint) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT pg_advisory_lock($1) IS NOT NULL; END;
CREATE FUNCTION reads(text) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT pg_read_file($1); END;
CREATE FUNCTION counts(int) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT nextval('traps.counter') > 0; END;
"""

DEFAULTS = """
CREATE FUNCTION calm(a int, b text DEFAULT pg_read_file('{canary}')) RETURNS text LANGUAGE sql
    BEGIN ATOMIC SELECT b; END;
CREATE FUNCTION calm_in_words(b text DEFAULT pg_read_file('{canary}')) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN RETURN b; END$$;
"""

TYPES = """
CREATE DOMAIN locked AS int CHECK (locks(VALUE));
CREATE DOMAIN counted AS int CHECK (counts(VALUE));
CREATE TYPE box AS (n locked);
CREATE TYPE crate AS (inner_box traps.box);
CREATE TYPE span AS RANGE (SUBTYPE = locked);
CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE FUNCTION colour_as_json(colour) RETURNS json LANGUAGE sql
    BEGIN ATOMIC SELECT to_json(pg_read_file('{canary}')); END;
CREATE CAST (colour AS json) WITH FUNCTION colour_as_json(colour);
CREATE FUNCTION add_box(int, locked) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 + $2; END;
CREATE FUNCTION keeps(locked, int) RETURNS locked LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE AGGREGATE started (int) (SFUNC = keeps, STYPE = locked, INITCOND = '1');
"""

OPERATORS = """
CREATE TYPE note AS (body text);
CREATE FUNCTION never(note, note) RETURNS boolean LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT false; END;
CREATE FUNCTION never_reading(note, note) RETURNS boolean LANGUAGE sql
    BEGIN ATOMIC SELECT pg_advisory_lock(5) IS NULL; END;
CREATE FUNCTION compares(note, note) RETURNS int LANGUAGE sql
    BEGIN ATOMIC SELECT (pg_advisory_lock(6) IS NULL)::int; END;
CREATE OPERATOR < (LEFTARG = note, RIGHTARG = note, FUNCTION = never);
CREATE OPERATOR = (LEFTARG = note, RIGHTARG = note, FUNCTION = never);
CREATE OPERATOR > (LEFTARG = note, RIGHTARG = note, FUNCTION = never);
CREATE OPERATOR CLASS by_body DEFAULT FOR TYPE note USING btree AS
    OPERATOR 1 <, OPERATOR 3 =, OPERATOR 5 >, FUNCTION 1 compares(note, note);
CREATE OPERATOR !== (LEFTARG = note, RIGHTARG = note, FUNCTION = never_reading);
CREATE OPERATOR === (LEFTARG = note, RIGHTARG = note, FUNCTION = never, NEGATOR = !==);
CREATE OPERATOR ### (RIGHTARG = text, FUNCTION = reads);
"""

TABLES = """
CREATE FUNCTION lies(int) RETURNS int LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC SELECT (pg_advisory_lock(7) IS NULL)::int + $1; END;
CREATE TABLE indexed (id int);
CREATE INDEX ON indexed ((id + lies(1)));
CREATE TABLE checked (id int);
ALTER TABLE checked ADD CHECK (id > lies(1)) NOT VALID;
CREATE FUNCTION folds(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE TABLE folded (id int, name text);
CREATE INDEX ON folded (folds(name));
CREATE TABLE fat (id int, secret text);
ALTER TABLE fat ALTER secret SET STORAGE EXTERNAL;
INSERT INTO fat VALUES (1, repeat('{secret} ', 1000));
CREATE VIEW locking AS SELECT locks(8) AS done;
CREATE VIEW with_invoker WITH (security_invoker) AS SELECT id, password FROM credentials;
CREATE MATERIALIZED VIEW copied AS SELECT id, ssn FROM customers;
"""

FUNCTIONS = """
CREATE FUNCTION whole(customers) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT ($1).ssn; END;
CREATE FUNCTION everybody() RETURNS SETOF customers LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM customers; END;
CREATE FUNCTION text_of_sql() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT password FROM public.credentials';
CREATE FUNCTION owners_eye() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER AS
    $$BEGIN RETURN (SELECT max(password) FROM public.credentials); END$$;
CREATE FUNCTION dynamic(text) RETURNS text LANGUAGE plpgsql AS
    $$DECLARE found text; BEGIN EXECUTE $1 INTO found; RETURN found; END$$;
CREATE FUNCTION raises(text) RETURNS int LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION '%', $1 USING DETAIL = $1, HINT = $1; END$$;
GRANT SELECT ON ALL TABLES IN SCHEMA traps TO PUBLIC;
RESET search_path;
SELECT pg_advisory_unlock_all();
ALTER SEQUENCE traps.counter RESTART;
"""


def write_traps(canary: str, secret: str) -> str:
    """The SQL that lays them; `canary` is a file on the database's machine, `secret` what must not be read."""
    parts = SCHEMA + DEFAULTS + TYPES + OPERATORS + TABLES + FUNCTIONS
    return parts.replace("{canary}", canary).replace("{secret}", secret)
