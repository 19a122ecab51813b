"""Attacks on the whole server, through its wire: each with what it must not gain, and the honest use that stays."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.transports.host import META, Host, line, notification, request, until

from mcp_server_sqlite.sample import create_sample

Json = dict[str, Any]
MIB = 1024 * 1024


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    create_sample(tmp_path / "x.db")
    return tmp_path / "x.db"


@pytest.fixture
def host(shop: Path) -> Iterator[Host]:
    with Host([sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(shop), "--query-timeout", "2"]) as host:
        yield host.open()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


TRAVERSALS = [
    "db://tables/../../etc/passwd",
    "db://tables/%2e%2e%2fschema",
    "db://tables/customers%00",
    "db://tables/customers'--",
    'db://tables/customers"; DROP TABLE customers; --',
    "db://tables/sqlite_master",
    "db://tables/customers/schema/../../x",
    "db://tables/%",
    "db://tables/%FF",
    "file:///etc/passwd",
    "x:" + "x" * 100_000,
]


@pytest.mark.parametrize("uri", TRAVERSALS, ids=lambda uri: uri[:40])
def test_a_uri_reaches_nothing_but_tables(host: Host, shop: Path, uri: str) -> None:
    before = digest(shop)
    error = host.answer(host.ask("resources/read", uri=uri))["error"]
    assert "root:" not in str(error)
    assert host.request("resources/read", uri="db://tables/customers")["contents"][0]["text"]
    assert digest(shop) == before


WRITES = [
    "DELETE FROM customers",
    "SELECT 1; DROP TABLE customers",
    "WITH x AS (SELECT 1) INSERT INTO customers DEFAULT VALUES",
    "ATTACH '{folder}/new.db' AS n",
    "VACUUM INTO '{folder}/new.db'",
    "PRAGMA writable_schema = 1",
    "PRAGMA journal_mode = wal",
    "SELECT load_extension('{folder}/x.so')",
    "SELECT writefile('{folder}/new.db', 'x')",
    "CREATE TEMP TABLE t AS SELECT 1",
    "BEGIN IMMEDIATE",
]


def test_no_statement_over_the_wire_changes_anything(host: Host, shop: Path) -> None:
    before = digest(shop)
    for sql in WRITES:
        assert host.call("query", sql=sql.format(folder=shop.parent))["isError"] is True, sql
        assert host.call("explain_query", sql=sql.format(folder=shop.parent), analyze=True)["isError"] is True, sql
    assert digest(shop) == before
    assert [path.name for path in shop.parent.iterdir()] == ["x.db"]
    assert host.call("query", sql="SELECT count(*) FROM customers")["structuredContent"]["rows"] == [[60]]


BOMBS = [
    "SELECT randomblob(1000000000)",
    "SELECT hex(zeroblob(900000000))",
    "WITH RECURSIVE c(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM c) SELECT max(length(x)) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT group_concat(x) FROM c",
    "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "+".join(["1"] * 30_000),
    " UNION ALL ".join(["SELECT 1"] * 2000),
    "SELECT " + " || ".join(["?"] * 20_000),
    "SELECT '" + "x" * 5_000_000 + "'",
]


@pytest.mark.slow
def test_bombs_take_neither_the_memory_nor_the_server(host: Host) -> None:
    for sql in BOMBS:
        host.call("query", sql=sql)
        assert host.call("query", sql="SELECT 1")["structuredContent"]["rows"] == [[1]], sql[:50]
    assert host.memory() < 400 * MIB
    assert host.process.poll() is None


@pytest.mark.slow
def test_many_bombs_at_once_are_held_by_the_fences(host: Host) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"
    bombs = [host.ask_tool("query", sql=endless) for _ in range(200)]
    honest = host.ask_tool("list_tables")
    answers = [host.answer(bomb)["result"] for bomb in bombs]
    assert all(answer["isError"] for answer in answers)
    assert host.answer(honest)["result"]["content"]
    assert host.call("query", sql="SELECT 1")["structuredContent"]["rows"] == [[1]]
    assert host.memory() < 200 * MIB


def test_stored_text_that_looks_like_a_message_stays_text(host: Host) -> None:
    forged = '"}],"isError":false}}\n{"jsonrpc":"2.0","id":99,"result":{}}\n'
    rows = host.call("query", sql="SELECT ? AS t", params=[forged])["structuredContent"]["rows"]
    assert rows == [[forged]]
    host.check_alive()
    assert host.heard == []


def test_an_error_carries_neither_a_traceback_nor_the_source(host: Host) -> None:
    for params in ({"name": "query", "arguments": {"sql": 7}}, {"name": "query", "arguments": {"sql": "SELECT nope"}}):
        said = json.dumps(host.answer(host.ask("tools/call", **params)))
        assert "Traceback" not in said
        assert ".py" not in said
        assert "site-packages" not in said


@pytest.mark.slow
def test_one_client_cannot_answer_or_cancel_under_another_type_of_id(host: Host) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"
    host.send(request("7", "tools/call", name="query", arguments={"sql": endless}))
    host.send(notification("notifications/cancelled", requestId=7))
    host.check_alive()
    assert host.answer("7")["result"]["isError"] is True  # at its deadline, for nobody cancelled it


def test_secrets_of_the_environment_stay_in_it(shop: Path) -> None:
    secret = "hush-environment-5521"
    command = [sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(shop), "--log-level", "debug"]
    with Host(command, environment={"MCP_STATE_KEY": secret, "SOME_TOKEN": secret}) as host:
        host.open().call("query", sql="SELECT * FROM none")
        host.request("server/discover", _meta=META)
        host.send(b"{broken\n", malformed=True)
        host.check_alive()
        assert secret not in json.dumps([str(seen.message) for seen in host.witness.seen]) + host.log()


@pytest.mark.slow
def test_many_listen_streams_do_not_stop_the_server_from_reading(host: Host) -> None:
    wanted = {"resourceSubscriptions": ["db://schema"]}
    for number in range(1000):
        host.send(request(f"stream {number}", "subscriptions/listen", notifications=wanted, _meta=META))
        assert host.read()["method"] == "notifications/subscriptions/acknowledged"
    host.write(line(notification("notifications/cancelled", requestId="stream 0")) + line(request("still", "ping")))
    assert host.has_line(2)


def test_many_subscriptions_cost_little(host: Host) -> None:
    before = host.memory()
    for number in range(2000):
        host.request("resources/subscribe", uri=f"db://tables/t{number}")
    assert host.memory() - before < 64 * MIB
    host.check_alive()


@pytest.mark.slow
def test_a_flood_of_garbage_costs_no_memory(host: Host) -> None:
    before = host.memory()
    host.witness.see("client", b"garbage", malformed=True)
    flood = b"garbage\n" * 200_000
    taken = 0
    answers = 0
    while answers < 200_000:
        taken += host.write(flood[taken : taken + MIB], 0.01)
        while answers < 200_000 and host.has_line():
            assert b'"code":-32700' in host.read_line()
            answers += 1
    assert host.memory() - before < 32 * MIB
    host.check_alive()


def test_a_client_s_files_are_not_opened_by_name(host: Host, tmp_path: Path) -> None:
    """A FIFO would hang whoever opened it."""
    os.mkfifo(tmp_path / "pipe.db")
    with Host([sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(tmp_path / "pipe.db")]) as other:
        assert "no regular file" in other.open().call("query", sql="SELECT 1")["content"][0]["text"]
        until(lambda: "no regular file" in other.log())
