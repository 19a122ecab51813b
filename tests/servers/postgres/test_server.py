"""The PostgreSQL server over real stdio: every tool, resource, prompt and completion, in both eras."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from tests.servers.postgres.conftest import PASSWORD, SECRET, Shop, command
from tests.servers.sqlite.desk import Desk
from tests.transports.host import META, Host, notification, until

SERVER = [sys.executable, "-m", "mcp_server_postgres"]
ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b"
eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@pytest.fixture(scope="module")
def host(shop: Shop) -> Iterator[Host]:
    with Host([*SERVER, shop.url(), "--query-timeout", "5"]) as host:
        yield host.open()


@pytest.fixture(params=["legacy", "modern"])
def desk(host: Host, request: pytest.FixtureRequest) -> Desk:  # pyright: ignore[reportIncompatibleVariableOverride]  # over the wire here
    return Desk(host, request.param)


def test_the_tools_are_listed_with_hints_and_schemas(desk: Desk) -> None:
    tools = {tool["name"]: tool for tool in desk.request("tools/list")["tools"]}
    assert list(tools) == ["query", "list_tables", "describe_table", "explain_query"]
    for tool in tools.values():
        assert tool["annotations"].keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert tool["annotations"]["readOnlyHint"] is True
        assert tool["outputSchema"]["type"] == "object"
    assert list(tools["query"]["inputSchema"]["properties"]) == ["sql", "params", "limit"]


def test_every_tool_answers_with_data_and_a_text(desk: Desk) -> None:
    result = desk.call("query", sql="SELECT id, name FROM customers WHERE id < $1 ORDER BY id", params=[3])
    assert result["structuredContent"]["rows"] == [[1, "Ada"], [2, "Bob"]]
    assert "Ada" in result["content"][0]["text"]
    listed = desk.call("list_tables", schema="sales")["structuredContent"]["tables"]
    assert [(table["name"], table["schema"], table["row_count"]) for table in listed] == [("orders", "sales", 40)]
    described = desk.call("describe_table", table_name="customers")
    assert described["structuredContent"]["comment"] == "People who buy"
    assert "referenced by: credentials" in described["content"][0]["text"]
    plan = desk.call("explain_query", sql="SELECT * FROM customers", analyze=True)["structuredContent"]
    assert plan["row_count"] == 3
    assert plan["total_cost"] > 0


def test_resources_are_listed_read_and_refused(desk: Desk, shop: Shop) -> None:
    uris = {resource["uri"] for resource in desk.request("resources/list")["resources"]}
    assert uris >= {"db://schema", "db://tables/customers", "db://tables/sales.orders"}
    templates = [each["uriTemplate"] for each in desk.request("resources/templates/list")["resourceTemplates"]]
    assert templates[:2] == ["db://tables/{table}", "db://tables/{table}/schema"]
    familiar = templates[2]
    assert familiar.startswith("postgres://127.0.0.1")
    assert shop.database in familiar
    assert "CREATE TABLE customers" in desk.read("db://schema")
    assert "CREATE TABLE" in desk.read("db://tables/sales.orders/schema")
    assert "Ada" in desk.read("db://tables/customers")
    columns = json.loads(desk.read(familiar.replace("{table}", "customers")))
    assert columns[0] == {"column_name": "id", "data_type": "integer"}
    for uri in ("db://tables/zeitung", familiar.replace("{table}", "zeitung"), "db://nothing"):
        assert desk.error("resources/read", uri=uri)["code"] in (-32002, -32602)


def test_names_of_tables_are_completed(desk: Desk) -> None:
    assert desk.complete("table_name", "CUST", type="ref/prompt", name="analyze-table") == ["customers"]
    assert desk.complete("table", "sal", type="ref/resource", uri="db://tables/{table}") == ["sales.orders"]


def test_prompts_speak_of_this_engine(desk: Desk) -> None:
    (message,) = desk.request("prompts/get", name="write-query", arguments={"question": "How many?"})["messages"]
    assert "PostgreSQL's dialect" in message["content"]["text"]


def test_wrong_arguments_are_told_field_by_field(desk: Desk) -> None:
    assert "sql" in desk.refusal("query")
    assert "limit" in desk.refusal("query", sql="SELECT 1", limit=0)
    assert "params" in desk.refusal("query", sql="SELECT 1", params={"a": 1})


def test_what_is_refused_is_told_to_the_model(desk: Desk) -> None:
    assert "Nothing can be changed" in desk.refusal("query", sql="DROP TABLE customers")
    assert "pg_sleep" in desk.refusal("query", sql="SELECT pg_sleep(9)")


def test_an_answer_stays_under_the_limit_of_bytes(desk: Desk) -> None:
    wide = desk.call("query", sql="SELECT repeat('x', 30000) FROM big", limit=100)
    assert wide["structuredContent"]["truncated"] is True
    assert len(json.dumps(wide)) < 250_000


def running(shop: Shop) -> str:
    """Asks how many of the server's statements the database works on."""
    return (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%' "
        f"AND application_name = 'mcp-server-postgres' AND datname = '{shop.database}'"
    )


def test_a_query_that_its_client_cancels_stops_in_the_database(desk: Desk, shop: Shop) -> None:
    sql = running(shop)
    identifier = desk.ask("tools/call", name="query", arguments={"sql": ENDLESS})
    until(lambda: command(shop.superuser, sql) == [(1,)])
    desk.host.send(notification("notifications/cancelled", requestId=identifier))
    until(lambda: command(shop.superuser, sql) == [(0,)])
    assert desk.query("SELECT 1")["rows"] == [[1]]


def test_the_input_may_end_while_a_query_runs(shop: Shop) -> None:
    sql = running(shop)
    with Host([*SERVER, shop.url()]) as host:
        Desk(host.open(), "legacy").ask("tools/call", name="query", arguments={"sql": ENDLESS})
        until(lambda: command(shop.superuser, sql) == [(1,)])
        host.hang_up()
        assert host.wait(4) == 0
    until(lambda: command(shop.superuser, sql) == [(0,)])


@eras
def test_a_subscriber_hears_of_a_change_of_the_schema(shop: Shop, host: Host, era: str) -> None:
    uri = "db://schema"
    if era == "legacy":
        host.request("resources/subscribe", uri=uri)
    else:
        host.ask("subscriptions/listen", notifications={"resourceSubscriptions": [uri]}, _meta=META)
        host.hear(lambda message: message.get("method", "").endswith("acknowledged"))
    number = iter(range(1000))

    def changed() -> bool:
        command(shop.superuser, f"COMMENT ON TABLE people IS 'number {era}{next(number)}'")
        return host.has_line(0.3)

    until(changed, 9)
    heard = host.hear(lambda message: message.get("params", {}).get("uri") == uri)
    assert heard["method"] == "notifications/resources/updated"
    if era == "legacy":
        host.request("resources/unsubscribe", uri=uri)


# --- what is withheld ---

HIDDEN = ("credentials", "logins")


@eras
def test_a_denied_table_s_name_stands_in_no_output(shop: Shop, era: str) -> None:
    with Host([*SERVER, shop.url(), "--deny-table", "credentials", "--mask-column", "customers.ssn"]) as host:
        desk = Desk(host.open(), era)
        for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
            desk.request(method)
        for uri in ("db://schema", "db://tables/customers", "db://tables/customers/schema"):
            desk.read(uri)
        desk.call("list_tables")
        for table in ("customers", "credential", "people"):
            desk.call("describe_table", table_name=table)
        for sql in ("SELECT * FROM stored_login", "SELECT * FROM customers", "SELECT told(1)", "SELECT 1/0"):
            assert desk.call("query", sql=sql)["isError"] is True
        desk.complete("table_name", "", type="ref/prompt", name="analyze-table")
        desk.complete("table", "", type="ref/resource", uri="db://tables/{table}")
        said = json.dumps([seen.message for seen in host.witness.seen if seen.sender == "server"])
        assert not [name for name in (*HIDDEN, SECRET, PASSWORD) if name in said]
        assert not [name for name in (*HIDDEN, SECRET, PASSWORD) if name in host.log()]
