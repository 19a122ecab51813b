"""What there is: tables of every schema that the role can read, and all there is to know of one."""

from __future__ import annotations

import pytest
from tests.servers.postgres.conftest import Desk, Opener, Shop, command

from mcp_server_postgres.catalog import TableSummary
from mcp_server_postgres.describing import TableDescription
from mcp_server_postgres.refusals import Refusal, UnknownTable


def tables(desk: Desk, schema: str | None = None, pattern: str | None = None) -> dict[str, TableSummary]:
    return {f"{each.schema}.{each.name}": each for each in desk.run(desk.database.list_tables(schema, pattern))}


def describe(desk: Desk, table: str, schema: str | None = None) -> TableDescription:
    return desk.run(desk.database.describe_table(table, schema))


def test_tables_of_all_schemas_are_listed_with_estimates_and_comments(reader: Desk) -> None:
    found = tables(reader)
    assert found["public.customers"].comment == "People who buy"
    assert found["public.big"].row_count == 30000
    assert found["sales.orders"].label == "sales.orders"
    assert found["public.customers"].label == "customers"
    kinds = {
        found[f"public.{name}"].kind for name in ("customers", "contacts", "stored_logins", "events", "events_2024")
    }
    assert kinds == {"table", "view", "materialized view", "partitioned table", "partition"}


def test_what_the_role_cannot_see_is_not_listed(reader: Desk) -> None:
    assert not [name for name in tables(reader) if name.startswith(("hidden.", "pg_", "information_schema."))]
    with pytest.raises(UnknownTable):
        describe(reader, "untold", "hidden")


def test_the_list_is_narrowed_by_schema_and_pattern(reader: Desk) -> None:
    assert set(tables(reader, "sales")) == {"sales.orders"}
    assert set(tables(reader, None, "event*")) == {"public.events", "public.events_2023", "public.events_2024"}
    assert set(tables(reader, None, "%ORDER%")) == {"sales.orders"}
    assert set(tables(reader, None, "spend")) == {"public.spending"}
    with pytest.raises(Refusal, match="public, sales"):
        tables(reader, "purchases")


def test_a_table_is_described_with_its_columns_and_keys(reader: Desk) -> None:
    table = describe(reader, "customers")
    assert [column.name for column in table.columns] == ["id", "name", "city", "ssn", "tag", "label"]
    assert (table.primary_key, table.unique_keys) == (["id"], [["name", "city"], ["id"]])
    by_name = {column.name: column for column in table.columns}
    assert not by_name["name"].nullable
    assert by_name["tag"].generated == "stored"
    assert by_name["ssn"].comment == "A number that nobody needs"
    assert [(key.table, key.columns, key.on_delete) for key in table.referenced_by] == [
        ("credentials", ["id"], "NO ACTION"),
        ("sales.orders", ["customer_id"], "CASCADE"),
    ]


def test_a_table_of_another_schema_is_found_with_it_or_without(reader: Desk) -> None:
    for table in (describe(reader, "sales.orders"), describe(reader, "orders", "sales"), describe(reader, "ORDERS")):
        assert (table.schema, table.name) == ("sales", "orders")
    table = describe(reader, "orders")
    (index,) = [each for each in table.indexes if each.name == "orders_total"]
    assert (index.columns, index.partial, index.origin) == (["total"], True, "index")
    assert [column.identity for column in table.columns][:2] == ["always", None]
    assert "CHECK ((total >= (0)::numeric))" in [each.definition for each in table.constraints]
    assert [key.references for key in table.foreign_keys] == ["customers"]


def test_partitions_inheritance_and_row_security_are_described(reader: Desk) -> None:
    events = describe(reader, "events")
    assert events.partition_key == "RANGE (happened)"
    assert [each.name for each in events.partitions] == ["events_2023", "events_2024"]
    assert "2023-01-01" in str(events.partitions[0].bound)
    assert describe(reader, "events_2023").partition_of == "events"
    assert [each.name for each in describe(reader, "people").partitions] == ["managers"]
    others = describe(reader, "rows_of_others")
    assert others.row_security
    assert [(each.name, each.command, each.roles) for each in others.policies] == [("own", "select", ["public"])]


def test_the_ddl_makes_the_same_table_again(reader: Desk, shop: Shop) -> None:
    for name in ("customers", "sales.orders", "contacts", "events", "rows_of_others"):
        ddl = reader.run(reader.database.schema_ddl(name))
        assert name.rpartition(".")[2] in ddl
        again = ddl.replace("CREATE TABLE sales.", "CREATE TABLE ").replace("ON sales.", "ON ")
        again = again.replace('"sales"."orders"', "orders").replace(
            "REFERENCES customers", "REFERENCES public.customers"
        )
        command(
            shop.superuser,
            f"CREATE SCHEMA again; SET search_path = again, public; {again}",
            "DROP SCHEMA again CASCADE",
        )
    assert "CREATE VIEW contacts" in reader.run(reader.database.schema_ddl())


def test_an_unknown_table_is_refused_with_the_nearest(reader: Desk) -> None:
    with pytest.raises(UnknownTable, match="customers"):
        describe(reader, "costumers")
    with pytest.raises(UnknownTable, match="list_tables"):
        describe(reader, "'; DROP TABLE customers; --")


def test_names_that_need_quotes_are_served(desk: Opener, shop: Shop) -> None:
    command(shop.superuser, 'CREATE TABLE "Odd.Name" ("a""b" int, "select" int); GRANT SELECT ON "Odd.Name" TO PUBLIC')
    try:
        odd = desk()
        assert [column.name for column in describe(odd, "Odd.Name").columns] == ['a"b', "select"]
        assert odd.run(odd.database.sample_rows("Odd.Name")).rows == []
        assert '"Odd.Name"' in odd.run(odd.database.schema_ddl("Odd.Name"))
    finally:
        command(shop.superuser, 'DROP TABLE "Odd.Name"')


def test_a_sample_is_the_first_rows(reader: Desk) -> None:
    sample = reader.run(reader.database.sample_rows("big"))
    assert (sample.row_count, sample.truncated) == (20, True)


def test_a_change_of_the_schema_changes_its_mark(reader: Desk, shop: Shop) -> None:
    mark = reader.run(reader.database.schema_mark())
    assert reader.run(reader.database.schema_mark()) == mark
    seen = {mark}
    for sql in (
        "CREATE TABLE brief (a int)",
        "ALTER TABLE brief ADD b int",
        "COMMENT ON TABLE brief IS 'x'",
        "DROP TABLE brief",
    ):
        command(shop.superuser, sql)
        seen.add(reader.run(reader.database.schema_mark()))
    assert len(seen) >= 4
