"""The SQLite server over real stdio: every tool, resource, prompt and completion, in both eras, one file or several."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.servers.sqlite.desk import SERVER, Desk, Json
from tests.transports.host import META, Host, notification, until

from mcp_server_sqlite.sample import create_sample

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"

eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    for name in ("shop", "my shop"):
        create_sample(folder / f"{name}.db")
    return folder


@pytest.fixture(scope="module")
def one(folder: Path) -> Iterator[Host]:
    with Host([*SERVER, "--db-path", str(folder / "shop.db"), "--query-timeout", "5"]) as host:
        yield host.open()


@pytest.fixture(scope="module")
def several(folder: Path) -> Iterator[Host]:
    with Host([*SERVER, "--db-path", str(folder / "shop.db"), str(folder / "my shop.db")]) as host:
        yield host.open()


@pytest.fixture(params=["legacy", "modern"])
def desk(one: Host, request: pytest.FixtureRequest) -> Desk:
    return Desk(one, request.param)


def test_the_tools_are_listed_with_hints_and_schemas(desk: Desk) -> None:
    tools = {tool["name"]: tool for tool in desk.request("tools/list")["tools"]}
    assert list(tools) == ["query", "list_tables", "describe_table", "explain_query"]
    for tool in tools.values():
        assert tool["annotations"].keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert tool["annotations"]["readOnlyHint"] is True
        assert "database" not in tool["inputSchema"]["properties"]
        assert tool["outputSchema"]["type"] == "object"


def test_a_query_gives_columns_rows_and_a_text(desk: Desk) -> None:
    result = desk.call("query", sql="SELECT id, name FROM products WHERE id < ? ORDER BY id", params=[3])
    structured = result["structuredContent"]
    assert [column["name"] for column in structured["columns"]] == ["id", "name"]
    assert [row[0] for row in structured["rows"]] == [1, 2]
    assert (structured["row_count"], structured["truncated"]) == (2, False)
    assert str(structured["rows"][0][1]) in result["content"][0]["text"]
    assert desk.query("SELECT :a + :b AS c", params={"a": 1, "b": 2})["rows"] == [[3]]


def test_every_tool_answers(desk: Desk) -> None:
    listed = desk.call("list_tables", pattern="order*")["structuredContent"]["tables"]
    assert [table["name"] for table in listed] == ["order_items", "order_totals", "orders"]
    described = desk.call("describe_table", table_name="orders")["structuredContent"]
    assert [column["name"] for column in described["columns"]][:2] == ["id", "customer_id"]
    plan = desk.call("explain_query", sql="SELECT * FROM orders", analyze=True)["structuredContent"]
    assert plan["row_count"] == 240
    assert "customers" in desk.refusal("describe_table", table_name="custmers")


def test_resources_are_listed_read_and_refused(desk: Desk) -> None:
    uris = {resource["uri"] for resource in desk.request("resources/list")["resources"]}
    assert uris >= {"db://schema", "db://tables/customers"}
    templates = [each["uriTemplate"] for each in desk.request("resources/templates/list")["resourceTemplates"]]
    assert templates == ["db://tables/{table}", "db://tables/{table}/schema"]
    assert "CREATE TABLE customers" in desk.read("db://schema")
    assert "CREATE TABLE orders" in desk.read("db://tables/orders/schema")
    assert "example.com" in desk.read("db://tables/customers")


@pytest.mark.parametrize(
    "uri", ["db://nothing", "file:///etc/passwd", "db://tables/", "DB://schema", "db://tables/a/b/c"]
)
def test_a_resource_that_is_none_is_not_found(one: Host, uri: str) -> None:
    assert Desk(one, "legacy").error("resources/read", uri=uri)["code"] == -32002
    assert Desk(one, "modern").error("resources/read", uri=uri)["code"] == -32602


def test_prompts_are_listed_and_got(desk: Desk) -> None:
    assert [prompt["name"] for prompt in desk.request("prompts/list")["prompts"]] == ["analyze-table", "write-query"]
    arguments = {"table_name": "orders", "focus": "quality"}
    (message,) = desk.request("prompts/get", name="analyze-table", arguments=arguments)["messages"]
    assert "orders" in message["content"]["text"]
    assert "missing values" in message["content"]["text"]
    (message,) = desk.request("prompts/get", name="write-query", arguments={"question": "How many?"})["messages"]
    assert "How many?" in message["content"]["text"]


def test_names_of_tables_are_completed(desk: Desk) -> None:
    assert desk.complete("table_name", "CUST", type="ref/prompt", name="analyze-table") == ["customers"]
    assert desk.complete("focus", "q", type="ref/prompt", name="analyze-table") == ["quality"]
    assert desk.complete("table", "re", type="ref/resource", uri="db://tables/{table}") == ["reviews"]
    assert desk.complete("table", "zz", type="ref/resource", uri="db://tables/{table}/schema") == []


def test_what_json_has_no_word_for_comes_in_a_stated_form(desk: Desk) -> None:
    sql = "SELECT x'00ff', 9e999, -9e999, 9223372036854775807, char(0), CAST(x'ff' AS TEXT), NULL, 1e300, 'ü\U0001f600'"
    (row,) = desk.query(sql)["rows"]
    assert row[0]["$blob"] == "AP8="
    assert row[3] == {"$integer": "9223372036854775807"}
    assert all(isinstance(value, str | dict) for value in (row[1], row[2], row[4], row[5]))
    assert row[6:] == [None, 1e300, "ü\U0001f600"]


def test_fences_cut_an_answer_and_say_how_to_go_on(desk: Desk) -> None:
    cut = desk.query("SELECT id FROM orders ORDER BY id", limit=5)
    assert (cut["row_count"], cut["truncated"]) == (5, True)
    assert "OFFSET 5" in cut["note"]
    wide = desk.call("query", sql="SELECT hex(zeroblob(30000)) FROM orders", limit=100)
    assert wide["structuredContent"]["truncated"] is True
    assert len(json.dumps(wide)) < 250_000
    assert (
        desk.query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x FROM c")["row_count"] == 100
    )


def test_a_database_of_many_tables_and_a_table_of_many_columns_are_told_of_in_part(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as raw:
        raw.executescript("".join(f"CREATE TABLE t{number} (a);" for number in range(1500)))
        raw.execute(f"CREATE TABLE wide ({', '.join(f'c{number}' for number in range(1500))})")
    with Host([*SERVER, "--db-path", str(tmp_path / "x.db")]) as host:
        listed = host.open().call("list_tables")["structuredContent"]
        assert 100 < len(listed["tables"]) < 1500
        assert "of 1501 tables" in listed["note"]
        described = host.call("describe_table", table_name="wide")["structuredContent"]
        assert 100 < len(described["columns"]) < 1500
        assert "of 1500 columns" in described["note"]
        columns = host.call("query", sql="SELECT * FROM wide LIMIT 0")["structuredContent"]["columns"]
        assert len(columns) == 1500


def test_wrong_arguments_are_told_field_by_field(desk: Desk) -> None:
    assert "sql" in desk.refusal("query")
    assert "limit" in desk.refusal("query", sql="SELECT 1", limit=0)
    assert "params" in desk.refusal("query", sql="SELECT 1", params=7)
    assert desk.error("tools/call", name="drop_table")["code"] == -32602


def test_a_query_that_its_client_cancels_stops_and_makes_room_at_once(desk: Desk) -> None:
    running = [desk.ask("tools/call", name="query", arguments={"sql": ENDLESS}) for _ in range(3)]
    until(lambda: processor_time(desk.host) > 0.2)
    for identifier in running:
        desk.host.send(notification("notifications/cancelled", requestId=identifier))
    assert desk.query("SELECT 1")["rows"] == [[1]]
    spent = processor_time(desk.host)
    for _ in range(20):
        desk.query("SELECT 1")
    assert processor_time(desk.host, since=spent) < 0.5
    assert not [message for message in desk.host.heard if message.get("id") in running]


def processor_time(host: Host, since: float = 0.0) -> float:
    fields = Path(f"/proc/{host.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100 - since


def test_a_query_without_end_is_stopped_by_the_clock(folder: Path) -> None:
    with Host([*SERVER, "--db-path", str(folder / "shop.db"), "--query-timeout", "0.3"]) as host:
        desk = Desk(host.open(), "legacy")
        assert "0.3 s" in desk.refusal("query", sql=ENDLESS)
        assert desk.query("SELECT 1")["rows"] == [[1]]


def test_the_input_may_end_while_a_query_runs(folder: Path) -> None:
    with Host([*SERVER, "--db-path", str(folder / "shop.db")]) as host:
        Desk(host.open(), "legacy").ask("tools/call", name="query", arguments={"sql": ENDLESS})
        until(lambda: processor_time(host) > 0.3)
        host.hang_up()
        assert host.wait(1.6) == 0
        assert host.read_all() == []


def test_more_queries_than_may_run_are_refused_and_the_others_answered(one: Host) -> None:
    desk = Desk(one, "modern")
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 30000) SELECT count(*) FROM c"
    running = [desk.ask("tools/call", name="query", arguments={"sql": slow}) for _ in range(60)]
    answers = [desk.host.answer(identifier)["result"] for identifier in running]
    refused = [answer for answer in answers if answer.get("isError")]
    assert all("32 queries are running" in answer["content"][0]["text"] for answer in refused)
    assert len(answers) - len(refused) >= 32
    assert desk.query("SELECT 1")["rows"] == [[1]]


# --- changes ---


def write(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(sql)
        raw.commit()


def subscribe(host: Host, era: str, uri: str) -> None:
    if era == "legacy":
        host.request("resources/subscribe", uri=uri)
    else:
        host.ask("subscriptions/listen", notifications={"resourceSubscriptions": [uri]}, _meta=META)
        acknowledged = host.hear(lambda message: message.get("method", "").endswith("acknowledged"))
        assert acknowledged["params"]["notifications"] == {"resourceSubscriptions": [uri]}


def hear_of(host: Host, uri: str, path: Path) -> Json:
    """Change the file again and again until the server says so: watching begins a moment after the subscription."""

    def changed() -> bool:
        write(path, "UPDATE products SET stock = stock + 1")
        return host.has_line(0.3)

    until(changed, 8)
    return host.hear(lambda message: message.get("params", {}).get("uri") == uri)


@eras
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_subscriber_hears_of_changes_by_another_process(tmp_path: Path, era: str, mode: str) -> None:
    path = tmp_path / "x.db"
    create_sample(path)
    write(path, f"PRAGMA journal_mode = {mode}")
    with Host([*SERVER, "--db-path", str(path)]) as host:
        host.open()
        subscribe(host, era, "db://tables/products")
        heard = hear_of(host, "db://tables/products", path)
        assert heard["method"] == "notifications/resources/updated"
        if era == "legacy":
            host.request("resources/unsubscribe", uri="db://tables/products")


@pytest.mark.parametrize("name", ["shop", "my%20shop"])
def test_a_subscriber_of_one_of_several_files_hears_of_that_one(folder: Path, several: Host, name: str) -> None:
    uri = f"db://{name}/tables/products"
    several.request("resources/subscribe", uri=uri)
    hear_of(several, uri, folder / f"{name.replace('%20', ' ')}.db")
    several.request("resources/unsubscribe", uri=uri)
    several.heard.clear()


# --- several files ---


def test_with_several_files_every_tool_asks_which(several: Host) -> None:
    desk = Desk(several, "legacy")
    for tool in desk.request("tools/list")["tools"]:
        assert tool["inputSchema"]["properties"]["database"]["enum"] == ["shop", "my shop"]
        assert "database" in tool["inputSchema"]["required"]
    assert desk.query("SELECT count(*) FROM customers", database="my shop")["rows"] == [[60]]
    assert "my shop" in desk.refusal("query", sql="SELECT 1", database="your shop")
    assert "database" in desk.refusal("query", sql="SELECT 1")


def test_with_several_files_resources_say_of_which(several: Host) -> None:
    desk = Desk(several, "modern")
    uris = {resource["uri"] for resource in desk.request("resources/list")["resources"]}
    assert uris >= {"db://shop/tables/customers", "db://my%20shop/tables/customers"}
    for uri in sorted(uris):
        assert desk.read(uri)
    assert "CREATE TABLE" in desk.read("db://my%20shop/schema")
    assert "CREATE TABLE" in desk.read("db://shop/tables/orders/schema")


def test_a_file_that_is_none_of_the_several_has_no_resources(several: Host) -> None:
    assert Desk(several, "legacy").error("resources/read", uri="db://other/schema")["code"] == -32002
    assert Desk(several, "modern").error("resources/read", uri="db://other/schema")["code"] == -32602


def test_with_several_files_completion_knows_the_files_and_their_tables(several: Host) -> None:
    desk = Desk(several, "legacy")
    uri = "db://{database}/tables/{table}"
    context: Json = {"database": "my shop"}
    assert desk.complete("table", "cust", context, type="ref/resource", uri=uri) == ["customers"]
    assert desk.complete("table", "cust", type="ref/resource", uri=uri) == []
    assert desk.complete("database", "m", type="ref/resource", uri=uri) == ["my shop"]


# --- what is withheld ---

HIDDEN = ("reviews", "review_needs_a_purchase", "reviews_by_product")


@eras
def test_a_denied_table_s_name_stands_in_no_output(tmp_path: Path, era: str) -> None:
    path = tmp_path / "x.db"
    create_sample(path)
    with Host([*SERVER, "--db-path", str(path), "--deny-table", "reviews"]) as host:
        desk = Desk(host.open(), era)
        for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
            desk.request(method)
        for uri in ("db://schema", "db://tables/products/schema", "db://tables/customers/schema"):
            desk.read(uri)
        desk.call("list_tables")
        for table in ("products", "customers", "orders", "review"):
            desk.call("describe_table", table_name=table)
        desk.call("query", sql="SELECT name, sql FROM sqlite_master")
        desk.call("query", sql="SELECT * FROM pragma_table_list")
        desk.call("query", sql="PRAGMA table_list")
        desk.call("query", sql="PRAGMA foreign_key_list(products)")
        desk.call("query", sql="SELECT * FROM review")
        desk.call("explain_query", sql="SELECT * FROM best_sellers")
        desk.complete("table_name", "", type="ref/prompt", name="analyze-table")
        desk.complete("table", "rev", type="ref/resource", uri="db://tables/{table}")
        said = json.dumps([seen.message for seen in host.witness.seen if seen.sender == "server"])
        assert not [name for name in HIDDEN if name in said]
        assert "reviews" not in host.log()


@eras
def test_a_denied_table_is_as_unknown_as_one_that_is_not_there(tmp_path: Path, era: str) -> None:
    """Two files, one of which never had the table: what a caller is told of it is the same."""
    told: list[str] = []
    for folder in (tmp_path / "denied", tmp_path / "absent"):
        folder.mkdir()
        create_sample(folder / "x.db")
        if folder.name == "absent":
            write(folder / "x.db", "DROP TABLE reviews")
        with Host([*SERVER, "--db-path", str(folder / "x.db"), "--deny-table", "reviews"]) as host:
            desk = Desk(host.open(), era)
            answers = [
                desk.refusal("describe_table", table_name="reviews"),
                desk.error("resources/read", uri="db://tables/reviews"),
                desk.error("resources/read", uri="db://tables/reviews/schema"),
                desk.request("resources/list"),
                desk.call("list_tables"),
                desk.read("db://schema"),
                desk.complete("table", "r", type="ref/resource", uri="db://tables/{table}"),
            ]
        told.append(json.dumps(answers))
    assert told[0] == told[1]


@eras
def test_a_table_that_is_not_there_is_a_resource_not_found(one: Host, era: str) -> None:
    code = -32002 if era == "legacy" else -32602
    assert Desk(one, era).error("resources/read", uri="db://tables/zeitung")["code"] == code


# --- writing ---


def test_insert_record_is_there_only_when_writing_is_allowed(tmp_path: Path, one: Host) -> None:
    path = tmp_path / "x.db"
    create_sample(path)
    assert Desk(one, "legacy").error("tools/call", name="insert_record")["code"] == -32602
    data = {"name": "Ada", "email": "ada@example.org", "city": "Rome", "country": "Italy", "joined_on": "2024-02-03"}
    with Host([*SERVER, "--db-path", str(path), "--allow-write"]) as host:
        desk = Desk(host.open(), "modern")
        first = desk.call("insert_record", table="customers", data=data, idempotency_key="k")["structuredContent"]
        again = desk.call("insert_record", table="customers", data=data, idempotency_key="k")["structuredContent"]
        assert (first["replayed"], again["replayed"]) == (False, True)
        assert desk.query("SELECT count(*) FROM customers")["rows"] == [[61]]
        assert desk.call("query", sql="DELETE FROM customers")["isError"] is True
        assert desk.query("SELECT count(*) FROM customers")["rows"] == [[61]]
