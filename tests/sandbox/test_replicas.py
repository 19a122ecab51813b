"""The sandbox with several processes of each server, which take turns."""

from __future__ import annotations

import shutil
import subprocess
import sys

import httpx
import pytest
from tests.sandbox.playground import NAMES, Playground
from tests.transports.host import surroundings

pytestmark = pytest.mark.slow

OPENING = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tester", "version": "1"}}


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_replicas_share_every_session_and_nothing_of_them_stays() -> None:
    with Playground("--replicas", "2") as sandbox:
        served = {server["name"]: server["url"] for server in sandbox.table["servers"]}
        assert list(served) == list(NAMES)
        assert None not in served.values(), sandbox.table
        for name, url in served.items():
            with httpx.Client() as client:

                def ask(number: int, method: str, params: object, headers: dict[str, str]) -> httpx.Response:
                    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                    return client.post(url, json=message, headers=headers, timeout=30)  # noqa: B023  # called in this turn

                opened = ask(0, "initialize", OPENING, {})
                session = {"mcp-session-id": opened.headers["mcp-session-id"]}
                assert [ask(number, "ping", {}, session).status_code for number in range(1, 5)] == [200] * 4, name
        running = [each.command for each in sandbox.processes()]
        counted = {name: sum(f"mcp_server_{name}" in each for each in running) for name in NAMES}
        assert counted == {name: 1 if name == "vector" else 2 for name in NAMES}


@pytest.mark.parametrize("count", ["0", "17", "two"])
def test_a_count_that_makes_no_sense_is_refused(count: str) -> None:
    command = [sys.executable, "-m", "mcp_sandbox", "--replicas", count]
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not a whole number from 1 to 16" in done.stderr
