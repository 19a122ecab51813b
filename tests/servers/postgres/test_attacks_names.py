"""Names that mean something else: impostors in the search path, and names in every place that takes one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.servers.postgres.conftest import SECRET, command
from tests.servers.postgres.siege import BOSS, FIT, FREE, STRICT, Attacker, Fortress, on_every_front

IMPOSTORS = [
    "lower(name) RETURNS text",
    "lower(text) RETURNS text",
    "unnest(oid[]) RETURNS SETOF oid",
    "unnest(regproc[]) RETURNS SETOF oid",
    "unnest(smallint[]) RETURNS SETOF smallint",
    "concat(text, text) RETURNS text",
    "format(text, name, name) RETURNS text",
    "current_setting(text) RETURNS text",
    "set_config(text, text, boolean) RETURNS text",
    "current_schemas(boolean) RETURNS name[]",
    "format_type(oid, integer) RETURNS text",
    "obj_description(oid, name) RETURNS text",
    "has_table_privilege(oid, text) RETURNS boolean",
    "pg_get_viewdef(oid, boolean) RETURNS text",
    "octet_length(text) RETURNS integer",
    "substring(text, integer, integer) RETURNS text",
    "array_position(smallint[], smallint) RETURNS integer",
]
OPERATORS = [
    ("||", "bigint", "text", "text"),
    ("||", "name", "text", "text"),
    ("||", "oid", "text", "text"),
    ("=", "oid", "oid", "boolean"),
    ("=", "name", "text", "boolean"),
    ("=", "name", "name", "boolean"),
    ("<>", "name", "name", "boolean"),
    ("<>", "oid", "oid", "boolean"),
    ("!~", "name", "text", "boolean"),
    (">", "integer", "integer", "boolean"),
]


def write_impostors() -> list[str]:
    """A schema in which the functions and operators of the server's own queries have doubles that cry out."""
    cry = "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hijacked'; END$$"
    written = ["CREATE SCHEMA impostors", "GRANT USAGE ON SCHEMA impostors TO PUBLIC"]
    written += [f"CREATE FUNCTION impostors.{each} {cry}" for each in IMPOSTORS]
    for number, (sign, left, right, result) in enumerate(OPERATORS):
        written.append(f"CREATE FUNCTION impostors.o{number}({left}, {right}) RETURNS {result} {cry}")
        written.append(
            f"CREATE OPERATOR impostors.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = impostors.o{number})"
        )
    written.append("CREATE AGGREGATE impostors.array_agg (oid) (SFUNC = array_append, STYPE = oid[])")
    return written


@pytest.fixture(params=["public, impostors", "impostors, public, pg_catalog"], ids=["behind", "before"])
def haunted(fortress: Fortress, request: pytest.FixtureRequest) -> Iterator[Fortress]:
    """The fortress while the roles look into the schema with the impostors."""
    admin, database = fortress.shop.superuser, fortress.shop.database
    roles = ("mcp_reader", "postgres")
    command(admin, *write_impostors())
    command(admin, *(f"ALTER ROLE {role} IN DATABASE {database} SET search_path = {request.param}" for role in roles))
    yield fortress
    command(admin, *(f"ALTER ROLE {role} IN DATABASE {database} RESET search_path" for role in roles))
    command(admin, "SET search_path = pg_catalog", "DROP SCHEMA impostors CASCADE")


@pytest.mark.parametrize("role", [FIT, BOSS])
def test_an_impostor_in_the_search_path_is_never_called(haunted: Fortress, role: str) -> None:
    with haunted.start(role, STRICT) as host:
        attacker = Attacker(haunted, host, "legacy")
        assert "not served" in attacker.refused("SELECT login FROM public.credentials")
        assert "masked" in attacker.refused("SELECT ssn FROM public.customers")
        assert "pg_advisory_lock" in attacker.refused("SELECT public.lock_all(id) FROM public.customers")
        for sql in ("SELECT count(*) FROM public.customers", "SELECT public.mood 'ok', repeat('x', 200)"):
            assert attacker.ask(sql)[0], attacker.ask(sql)
            assert attacker.ask(sql)[0], "the second time, from memory"
        listed = attacker.call("list_tables")[1]
        assert "customers" in listed
        assert "credentials" not in listed
        for table in ("customers", "events", "sales.orders"):
            assert attacker.call("describe_table", table_name=table)[0]
        assert "CREATE TABLE customers" in attacker.wire.read("db://schema")
        assert "hijacked" not in attacker.said()
        assert SECRET not in attacker.said()


def test_but_who_asks_for_one_gets_it(haunted: Fortress) -> None:
    """The counterpart: the caller's own names are looked for where the role looks."""
    with haunted.start(FIT, FREE) as host:
        assert "hijacked" in Attacker(haunted, host, "legacy").refused("SELECT impostors.lower('A'::text)")


NAMES = [
    "credentials",
    "public.credentials",
    '"credentials"',
    "CREDENTIALS",
    "Credentials",
    "credentials ",
    "credentials\u0000",
    "credentials--",
    "customers; SELECT password FROM credentials",
    "customers' UNION SELECT password FROM credentials --",
    'customers" UNION SELECT password FROM credentials --',
    "(SELECT password FROM credentials) x",
    "customers, credentials",
    "customers.credentials",
    "shop.public.credentials",
    "pg_temp.customers",
    "../credentials",
    "%63redentials",
    "credentials%00",
    "$1",
    "%s",
    "{table}",
    "logins",
    "stored_logins",
    "hidden.untold",
    "x" * 20000,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@on_every_front
def test_no_place_for_a_name_gives_a_denied_table_away(fortress: Fortress, role: str, era: str, name: str) -> None:
    if name == "hidden.untold" and role == BOSS:
        pytest.skip("a superuser may read every schema")
    attacker = fortress.attacker(role, era, STRICT)
    wire = attacker.wire
    assert not attacker.call("describe_table", table_name=name)[0]
    assert not attacker.call("describe_table", table_name=name, schema="public")[0]
    attacker.call("list_tables", pattern=name[:100])
    attacker.call("list_tables", schema=name[:100])
    (familiar,) = [
        each["uriTemplate"]
        for each in wire.request("resources/templates/list")["resourceTemplates"]
        if each["uriTemplate"].startswith("postgres:")
    ]
    for uri in (f"db://tables/{name}", f"db://tables/{name}/schema", familiar.replace("{table}", name)):
        assert wire.error("resources/read", uri=uri)["code"] in (-32002, -32602)
    assert name not in wire.complete("table_name", name[:100], type="ref/prompt", name="analyze-table")
    assert wire.complete("table", name[:100], type="ref/resource", uri="db://tables/{table}") in ([], [name])
    attacker.leave(SECRET)


@on_every_front
def test_names_that_are_served_are_found_in_every_place(fortress: Fortress, role: str, era: str) -> None:
    attacker = fortress.attacker(role, era, STRICT)
    for name in ("customers", "public.customers", "CUSTOMERS"):
        assert attacker.call("describe_table", table_name=name)[0]
    for uri in ("db://tables/customers", "db://tables/public.customers", "db://tables/customers/schema"):
        assert "name" in attacker.wire.read(uri)
    assert attacker.wire.complete("table_name", "CUST", type="ref/prompt", name="analyze-table") == ["customers"]
    attacker.leave(SECRET)


@on_every_front
def test_a_prompt_s_argument_is_words_and_runs_nothing(fortress: Fortress, role: str, era: str) -> None:
    attacker = fortress.attacker(role, era, STRICT)
    for argument in ("x'; DROP TABLE customers; --", "credentials", "pg_sleep(9)"):
        said = attacker.wire.request("prompts/get", name="analyze-table", arguments={"table_name": argument})
        assert argument in json.dumps(said)
        attacker.wire.request("prompts/get", name="write-query", arguments={"question": argument})
    attacker.leave(SECRET)


def test_names_are_withheld_whatever_their_letters(fortress: Fortress) -> None:
    """The database folds ASCII alone where its locale is C; a view of the table is withheld with it."""
    admin = fortress.shop.superuser
    command(admin, 'CREATE TABLE "Ärzte" (name text)', 'CREATE VIEW "über" AS SELECT name FROM "Ärzte"')
    try:
        with fortress.start(BOSS, ("--deny-table", "ärzte")) as host:
            attacker = Attacker(fortress, host, "legacy")
            assert "über" not in attacker.call("list_tables")[1]
            assert "not served" in attacker.refused('SELECT * FROM "über"')
        with fortress.start(BOSS, FREE) as host:
            assert "über" in Attacker(fortress, host, "legacy").call("list_tables")[1]
    finally:
        command(admin, 'DROP TABLE "Ärzte" CASCADE')
