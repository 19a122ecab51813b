"""A request that is over a limit is answered with its status, and the same connection serves the next one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from tests.transports.host import until
from tests.transports.listening import Connection, Listening, head

if TYPE_CHECKING:
    from collections.abc import Generator

HOST = {"Host": "localhost"}
JSON = {**HOST, "Content-Type": "application/json"}
WIDE = {f"X-{number}": "y" * 1000 for number in range(100)}
SMUGGLED = head("GET", "/healthz", HOST)


@pytest.fixture(scope="module")
def server() -> Generator[Listening]:
    with Listening() as listening:
        yield listening


def check_serves(connection: Connection) -> None:
    """The connection is fit for requests, each of which gets its own answer and no other."""
    for number in (41, 42):
        assert connection.ask("tools/list", id=number).read_message()["id"] == number


def ends(connection: Connection) -> bool:
    """Nothing more comes but the end of the connection."""
    try:
        connection.read_head()
    except ConnectionError:
        return True
    return False


def send_on(connection: Connection, data: bytes, times: int) -> None:
    for _ in range(times):
        connection.send(data)


HEADS = {
    "many fields": head("GET", "/mcp", {**HOST, **{f"X-{number}": "y" for number in range(9000)}}),
    "wide fields": head("GET", "/mcp", {**HOST, **WIDE}),
    "a long field": head("GET", "/mcp", {**HOST, "X": "y" * 900_000}),
    "a long address": head("GET", "/mcp?" + "a" * 200_000, HOST),
    "an announced body": head("POST", "/mcp", {**WIDE, **JSON, "Content-Length": "300000"}) + SMUGGLED * 9000,
    "a body announced first": head("POST", "/mcp", {"Content-Length": "300000", **WIDE}) + bytes(300_000),
    "a body in chunks": head("POST", "/mcp", {**WIDE, "Transfer-Encoding": "chunked"})
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    "a head alone": head("HEAD", "/mcp", {**HOST, **WIDE}),
}
HEADS["an announced body"] = HEADS["an announced body"][
    : len(head("POST", "/mcp", {**WIDE, **JSON, "Content-Length": "300000"})) + 300_000
]


@pytest.mark.parametrize("case", HEADS)
def test_a_head_over_the_limit_is_refused_and_the_next_request_served(server: Listening, case: str) -> None:
    with server.connect() as connection:
        for _ in range(2):
            assert connection.send(HEADS[case]).read_answer() == (431, b"")
            check_serves(connection)


@pytest.mark.parametrize("case", HEADS)
def test_requests_behind_a_refused_head_are_told_from_it(server: Listening, case: str) -> None:
    with server.connect() as connection:
        connection.send(HEADS[case] + SMUGGLED)
        assert connection.read_answer() == (431, b"")
        assert connection.read_answer() == (200, b"ok")
        check_serves(connection)


def test_a_head_is_refused_before_it_is_whole(server: Listening) -> None:
    data = HEADS["wide fields"]
    with server.connect() as connection:
        assert connection.send(data[:80_000]).read_answer() == (431, b"")
        for start in range(80_000, len(data), 5000):
            connection.send(data[start : start + 5000])
        check_serves(connection)


def test_a_head_up_to_the_limit_is_served(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(head("GET", "/healthz", {**HOST, "X": "y" * 65_000}))
        assert connection.read_answer() == (200, b"ok")


def test_a_refused_head_waits_for_the_answers_before_it(server: Listening) -> None:
    with server.connect() as connection:
        connection.call("hold", name="first")
        until(lambda: "holding first" in server.log())
        connection.send(HEADS["wide fields"][:70_000])
        with server.connect() as other:
            other.call("free", name="first").read_message()
        assert "first" in str(connection.read_message())
        connection.send(HEADS["wide fields"][70_000:])
        assert connection.read_answer() == (431, b"")
        check_serves(connection)


@pytest.mark.parametrize(
    "framing",
    [
        {"Content-Length": "4", "Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "chunked, identity"},
        {"Content-Length": "+4"},
        {"Connection": "close", "Content-Length": "4"},
        {"Connection": "Upgrade", "Upgrade": "websocket", "Content-Length": "4"},
        {"Broken name": "x"},
    ],
    ids=str,
)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("in_parts", [False, True])
def test_behind_a_refused_head_that_leaves_its_body_in_doubt_nothing_is_served(
    server: Listening, framing: dict[str, str], first: bool, in_parts: bool
) -> None:
    headers = {**framing, **WIDE} if first else {**WIDE, **framing}
    with server.connect() as connection:
        try:
            data = head("POST", "/mcp", headers) + b"null" + SMUGGLED
            early = 80_000 if in_parts else len(data)
            assert connection.send(data[:early]).read_answer()[0] in (400, 431)
            connection.send(data[early:])
        except ConnectionError:
            return
        assert ends(connection)
    server.check_alive()


def test_a_head_that_never_ends_ends_the_connection(server: Listening) -> None:
    before = server.memory()
    with server.connect() as connection:
        connection.send(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000)
        assert connection.read_answer() == (431, b"")
        with pytest.raises(ConnectionError):
            send_on(connection, b"y" * 10_000, 2000)
        assert server.memory() - before < 20_000_000


def test_json_that_is_too_deep_is_refused_and_the_next_request_served(server: Listening) -> None:
    with server.connect() as connection:
        status, body = connection.post(b"[" * 500_000 + b"]" * 500_000).read_answer()
        assert (status, json.loads(body)["error"]["code"]) == (400, -32700)
        check_serves(connection)


@pytest.mark.slow
def test_a_slow_body_is_refused_and_the_next_request_served(server: Listening) -> None:
    with server.connect() as connection:
        connection.socket.settimeout(15)
        connection.send(head("POST", "/mcp", {**JSON, "Content-Length": "100000"}) + SMUGGLED)
        began = time.monotonic()
        assert connection.read_answer()[0] == 408
        assert 9 < time.monotonic() - began < 12
        assert connection.headers.get("connection") != "close"
        connection.send(SMUGGLED.ljust(100_000 - len(SMUGGLED)))
        check_serves(connection)


@pytest.mark.slow
@pytest.mark.parametrize("status", [408, 431])
def test_the_rest_of_what_was_refused_may_not_take_for_ever(server: Listening, status: int) -> None:
    part = head("POST", "/mcp", {**JSON, "Content-Length": "9"}) if status == 408 else HEADS["wide fields"][:90_000]
    with server.connect() as connection:
        connection.socket.settimeout(15)
        assert connection.send(part).read_answer()[0] == status
        connection.send(b"x")
        began = time.monotonic()
        assert ends(connection), "no second answer"
        assert time.monotonic() - began < 12


@pytest.mark.slow
def test_the_rest_of_a_refused_body_may_not_be_without_bounds(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(head("POST", "/mcp", {**JSON, "Content-Length": str(10**10)}))
        assert connection.read_answer()[0] == 413
        with pytest.raises(ConnectionError):
            send_on(connection, bytes(1_000_000), 200)
