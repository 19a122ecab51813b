"""Clients that mean harm, or that fall over: the server serves the others, and forgets them."""

from __future__ import annotations

import resource
import select
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.transports.host import META, MODERN, until
from tests.transports.listening import Connection, Listening, head

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.slow

MEGABYTE = 1024 * 1024


@pytest.fixture
def server() -> Generator[Listening]:
    with Listening("--drain", "0.3") as listening:
        yield listening


def still_serves(server: Listening) -> None:
    with server.connect() as connection:
        assert "hi" in str(connection.call("echo", text="hi").read_message())


def flood(connection: Connection, session: dict[str, str] | None = None) -> Connection:
    """Call a tool that reports progress for ever, in either era, and read no more than the head."""
    params = {"name": "report", "arguments": {}, "_meta": {**META, "progressToken": 1}}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "report"}
    if session is not None:
        params["_meta"], headers = {"progressToken": 1}, session
    connection.post({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}, headers)
    assert connection.read_head()[0] == 200
    return connection


def test_half_requests_leave_nothing_behind(server: Listening) -> None:
    before = server.descriptors()
    whole = head("POST", "/mcp", {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "50"})
    for end in range(0, len(whole) + 1, 3):
        connection = server.connect()
        connection.send(whole[:end])
        if end % 2:
            connection.close()
        else:
            connection.reset()
    still_serves(server)
    until(lambda: server.descriptors() <= before)


@pytest.mark.parametrize("reports", [False, True])
def test_resets_in_the_middle_of_an_answer_cancel_their_calls_and_leave_nothing(
    server: Listening, reports: bool
) -> None:
    before = server.descriptors()
    connections = [server.connect() for _ in range(100)]
    for number, connection in enumerate(connections):
        if reports:
            flood(connection).read_event()
        else:
            connection.call("hold", name=str(number))
    if not reports:
        until(lambda: server.log().count("holding") == 100)
    for connection in connections:
        connection.reset()
    still_serves(server)
    until(lambda: server.descriptors() <= before)
    if not reports:
        until(lambda: server.log().count("cancelled") == 100)


def test_resets_of_session_streams_leave_the_session_and_nothing_else(server: Listening) -> None:
    with server.connect() as connection:
        session = server.open_session(connection)
        before = server.descriptors()
        for _ in range(100):
            other = server.connect().send(head("GET", "/mcp", {"Host": "localhost", **session}))
            assert other.read_head()[0] == 200
            other.reset()
        until(lambda: server.descriptors() <= before)
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert connection.post(ping, session).read_message()["result"] == {}


@pytest.mark.parametrize("legacy", [False, True])
def test_a_flood_that_nobody_reads_takes_little_memory_and_starves_nobody(server: Listening, legacy: bool) -> None:
    still_serves(server)
    before = server.memory()
    with ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(server.connect())
            flood(connection, server.open_session(connection) if legacy else None)
        for _ in range(50):
            still_serves(server)
        assert server.memory() - before < 30 * MEGABYTE
    for _ in range(50):
        still_serves(server)
    assert server.memory() - before < 40 * MEGABYTE


def test_a_thousand_listeners_hear_of_a_change_and_leave_nothing_behind(server: Listening) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with Listening("--drain", "1") as crowded, ExitStack() as stack:
            before, memory = crowded.descriptors(), crowded.memory()
            listeners = [stack.enter_context(crowded.connect()) for _ in range(1000)]
            for listener in listeners:
                listener.ask("subscriptions/listen", notifications={"resourceSubscriptions": ["note://one"]})
            for listener in listeners:
                listener.read_head()
                listener.read_event()
            with crowded.connect() as connection:
                connection.call("touch", count=1).read_message()
            assert all("updated" in listener.read_event()["method"] for listener in listeners)
            assert crowded.memory() - memory < 60 * MEGABYTE
            for listener in listeners[:500]:
                listener.reset()
            until(lambda: crowded.descriptors() <= before + 500)
            crowded.tell(signal.SIGTERM)
            assert all("result" in listener.read_event() for listener in listeners[500:])
            assert crowded.wait() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_connections_than_there_are_descriptors_do_not_end_the_server(server: Listening) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    connections = [server.connect() for _ in range(150)]
    for connection in connections:
        connection.close()
    until(lambda: server.descriptors() < 40)
    still_serves(server)


def test_handlers_that_never_end_do_not_stop_the_others(server: Listening) -> None:
    connections = [server.connect() for _ in range(20)]
    for connection in connections:
        connection.call("cling")
    until(lambda: server.log().count("clinging") == 20)
    for connection in connections:
        connection.reset()
    until(lambda: server.log().count("clung") >= 20)
    still_serves(server)


def test_slow_heads_do_not_stop_the_others(server: Listening) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(200)]
        for connection in slow:
            connection.send(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: ")
        still_serves(server)


def test_a_head_that_is_not_whole_in_time_is_dropped(server: Listening) -> None:
    with server.connect() as connection:
        connection.socket.settimeout(15)
        connection.send(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert connection.is_closed()


@pytest.mark.parametrize("size", [1, 200_000])
def test_hanging_up_is_heard_with_another_request_behind(server: Listening, size: int) -> None:
    with server.connect() as connection:
        connection.call("hold", name="a")
        until(lambda: "holding a" in server.log())
        connection.call("echo", text="x" * size)
        still_serves(server)
    until(lambda: "cancelled a" in server.log())


def test_requests_behind_an_unanswered_one_are_bounded(server: Listening) -> None:
    still_serves(server)
    before = server.memory()
    with server.connect() as connection:
        connection.call("hold", name="a")
        connection.socket.settimeout(1)
        try:
            for _ in range(2000):
                connection.call("echo", text="x" * 50_000)
        except OSError:
            pass
        still_serves(server)
        assert server.memory() - before < 30 * MEGABYTE


def test_the_rest_of_a_refused_body_may_not_take_for_ever(server: Listening) -> None:
    with server.connect() as connection:
        connection.send(head("POST", "/mcp", {"Host": "localhost", "Content-Length": "1000"}))
        assert connection.read_answer()[0] == 415
        until(lambda: is_shut(connection), 20)


def is_shut(connection: Connection) -> bool:
    """Send one more byte; tells whether the server has closed."""
    select.select([], [], [], 0.2)
    try:
        connection.send(b"x")
    except ConnectionError:
        return True
    return False
