"""Row-level security for the person behind the token: a role, and settings that policies read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.servers.postgres.conftest import PASSWORD, Desk, Opener, Shop, command
from tests.stage import Connect, scene, text_of

from mcp_kernel.auth.policy import Pattern, Policy, Role
from mcp_kernel.server.access import Authorization
from mcp_kernel.server.principal import Principal
from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_postgres.database import Database
from mcp_server_postgres.identity import Identity
from mcp_server_postgres.refusals import Refusal
from mcp_server_postgres.server import build
from mcp_server_postgres.server_identity import Claims
from mcp_server_postgres.target import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp_kernel import Server

OWN = "person_"
SQL = "SELECT owner, said FROM told ORDER BY 1"
DOOR = f"""
CREATE ROLE {OWN}door LOGIN NOINHERIT PASSWORD '{PASSWORD}';
CREATE ROLE {OWN}ann; CREATE ROLE {OWN}bob; CREATE ROLE {OWN}eve; CREATE ROLE "{OWN}Ann's role";
GRANT {OWN}ann, {OWN}bob, "{OWN}Ann's role" TO {OWN}door;
GRANT CONNECT, TEMPORARY ON DATABASE {{database}} TO {OWN}door, {OWN}ann, {OWN}bob;
CREATE TABLE told (owner text, said text, desk text);
INSERT INTO told VALUES ('{OWN}ann', 'hers', 'north'), ('{OWN}bob', 'his', 'south');
CREATE TABLE lists (owner text, said text);
INSERT INTO lists VALUES ('{OWN}ann', 'north'), ('{OWN}bob', 'south');
ALTER TABLE told ENABLE ROW LEVEL SECURITY;
ALTER TABLE lists ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON told FOR SELECT USING (owner = current_user);
CREATE POLICY sits ON lists FOR SELECT USING (said = current_setting('app.desk', true));
CREATE SCHEMA {OWN}ann; CREATE TABLE {OWN}ann.mine (said text); INSERT INTO {OWN}ann.mine VALUES ('of ann');
CREATE SCHEMA {OWN}bob; CREATE TABLE {OWN}bob.mine (said text); INSERT INTO {OWN}bob.mine VALUES ('of bob');
GRANT USAGE ON SCHEMA {OWN}ann TO {OWN}ann; GRANT SELECT ON {OWN}ann.mine TO {OWN}ann;
GRANT USAGE ON SCHEMA {OWN}bob TO {OWN}bob; GRANT SELECT ON {OWN}bob.mine TO {OWN}bob;
GRANT SELECT ON told TO {OWN}ann, {OWN}bob; GRANT SELECT ON lists TO {OWN}door, {OWN}ann, {OWN}bob;
"""
LEAVE = f"""
DROP TABLE told, lists; DROP SCHEMA {OWN}ann CASCADE; DROP SCHEMA {OWN}bob CASCADE;
REVOKE ALL ON DATABASE {{database}} FROM {OWN}door, {OWN}ann, {OWN}bob;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {OWN}door, {OWN}ann, {OWN}bob;
DROP ROLE {OWN}door, {OWN}ann, {OWN}bob, {OWN}eve, "{OWN}Ann's role";
"""


@pytest.fixture(scope="module")
def door(shop: Shop) -> Iterator[str]:
    """The DSN of a role that may read nothing itself but can become somebody who may."""
    command(shop.superuser, DOOR.format(database=shop.database))
    yield shop.url(f"{OWN}door")
    command(shop.superuser, LEAVE.format(database=shop.database))


class As:
    """One database, asked for several people on the same connections."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __call__(self, role: str | None, *denied: str, **settings: str) -> Desk:
        given = tuple((f"app.{name}", value) for name, value in settings.items())
        identity = Identity(None if role is None else f"{OWN}{role}", given)
        return Desk(self._desk.database.narrowed(frozenset(denied), identity), self._desk.runner)


@pytest.fixture
def act(desk: Opener, door: str) -> As:
    return As(desk(None, door))


def test_each_sees_the_rows_of_his_role(act: As) -> None:
    for _ in range(2):  # afresh, and from what is kept of the statement
        assert act("ann").query(SQL) == [["person_ann", "hers"]]
        assert act("bob").query(SQL) == [["person_bob", "his"]]
    assert "told" in act(None).refusal(SQL)  # the server's own role may read nothing, and is itself again


def test_each_sees_the_rows_of_his_setting(act: As) -> None:
    sql = "SELECT owner FROM lists"
    assert act(None, desk="north").query(sql) == [["person_ann"]]
    assert act("bob", desk="south").query(sql) == [["person_bob"]]
    assert act(None).query(sql) == []
    assert act(None, desk="north' OR 'a' = 'a").query(sql) == []
    assert act(None, desk="south").one("SELECT current_setting('app.desk')") == "south"


def test_a_name_without_a_schema_is_what_it_is_for_the_role(act: As) -> None:
    for _ in range(2):
        assert act("ann").one("SELECT said FROM mine") == "of ann"
        assert act("bob").one("SELECT said FROM mine") == "of bob"
    assert "not served here" in act("ann", f"{OWN}ann.mine").refusal("SELECT said FROM mine")
    assert act("bob", f"{OWN}ann.mine").one("SELECT said FROM mine") == "of bob"
    assert "not served here" in act("ann", f"{OWN}ann.mine").refusal("SELECT said FROM mine")  # though it is kept now


@pytest.mark.parametrize("role", ["eve", "nobody", 'ann"; RESET ROLE; --', "ANN", ""])
def test_a_role_that_the_servers_is_no_member_of_is_refused(act: As, role: str) -> None:
    assert "does not let this server act" in act(role).refusal(SQL)


@pytest.mark.parametrize("name", ["none", "NONE", ""])
def test_what_would_mean_the_servers_own_role_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="is no role"):
        Identity(name).check()


def test_a_role_with_a_quote_in_its_name_is_that_role(act: As) -> None:
    assert "permission denied" in act("Ann's role").refusal(SQL)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT set_config('role', 'person_bob', true), * FROM told",
        "SELECT set_config('app.desk', 'south', true), * FROM lists",
        "RESET ROLE",
        "SET ROLE person_bob",
        "SELECT 1; RESET ROLE",
        "SET SESSION AUTHORIZATION DEFAULT",
        "WITH s AS MATERIALIZED (SELECT set_config('role', 'none', true)) SELECT * FROM s, told",
        "SELECT * FROM pg_settings, LATERAL set_config(name, 'none', true) WHERE name = 'role'",
    ],
)
def test_nobody_becomes_another_by_his_sql(act: As, sql: str) -> None:
    person = act("ann", desk="north")
    said = person.refusal(sql)
    assert any(each in said for each in ("Refused", "can be run here", "One statement per call"))
    assert person.query(SQL) == [["person_ann", "hers"]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM told",
        "SELECT count(*) FROM public.told",
        "SELECT * FROM lists JOIN told USING (owner)",
        "WITH t AS (SELECT said FROM told) SELECT * FROM t",
        "SELECT (SELECT max(said) FROM told)",
        "EXPLAIN SELECT * FROM told",
        "SELECT * FROM lists WHERE EXISTS (TABLE told)",
    ],
)
def test_a_denied_table_is_not_there_whatever_the_role_may(act: As, sql: str) -> None:
    assert "not served here" in act("ann", "told").refusal(sql)
    assert act("ann").query("SELECT said FROM told") == [["hers"]]  # the sets do not share what is kept


def test_a_denied_table_stands_in_no_list(act: As) -> None:
    person = act("ann", "told")
    names = person.run(person.database.table_names())  # other tests leave tables here
    assert "told" not in names
    assert {"lists", f"{OWN}ann.mine"} <= set(names)
    assert "told" not in person.run(person.database.schema_ddl())
    with pytest.raises(Refusal, match="no table 'told'"):
        person.run(person.database.describe_table("told"))
    everything = act("ann")
    assert "told" in everything.run(everything.database.table_names())


@asynccontextmanager
async def serve(door: str, claims: Claims) -> AsyncGenerator[Server]:
    database = Database(Target(Dsn(door)))
    server = build(database, claims)
    allowed: Any = {"tools": (Pattern("query"),), "resources": (Pattern("*"),)}
    policy = Policy([Role("all", allowed), Role("some", allowed, frozenset({"lists"}))])
    server.use([Authorization()])
    server.govern(policy)
    try:
        yield server
    finally:
        await server.close()


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@scene
async def test_the_token_says_whose_rows_are_read(connect: Connect, door: str, revision: str) -> None:
    claims = Claims("db_role", (("app.desk", "desk"), ("app.number", "number")))
    said = {"db_role": f"{OWN}ann", "desk": "north", "number": 7}
    async with serve(door, claims) as server:
        async with connect(server, revision, principal=Principal("ann", ("all",), claims=said)) as client:
            shown = await client.call_tool("query", {"sql": "SELECT said, current_setting('app.number') FROM told"})
            assert cast("dict[str, object]", shown["structuredContent"])["rows"] == [["hers", "7"]]
            shown = await client.call("resources/read", {"uri": "db://tables/lists"})
            assert "north" in str(shown)
            assert "south" not in str(shown)
        async with connect(server, revision, principal=Principal("bob", ("some",), claims=said)) as client:
            assert "lists" not in str(await client.call("resources/list"))
            refused = await client.call_tool("query", {"sql": "SELECT * FROM lists"})
            assert "not served here" in text_of(refused)


@pytest.mark.parametrize(
    "said", [{}, {"db_role": ["person_ann"]}, {"db_role": True}, {"db_role": None}, {"db_role": "x" * 2000}]
)
@scene
async def test_a_token_without_the_claim_is_refused(connect: Connect, door: str, said: dict[str, Any]) -> None:
    async with serve(door, Claims("db_role")) as server:
        async with connect(server, principal=Principal("ann", ("all",), claims=said)) as client:
            assert "db_role" in text_of(await client.call_tool("query", {"sql": "SELECT 1"}))
            assert "resources" in await client.call("resources/list")
        server.use([])
        server.govern(None)
        async with connect(server) as client:
            assert "token" in text_of(await client.call_tool("query", {"sql": "SELECT 1"}))
