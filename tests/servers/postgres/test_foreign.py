"""Foreign tables: what lies on another server or on the disk is read as it was granted; programs are not run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.servers.postgres.conftest import Opener, Shop, command, has_extension, side_database

from mcp_server_postgres.policy import Policy

MARK = Path(f"/tmp/mcp-program-ran-{uuid.uuid4().hex}")  # where the database's account may write
REMOTE = """
CREATE TABLE r AS SELECT g AS a, 'far ' || g AS b FROM generate_series(1, 50) g;
CREATE TABLE log (x text);
CREATE SEQUENCE s;
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.log VALUES ('w'); RETURN 1; END$$;
CREATE VIEW written AS SELECT public.writes() AS a;
CREATE VIEW counted AS SELECT nextval('public.s') AS a;
"""
FILES = f"""
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE version (line text) SERVER files OPTIONS (filename '{{data}}/PG_VERSION');
CREATE FOREIGN TABLE runs (a int) SERVER files OPTIONS (program 'echo 1; touch {MARK}');
CREATE VIEW through AS SELECT a FROM runs;
CREATE TABLE parent (a int) PARTITION BY LIST (a);
CREATE FOREIGN TABLE child PARTITION OF parent DEFAULT SERVER files OPTIONS (program 'echo 1; touch {MARK}');
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


@pytest.fixture(scope="module")
def files(shop: Shop) -> Iterator[Shop]:
    """A database that has files and the output of programs as tables."""
    if not has_extension(shop, "file_fdw"):
        pytest.skip("this PostgreSQL does not bring file_fdw")
    with side_database(shop) as side:
        ((data,),) = command(shop.superuser, "SELECT setting FROM pg_settings WHERE name = 'data_directory'")
        command(side.superuser, FILES.format(data=data))
        yield side


@pytest.fixture(scope="module")
def far(shop: Shop) -> Iterator[tuple[Shop, Shop]]:
    """A database, and one that has its tables as foreign ones."""
    if not has_extension(shop, "postgres_fdw"):
        pytest.skip("this PostgreSQL does not bring postgres_fdw")
    place = urlsplit(shop.admin)
    with side_database(shop) as remote, side_database(shop) as side:
        command(remote.superuser, REMOTE)
        command(
            side.superuser,
            "CREATE EXTENSION postgres_fdw",
            f"CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{place.hostname}', "
            f"port '{place.port or 5432}', dbname '{remote.database}')",
            f"CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user '{place.username}', "
            f"password '{place.password or 'none'}', password_required 'false')",
            "IMPORT FOREIGN SCHEMA public FROM SERVER far INTO public",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC",
        )
        yield remote, side


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM runs",
        "SELECT count(*) FROM through",
        "SELECT * FROM parent",
        "SELECT * FROM child",
        "SELECT 1 WHERE EXISTS (SELECT FROM runs)",
        "EXPLAIN SELECT * FROM runs",
    ],
)
def test_a_table_that_runs_a_program_is_refused(desk: Opener, files: Shop, sql: str) -> None:
    for dsn, policy in ((files.url(), Policy()), (files.superuser, Policy(allow_superuser=True))):
        assert "runs a program" in desk(policy, dsn).refusal(sql)
        assert not MARK.exists()


def test_the_operator_can_allow_programs_and_a_file_was_granted(desk: Opener, files: Shop) -> None:
    assert desk(None, files.url()).query("SELECT line ~ '^[0-9]+$' FROM version") == [[True]]
    allowed = desk(Policy(allow_functions=frozenset({"file_fdw_handler"})), files.url())
    try:
        assert allowed.query("SELECT a FROM through") == [[1]]
    finally:
        MARK.unlink(missing_ok=True)


def test_tables_of_another_server_are_read(desk: Opener, far: tuple[Shop, Shop]) -> None:
    reader = desk(None, far[1].url())
    assert reader.query("SELECT count(*), max(b) FROM r WHERE a < $1", [4]) == [[3, "far 3"]]
    strict = desk(Policy(deny_tables=frozenset({"r"})), far[1].url())
    assert "not served" in strict.refusal("SELECT a FROM r")


def test_what_the_other_server_writes_is_rolled_back_with_us(desk: Opener, far: tuple[Shop, Shop]) -> None:
    assert desk(None, far[1].url()).query("SELECT a FROM written") == [[1]]
    assert command(far[0].superuser, "SELECT count(*) FROM log") == [(0,)]


def test_the_setting_that_is_advised_makes_the_other_server_read_only(desk: Opener, far: tuple[Shop, Shop]) -> None:
    readme = Path(__file__).parents[3] / "servers/postgres/README.md"
    (advice,) = [line for line in readme.read_text().splitlines() if line.startswith("ALTER SERVER")]
    command(far[1].superuser, advice.replace("other_server", "far"))
    fresh = desk(Policy(max_rows=77), far[1].url())
    assert "read-only transaction" in fresh.refusal("SELECT a FROM counted")
    assert command(far[0].superuser, "SELECT is_called FROM s") == [(False,)]
    assert fresh.one("SELECT count(*) FROM r") == 50
