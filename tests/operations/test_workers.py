"""Several processes on one port: they share what they must, are replaced when they die, and end with their parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.auth.entrance import EVERYONE, key_lines
from tests.operations.logs import read_records, verify
from tests.operations.redis import RedisServer
from tests.transports.host import TOOLS, until
from tests.transports.listening import Connection, Listening


def children(server: Listening) -> set[int]:
    """The workers."""
    text = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {int(word) for word in text.split()}


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--transport", "http", "--workers", "2"], "needs --store redis://"),
        (["--workers", "2", "--store", "redis://127.0.0.1"], "stdio has one process"),
        (["--transport", "sse", "--store", "redis://127.0.0.1"], "sse has one process"),
        (["--transport", "http", "--workers", "0"], "would serve nobody"),
        (["--transport", "http", "--store", "postgres://x"], "--store takes memory, redis://"),
    ],
)
def test_what_cannot_be_served_by_several_is_refused_at_the_start(options: list[str], said: str) -> None:
    done = subprocess.run([*TOOLS, *options], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr


def test_a_store_that_is_not_there_is_told_at_the_start_and_waited_for(tmp_path: Path) -> None:
    store = f"unix://user:hush-7741@{tmp_path}/redis.sock"
    with Listening("--store", store) as server:
        assert "--store cannot be used now: Error 2 connecting to" in server.log()
        assert "hush-7741" not in server.log()


@pytest.mark.slow
def test_a_session_is_served_by_every_worker_and_a_dead_one_is_replaced() -> None:
    with RedisServer() as store, Listening("--workers", "2", "--store", store.url) as server:
        until(lambda: len(children(server)) == 2)
        with server.connect() as first:
            session = server.open_session(first)
            first.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, session).read_answer()
        before = children(server)
        for number in range(30):
            with server.connect() as connection:
                assert ask(connection, number, session)["result"]["content"] == [{"type": "text", "text": str(number)}]
        victim = before.copy().pop()
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(children(server) - {victim}) == 2)
        assert f"worker {victim} ended with -9; another takes its place" in server.log()
        for number in range(10):
            with server.connect() as connection:
                assert "result" in ask(connection, 100 + number, session)
        workers = children(server)
        server.tell()
        assert server.wait() == 0
        until(lambda: not any(map(is_running, workers)))


def ask(connection: Connection, number: int, session: dict[str, str]) -> dict[str, dict[str, object]]:
    params = {"name": "echo", "arguments": {"text": str(number)}}
    connection.post({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}, session)
    return json.loads(connection.read_answer()[1])


@pytest.mark.slow
def test_each_worker_has_an_audit_log_and_goes_on_with_a_dead_ones(tmp_path: Path) -> None:
    options = ["--workers", "2", "--audit-log", str(tmp_path / "audit.jsonl"), "--audit-required"]
    logs = [tmp_path / f"audit-{place}.jsonl" for place in (1, 2)]
    with RedisServer() as store, Listening(*options, "--store", store.url) as server:
        until(lambda: len(children(server)) == 2)
        with server.connect() as first:
            session = server.open_session(first)
            first.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, session).read_answer()
        for number in range(60):
            if number == 30:
                victim = children(server).pop()
                os.kill(victim, signal.SIGKILL)
                until(lambda: len(children(server) - {victim}) == 2)  # noqa: B023  # it is called here
            with server.connect() as connection:
                assert "result" in ask(connection, number, session)
        server.tell()
        assert server.wait() == 0
    records = [record for log in logs for record in read_records(log)]
    calls = [record for record in records if record["event"] == "opened" and record.get("tool") == "echo"]
    assert sorted(int(record["arguments"]["text"]) for record in calls) == [*range(60)]
    assert [verify(log) for log in logs] == [0, 0]
    assert sorted(path.name for path in tmp_path.glob("audit*.jsonl")) == ["audit-1.jsonl", "audit-2.jsonl"]


@pytest.mark.slow
def test_the_settings_of_the_log_hold_for_workers_too(tmp_path: Path) -> None:
    auth = tmp_path / "auth.toml"
    auth.write_text(f"{key_lines('ann', 'a')}{EVERYONE}[audit]\nredact = ['ssn']\n")
    options = ["--workers", "2", "--auth", str(auth), "--audit-log", str(tmp_path / "audit.jsonl")]
    logs = [tmp_path / f"audit-{place}.jsonl" for place in (1, 2)]
    with RedisServer() as store, Listening(*options, "--store", store.url) as server:
        until(lambda: all(log.exists() for log in logs))
        with server.connect() as connection:
            connection.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
            assert "Say who you are" in str(connection.read_answer())
        server.tell()
        assert server.wait() == 0
    records = [record for log in logs for record in read_records(log)]
    assert [record["refused_by"] for record in records] == ["gate"]


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed() -> None:
    workers: set[int] = set()
    killed = pytest.raises(
        AssertionError, match="with 2 workers"
    )  # it does not end well, which is what is complained of
    with RedisServer() as store, killed, Listening("--workers", "2", "--store", store.url) as server:
        until(lambda: len(children(server)) == 2)
        workers |= children(server)
        server.tell(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        until(lambda: not any(map(is_running, workers)))
    assert workers
