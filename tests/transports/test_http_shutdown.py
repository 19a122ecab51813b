"""The process: where it listens, what it says when it cannot, and how it ends."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.transports.host import META, MODERN, TOOLS, until
from tests.transports.listening import Connection, Listening, head

DRAIN = 1.0
QUICK = 2.5
"""Seconds that an end may take beyond the drain, and less than the usual drain of 3; an idle machine takes a tenth."""


def listen(connection: Connection) -> Connection:
    """Open a listen stream."""
    connection.ask("subscriptions/listen", notifications={"toolsListChanged": True})
    assert connection.read_head()[0] == 200
    assert "acknowledged" in connection.read_event()["method"]
    return connection


def stream(connection: Connection, **arguments: object) -> Connection:
    """Call a tool that reports progress, and read the first."""
    meta = {**META, "progressToken": 1}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    params = {"name": "report", "arguments": arguments, "_meta": meta}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "report"}
    connection.post({**message, "params": params}, headers)
    connection.read_head()
    connection.read_event()
    return connection


def timed_end(server: Listening, *signals: signal.Signals) -> float:
    """Tell the server to end; returns how long it took."""
    start = time.monotonic()
    for number in signals or (signal.SIGTERM,):
        server.tell(number)
    assert server.wait() == 0, server.log()
    return time.monotonic() - start


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(number: signal.Signals) -> None:
    with Listening() as server, server.connect() as quiet, server.connect() as used:
        assert "result" in used.ask("tools/list").read_message()
        assert timed_end(server, number) < QUICK
        assert quiet.is_closed()
        assert used.is_closed()


def test_fifty_open_streams_are_told_and_the_server_ends_in_time() -> None:
    with Listening("--drain", str(DRAIN)) as server, ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(50)]
        listening, reading, quick, stuck, legacy = (connections[index::5] for index in range(5))
        for connection in listening:
            listen(connection)
        for connection in reading:
            session = server.open_session(connection)
            connection.send(head("GET", "/mcp", {"Host": "localhost", **session}))
            assert connection.read_head()[0] == 200
        for connection in quick:
            connection.call("last", seconds=0.5)
        for number, connection in enumerate(stuck):
            connection.call("hold", name=f"modern {number}")
        for number, connection in enumerate(legacy):
            params = {"name": "hold", "arguments": {"name": f"legacy {number}"}}
            session = server.open_session(connection)
            connection.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, session)
        until(lambda: server.log().count("holding") == 20)
        assert timed_end(server) < DRAIN + QUICK
        for connection in listening:
            assert "result" in connection.read_event()
            assert connection.read_part() == b""
        for connection in reading:
            parts = [connection.read_part(), connection.read_part()]
            assert parts[-1] == b"", parts
        assert all("took 0.5" in str(connection.read_message()) for connection in quick)
        assert {connection.read_answer()[0] for connection in stuck} == {503}
        assert {connection.read_answer()[0] for connection in legacy} == {404}
        assert server.log().count("cancelled") == 20


@pytest.mark.slow
def test_a_call_that_streams_is_stopped_after_the_drain_and_its_stream_ended() -> None:
    with Listening("--drain", "0.3") as server, server.connect() as connection:
        stream(connection)
        start = time.monotonic()
        server.tell()
        while connection.read_part():
            assert time.monotonic() - start < QUICK
        assert server.wait() == 0


@pytest.mark.slow
def test_a_second_signal_ends_the_server_at_once() -> None:
    with Listening("--drain", "60") as server, server.connect() as held, server.connect() as listening:
        listen(listening)
        held.call("hold", name="a")
        until(lambda: "holding a" in server.log())
        server.tell()
        assert "result" in listening.read_event()
        assert timed_end(server) < QUICK


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", b"POST /mcp HT", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_request_without_its_head_does_not_hold_the_end_up(data: bytes) -> None:
    with Listening() as server, server.connect() as connection:
        connection.send(data)
        server.check_alive()
        assert timed_end(server) < QUICK
        assert connection.is_closed()


@pytest.mark.slow
def test_a_body_that_never_comes_is_dropped_on_the_end() -> None:
    with Listening() as server, server.connect() as connection:
        headers = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "100"}
        connection.send(head("POST", "/mcp", headers) + b"{")
        server.check_alive()
        assert timed_end(server) < QUICK
        assert connection.is_closed()


@pytest.mark.slow
def test_a_client_that_does_not_read_does_not_hold_the_end_up() -> None:
    with Listening("--drain", "0.3") as server, server.connect() as connection:
        stream(connection)
        before = server.log()
        assert timed_end(server) < 0.3 + 1 + QUICK, before


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["cling", "block", "spin"])
def test_a_handler_that_does_not_end_does_not_hold_the_end_up(tool: str) -> None:
    with Listening("--drain", "0.3") as server, server.connect() as connection:
        connection.call(tool)
        until(lambda: "ing\n" in server.log())
        assert timed_end(server) < 0.3 + 1 + QUICK


@pytest.mark.slow
def test_a_handler_that_freezes_the_loop_gives_way_to_a_second_signal() -> None:
    with Listening() as server, server.connect() as connection:
        connection.call("freeze")
        until(lambda: "freezing" in server.log())
        before = server.threads()
        server.tell()
        until(lambda: server.threads() > before)
        assert timed_end(server) < QUICK


# --- where it listens ---


def test_a_unix_socket_is_for_its_owner_and_serves_the_same(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with Listening("--uds", str(path)) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with server.connect() as connection:
            assert "result" in connection.ask("tools/list").read_message()
        with server.connect() as connection:
            connection.send(head("GET", "/healthz", {"Host": "evil.example"}))
            assert connection.read_answer()[0] == 421


@pytest.mark.slow
def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with Listening("--uds", str(path)):
        pass


def refuse(*arguments: str) -> str:
    """Start a server that cannot serve; returns the line that says so."""
    done = subprocess.run([*TOOLS, "--transport", "http", *arguments], capture_output=True, timeout=20, check=False)
    line = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), line
    assert line.count("\n") == 1, line
    return line


def test_a_port_in_use_is_one_line_and_exit_code_2() -> None:
    with Listening() as server:
        assert isinstance(server.address, tuple)
        port = str(server.address[1])
        assert f"127.0.0.1:{port}" in refuse("--port", port)


@pytest.mark.slow
def test_a_unix_socket_in_use_is_not_taken_from_its_server(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with Listening("--uds", path) as server:
        assert path in refuse("--uds", path)
        server.check_alive()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "70000"),
        ("--port", "99999999999999999999"),
        ("--port", "-1"),
        ("--host", "no.such.host.invalid"),
        ("--host", "192.0.2.1", "--port", "0"),
        ("--uds", "/no/such/directory/s.sock"),
        ("--uds", "x" * 300),
        ("--uds", __file__),
        ("--allowed-host", "https://files.example"),
        ("--allowed-origin", "app.example", "--workers", "2"),
        ("--drain", "nan"),
        ("--session-idle", "0"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line_and_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert "Traceback" not in refuse(*arguments)


def test_the_log_of_a_refused_host_names_the_option() -> None:
    with Listening() as server, server.connect() as connection:
        connection.send(head("GET", "/healthz", {"Host": "evil.example"}))
        assert b"--allowed-host evil.example" in connection.read_answer()[1]
        until(lambda: "--allowed-host evil.example" in server.log())


@pytest.mark.slow
def test_a_named_host_and_another_path_are_served() -> None:
    with (
        Listening("--allowed-host", "files.example", "--path", "/api/tools/") as server,
        server.connect() as connection,
    ):
        headers = {"Host": "files.example", "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
        for path in ("/api/tools", "/api/tools/"):
            assert "result" in connection.post(message, headers, path=path).read_message()


def test_the_line_that_says_where_the_server_is_tells_the_truth() -> None:
    with Listening("--path", "tools") as server:
        until(lambda: "/tools\n" in server.log())
        assert isinstance(server.address, tuple)
        assert f"serves http://127.0.0.1:{server.address[1]}/tools\n" in server.log()
