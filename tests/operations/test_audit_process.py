"""The audit log of real servers: over both transports, through kills, on a disk that is full."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import threading
import urllib.request
from typing import IO, TYPE_CHECKING, Any

import pytest
from tests.operations.logs import read_records, verify
from tests.operations.test_audit_writer import fill, small_disk
from tests.oracle import Witness
from tests.served import serve
from tests.stage import META, MODERN

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = [sys.executable, "-m", "mcp_server_everything"]


class Child:
    """A server on stdio, asked one thing after the other; what passes is judged."""

    def __init__(self, path: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*EVERYTHING, "--audit-log", str(path), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.witness = Witness()
        self.number = 0

    def pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe

    def call(self) -> dict[str, Any]:
        """Call a tool and return its result; raises `EOFError` where the server is gone."""
        self.number += 1
        params = {"name": "test_simple_text", "_meta": META}
        message = {"jsonrpc": "2.0", "id": self.number, "method": "tools/call", "params": params}
        self.witness.see("client", message)
        try:
            self.pipe(self.process.stdin).write(json.dumps(message).encode() + b"\n")
            self.pipe(self.process.stdin).flush()
        except BrokenPipeError:
            raise EOFError from None
        line = self.pipe(self.process.stdout).readline()
        if not line.endswith(b"\n"):
            raise EOFError
        said: Any = self.witness.see("server", line)
        return said["result"]

    def end(self) -> str:
        """Hang up and return what was said on stderr."""
        self.pipe(self.process.stdin).close()
        said = self.pipe(self.process.stderr).read().decode()
        assert self.process.wait(10) == 0
        self.close()
        return said

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.close()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                self.pipe(pipe).close()
            except BrokenPipeError:
                continue


def test_every_call_on_stdio_is_in_the_log_once_the_server_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        child = Child(path)
        for _ in range(5):
            child.call()
        assert child.end() == ""
    assert [record["tool"] for record in read_records(path)] == ["test_simple_text"] * 10
    assert verify(path) == 0


def post(url: str, number: int) -> None:
    params = {"name": "test_simple_text", "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    headers |= {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "test_simple_text"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        assert b'"result"' in answer.read()


def test_calls_that_come_together_over_http_are_all_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with serve(EVERYTHING, ["--transport", "http", "--audit-log", str(path), "--audit-required"]) as url:

        def ask(lot: int) -> None:
            for number in range(10):
                post(url, 10 * lot + number)

        threads = [threading.Thread(target=ask, args=(lot,)) for lot in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    records = read_records(path)
    assert [record["event"] for record in records].count("opened") == 80
    assert {record["call"] for record in records if record["event"] == "call"} == {record["call"] for record in records}
    assert verify(path) == 0


@pytest.mark.slow
def test_a_kill_loses_no_call_that_was_answered_where_the_log_is_required(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    answered = 0
    for turn in range(15):
        child = Child(path, "--audit-required")
        child.call()
        answered += 1
        timer = threading.Timer(0.01 + turn * 0.003, child.process.send_signal, (signal.SIGKILL,))
        timer.start()
        try:
            while True:
                child.call()
                answered += 1
        except EOFError:
            child.kill()
        timer.join(5)
        opened = [record for record in read_whole(path) if record["event"] == "opened"]
        assert len(opened) >= answered
    assert answered > 30
    child = Child(path)
    child.call()
    child.end()
    assert verify(path) == 0


def read_whole(path: Path) -> list[dict[str, Any]]:
    """The lines of a file whose last may be torn."""
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


@pytest.mark.parametrize("required", [False, True])
def test_a_full_disk_is_shouted_about_and_refused_only_where_the_log_is_required(
    required: bool, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        child = Child(disk / "audit.jsonl", *(["--audit-required"] if required else []))
        child.call()
        fill(disk)
        answers = [child.call() for _ in range(30)]
        assert answers[-1].get("isError", False) is required
        log = child.pipe(child.process.stderr)
        assert select.select([log], [], [], 10)[0]
        shouted = log.readline().decode()
        (disk / "ballast").unlink()
        assert "isError" not in child.call()
        said = shouted + child.end()
        assert said.count("cannot be written: No space left on device") == 1
        assert verify(disk / "audit.jsonl") == 0
        written = [record for record in read_records(disk / "audit.jsonl") if record["event"] == "call"]
        assert len(written) == 32


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--audit-required"], "add --audit-log FILE"),
        (["--audit-log", "/nowhere/audit.jsonl"], "/nowhere/audit.jsonl.head cannot be opened: No such file"),
        (["--audit-log", "/dev"], "--audit-log: /dev"),
    ],
)
def test_a_log_that_cannot_be_is_one_line_and_the_exit_code_of_bad_usage(options: list[str], text: str) -> None:
    done = subprocess.run([*EVERYTHING, *options], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert text in done.stderr


def test_a_server_says_who_has_the_log(tmp_path: Path) -> None:
    child = Child(tmp_path / "audit.jsonl")
    child.call()
    second = [*EVERYTHING, "--audit-log", str(tmp_path / "audit.jsonl")]
    done = subprocess.run(second, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "is written by another server: give each its own file" in done.stderr
    child.end()
