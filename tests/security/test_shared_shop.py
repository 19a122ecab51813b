"""The classical case over HTTP: an analyst, a developer, an admin and nobody in particular before one database."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from tests.security.shared_shop import SECRET, enter, hear, open_shop, tells
from tests.stage import scene

from mcp_kernel import Client
from mcp_kernel.client import ClientError, HttpRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

in_both_eras = pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with open_shop(tmp_path_factory.mktemp("shop")) as url:
        yield url


async def names_of(client: Client) -> list[str]:
    return [tool.name for tool in await client.list_tools()]


READING = ["query", "list_tables", "describe_table"]


@in_both_eras
@scene
async def test_each_role_has_its_tools_and_no_more(shop: str, revision: str) -> None:
    expected = {
        "ann": READING,
        "dev": [*READING, "insert_record"],
        "root": ["query", "list_tables", "describe_table", "explain_query", "insert_record"],
        "nil": list[str](),
    }
    for who, names in expected.items():
        async with enter(shop, who, revision) as client:
            assert await names_of(client) == names
            if who != "root":
                said = await hear(client, "explain_query", sql="SELECT 1")
                assert said == (await hear(client, "explain_quere", sql="SELECT 1")).replace("quere", "query")
    async with enter(shop, "nil", revision) as client:
        said = await hear(client, "query", sql="SELECT 1")
        assert "Unknown tool: query. key nil has no role on this server, and may do nothing: ask its operator" in said
        for listed in (client.list_resources, client.list_resource_templates, client.list_prompts):
            assert list(await listed()) == []


@in_both_eras
@scene
async def test_without_a_key_nobody_comes_in(shop: str, revision: str) -> None:
    with pytest.raises(ClientError) as caught:
        async with enter(shop, "eve", revision) as client:
            await client.list_tools()
    assert not isinstance(caught.value, HttpRefused) or caught.value.status == 401


@in_both_eras
@scene
async def test_honest_work_is_done(shop: str, revision: str) -> None:
    async with enter(shop, "ann", revision) as client:
        assert "Ada" in await hear(client, "query", sql="SELECT name FROM customers")
        assert "Oslo" in await hear(client, "query", sql="SELECT * FROM towns")
        assert "customers" in await hear(client, "list_tables")
        assert "city" in await hear(client, "describe_table", table_name="customers")
        joined = "SELECT total FROM orders o JOIN customers c ON c.id = o.id WHERE c.name = ?"
        assert "9.5" in await hear(client, "query", sql=joined, params=["Ada"])
    async with enter(shop, "dev", revision) as client:
        assert "Inserted into logs" in await hear(client, "insert_record", table="logs", data={"said": "hello"})
        assert SECRET in await hear(client, "query", sql="SELECT zz_actor FROM audit_logs")
    async with enter(shop, "root", revision) as client:
        assert SECRET in await hear(client, "query", sql="SELECT * FROM credentials")
        assert "Inserted" in await hear(client, "insert_record", table="customers", data={"name": "Cy"})
        assert SECRET in str(await client.read_resource("db://tables/credentials"))
        assert await client.list_prompts()


ATTACKS = [
    "SELECT * FROM credentials",
    "SELECT name FROM CREDENTIALS",
    "SELECT * FROM main.credentials",
    'SELECT * FROM "credentials"',
    "SELECT * FROM [credentials]",
    "SELECT * FROM /**/ `credentials` -- x",
    "SELECT * FROM audit_logs",
    "SELECT count(*) FROM credentials",
    "SELECT c.name FROM customers c JOIN credentials USING (name)",
    "SELECT name FROM customers NATURAL JOIN credentials",
    "SELECT city FROM customers NATURAL FULL JOIN audit_logs",
    "SELECT * FROM customers c LEFT JOIN credentials x ON x.id = c.id",
    "SELECT * FROM customers, credentials",
    "WITH c AS (SELECT * FROM credentials) SELECT * FROM c",
    "WITH c AS MATERIALIZED (TABLE credentials) SELECT * FROM c",
    "WITH customers AS (SELECT * FROM credentials) SELECT * FROM customers",
    "WITH RECURSIVE r(n) AS (SELECT zz_digest FROM credentials UNION SELECT n FROM r) SELECT * FROM r",
    "SELECT (SELECT zz_digest FROM credentials LIMIT 1)",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM credentials)",
    "SELECT name FROM customers UNION ALL SELECT zz_digest FROM credentials",
    "SELECT name FROM customers ORDER BY (SELECT zz_digest FROM credentials)",
    "SELECT name FROM customers LIMIT (SELECT count(*) FROM credentials)",
    "SELECT CASE WHEN (SELECT zz_digest FROM credentials) > 'h' THEN 1 END",
    "SELECT max(zz_digest) OVER () FROM credentials",
    "VALUES ((SELECT zz_digest FROM credentials))",
    "SELECT value FROM json_each((SELECT json_group_array(zz_digest) FROM credentials))",
    "SELECT * FROM passwords",
    "SELECT * FROM passwords_again",
    "SELECT * FROM actors",
    "SELECT * FROM letters",
    "SELECT * FROM letters WHERE letters MATCH 'hush*'",
    "EXPLAIN SELECT * FROM credentials",
    "EXPLAIN QUERY PLAN SELECT * FROM passwords",
    "SELECT * FROM customers INDEXED BY credentials_digest",
    "SELECT * FROM dbstat",
    "ATTACH 'shop.db' AS other",
    "SELECT * FROM credentials; SELECT 1",
    "INSERT INTO logs (said) SELECT zz_digest FROM credentials",
]
"""Each is refused."""

PEEPS = [
    "SELECT * FROM sqlite_master",
    "SELECT name, tbl_name, sql FROM sqlite_schema WHERE tbl_name = 'credentials'",
    "SELECT sql FROM main.sqlite_master WHERE sql LIKE '%digest%'",
    "SELECT * FROM pragma_table_info('credentials')",
    "SELECT * FROM pragma_table_list",
    "SELECT * FROM pragma_index_list('credentials')",
    "SELECT * FROM pragma_index_xinfo('credentials_digest')",
    "SELECT * FROM pragma_foreign_key_list('orders')",
    "SELECT m.name, i.name FROM sqlite_master m, pragma_table_xinfo(m.name) i",
    "PRAGMA table_info(credentials)",
    "PRAGMA index_list(credentials)",
    "PRAGMA table_list",
    "PRAGMA foreign_key_list(orders)",
    "PRAGMA foreign_key_check",
    "SELECT * FROM sqlite_stat1",
    "SELECT * FROM sqlite_sequence",
]
"""Each may be answered, and says nothing."""


@in_both_eras
@scene
async def test_no_statement_reads_what_the_analyst_may_not_see(shop: str, revision: str) -> None:
    async with enter(shop, "ann", revision) as client:
        for sql in ATTACKS:
            said = await hear(client, "query", sql=sql)
            assert "'isError': True" in said, (sql, said)
            assert not tells(said.replace(sql, "")), (sql, said)


@in_both_eras
@scene
async def test_no_catalog_tells_of_what_the_analyst_may_not_see(shop: str, revision: str) -> None:
    async with enter(shop, "ann", revision) as client:
        for sql in PEEPS:
            said = (await hear(client, "query", sql=sql)).replace(sql, "")
            assert not tells(said), (sql, said)
            assert "credentials" not in said, (sql, said)
            assert "passwords" not in said, (sql, said)
        for arguments in ({}, {"pattern": "*"}, {"pattern": "cred"}, {"pattern": "a*"}):
            said = await hear(client, "list_tables", **arguments)
            assert not any(name in said for name in ("credentials", "audit_logs", "passwords", "actors", "letters"))
        for name in ("credentials", "CREDENTIALS", "main.credentials", "passwords", "credentials_digest", "letters"):
            said = await hear(client, "describe_table", table_name=name)
            assert "There is no table" in said
            assert not any(
                word in said.replace(name, "") for word in ("credentials", "audit_logs", "passwords", "letters")
            )
        assert "credentials" not in await hear(client, "describe_table", table_name="orders")


@in_both_eras
@scene
async def test_what_is_no_tool_is_no_way_round_either(shop: str, revision: str) -> None:
    async with enter(shop, "ann", revision) as client:
        for uri in ("db://tables/credentials", "db://tables/customers", "db://schema", "db://nothing"):
            with pytest.raises(ClientError, match="Resource not found"):
                await client.read_resource(uri)
        with pytest.raises(ClientError, match="Unknown prompt"):
            await client.get_prompt("write-query", {"question": "x"})
        assert "Unknown tool" in await hear(client, "insert_record", table="logs", data={"said": "x"})


@in_both_eras
@scene
async def test_resources_and_completion_know_nothing_of_denied_tables(shop: str, revision: str) -> None:
    async with enter(shop, "web", revision) as client:
        assert [each.uri for each in await client.list_resources() if "orders" in each.uri] == ["db://tables/orders"]
        assert not tells(str(await client.list_resources()))
        whole = str(await client.read_resource("db://schema"))
        assert "customers" in whole
        for word in ("credentials", "audit_logs", "passwords", "letters"):
            assert word not in whole, word
        for name in ("credentials", "%63redentials", "audit_logs", "passwords", "..%2Fcredentials"):
            for uri in (f"db://tables/{name}", f"db://tables/{name}/schema"):
                with pytest.raises(ClientError, match="Resource not found"):
                    await client.read_resource(uri)
        (template, *_) = await client.list_resource_templates()
        assert (await client.complete(template, "table", "c")).values == ["customers"]
        prompt = next(each for each in await client.list_prompts() if each.name == "analyze-table")
        assert (await client.complete(prompt, "table_name", "")).values == sorted(
            ["customers", "events", "logs", "metrics", "orders", "towns"]
        )


@in_both_eras
@scene
async def test_the_developer_inserts_where_he_may(shop: str, revision: str) -> None:
    async with enter(shop, "dev", revision) as client:
        for table in ("customers", "credentials", "LOGS", "main.logs", 'logs"', "orders", "", "absent"):
            said = await hear(client, "insert_record", table=table, data={"id": 99})
            assert "table may only be" in said, (table, said)
        assert "Inserted" in await hear(client, "insert_record", table="metrics", data={"value": 1.5})
        for sql in (
            "SELECT * FROM credentials",
            "SELECT * FROM passwords",
            "SELECT * FROM orders NATURAL JOIN letters",
        ):
            assert not tells(await hear(client, "query", sql=sql))
    async with enter(shop, "root", revision) as client:
        assert "[[0]]" in await hear(client, "query", sql="SELECT count(*) FROM customers WHERE id = 99")


@in_both_eras
@scene
async def test_answers_of_one_are_not_given_to_another(shop: str, revision: str) -> None:
    sql = "SELECT name FROM credentials ORDER BY 1"
    for _ in range(2):
        async with enter(shop, "root", revision) as client:
            assert "Ada" in await hear(client, "query", sql=sql)
        async with enter(shop, "ann", revision) as client:
            assert "Ada" not in await hear(client, "query", sql=sql)


@in_both_eras
@scene
async def test_a_key_of_one_is_not_anothers(shop: str, revision: str) -> None:
    """Keys that models make are no secrets: `1`, `log-2026-07-28`."""
    key = f"log {revision}"

    async def insert(who: str, said: str) -> dict[str, object]:
        async with enter(shop, who, revision) as client:
            data = {"table": "logs", "data": {"said": said}, "idempotency_key": key}
            result = await client.call_tool("insert_record", data)
            return cast("dict[str, object]", result.structured)

    first = await insert("root", "one row")
    same, other = await insert("dev", "one row"), await insert("root", "one row")
    assert (first["replayed"], same["replayed"], other["replayed"]) == (False, False, True)
    assert same["rowid"] != first["rowid"] == other["rowid"]
