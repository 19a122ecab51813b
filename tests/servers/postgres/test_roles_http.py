"""The classical case over HTTP, in PostgreSQL: the roles of the documentation's example, and what they may not see."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest
from tests.security.shared_shop import enter, hear, write_auth
from tests.served import serve
from tests.servers.postgres.conftest import SECRET, Shop, command
from tests.stage import scene

if TYPE_CHECKING:
    from mcp_kernel import Client

in_both_eras = pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
READING = ["query", "list_tables", "describe_table"]

STATEMENTS = [
    "SELECT password FROM credentials",
    "SELECT password FROM public.credentials",
    'TABLE "credentials"',
    "SELECT c FROM credentials c",
    "SELECT login FROM logins_again",
    "SELECT * FROM stored_logins",
    "SELECT told(1)",
    "SELECT mumbled(1)",
    "WITH x AS (SELECT * FROM credentials) SELECT * FROM x",
    "SELECT name FROM customers WHERE EXISTS (SELECT 1 FROM credentials WHERE password LIKE 'hush%')",
    "SELECT customers.name FROM customers NATURAL JOIN credentials",
    "SELECT query_to_xml('SELECT * FROM credentials', true, true, '')::text",
    "SELECT table_to_xml('credentials', true, true, '')::text",
    "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'credentials'",
    "SELECT count(*) FROM credentials",
    "SELECT 1 FROM customers WHERE 1 / (SELECT length(password) - 11 FROM credentials) = 1",
]


@pytest.fixture(scope="module")
def roles(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of the shop's database behind the example file."""
    path = tmp_path_factory.mktemp("roles") / "auth.toml"
    write_auth(path)
    command(shop.superuser, "CREATE TABLE audit_logs (id int, actor text)", "GRANT SELECT ON audit_logs TO mcp_reader")
    with serve([sys.executable, "-m", "mcp_server_postgres", shop.url(), "--auth", str(path)]) as url:
        yield url
    command(shop.superuser, "DROP TABLE audit_logs")


async def tools_of(client: Client) -> list[str]:
    return [tool.name for tool in await client.list_tools()]


@in_both_eras
@scene
async def test_each_role_has_its_tools_and_its_tables(roles: str, revision: str) -> None:
    shown = {"ann": (False, False), "dev": (False, True), "root": (True, True)}  # credentials, audit_logs
    for who in ("root", "ann", "dev", "root", "ann"):  # what one was shown is not another's
        async with enter(roles, who, revision) as client:
            assert await tools_of(client) == ([*READING, "explain_query"] if who == "root" else READING)
            listed = await hear(client, "list_tables")
            assert tuple(f"'{name}'" in listed for name in ("credentials", "audit_logs")) == shown[who]
            assert (SECRET in await hear(client, "query", sql="SELECT password FROM credentials")) is shown[who][0]
            assert ("not served here" in await hear(client, "query", sql="TABLE audit_logs")) is not shown[who][1]
            assert "Ada" in await hear(client, "query", sql="SELECT name FROM customers ORDER BY id")
    async with enter(roles, "nil", revision) as client:
        assert await tools_of(client) == []
        assert "has no role" in await hear(client, "query", sql="SELECT 1")


@in_both_eras
@scene
async def test_no_statement_tells_an_analyst_of_what_is_withheld(roles: str, revision: str) -> None:
    async with enter(roles, "ann", revision) as ann, enter(roles, "root", revision) as root:
        for sql in STATEMENTS:
            await hear(root, "query", sql=sql)  # whatever is kept of it is kept for whom it is
            said = (await hear(ann, "query", sql=sql)).replace(sql, "")
            assert SECRET not in said, sql
            assert "'rows': [[" not in said, (sql, said)
        assert "There is no table" in await hear(ann, "describe_table", table_name="credentials")
        assert SECRET in await hear(root, "query", sql=STATEMENTS[0])
