"""Limits on the command line of a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

from tests.oracle import Witness
from tests.served import serve
from tests.stage import META, MODERN

EVERYTHING = [sys.executable, "-m", "mcp_server_everything"]


def post(url: str, number: int, witness: Witness) -> tuple[dict[str, Any], str | None]:
    """Call a tool; returns the result and `Retry-After`."""
    params = {"name": "test_simple_text", "arguments": {}, "_meta": META}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    witness.see("client", message)
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        "mcp-name": "test_simple_text",
    }
    request = urllib.request.Request(url, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        said: Any = witness.see("server", answer.read())
        return said["result"], answer.headers["retry-after"]


def test_a_server_that_is_told_so_refuses_what_is_too_much() -> None:
    witness = Witness()
    with serve(EVERYTHING, ["--transport", "http", "--rate-limit", "3/hour"]) as url:
        answers = [post(url, number, witness) for number in range(5)]
    assert [result.get("isError", False) for result, _ in answers] == [False] * 3 + [True] * 2
    assert [after for _, after in answers[:3]] == [None] * 3
    assert all(1000 < int(after or 0) <= 1200 for _, after in answers[3:])


def test_a_rate_that_is_none_ends_the_program_with_one_line() -> None:
    done = subprocess.run(
        [*EVERYTHING, "--rate-limit", "many"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--rate-limit many: write a number and a period, as 60/minute" in done.stderr
