"""`[limits]` and `[audit]` of the file of `--auth`, on a real server that two people use."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from tests.operations.logs import read_records, verify
from tests.oracle import Witness
from tests.served import serve
from tests.stage import META, MODERN

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = [sys.executable, "-m", "mcp_server_everything"]

SETTINGS = """
[[keys]]
name = "ann"
hash = "sha256:{ann}"
roles = ["staff"]

[[keys]]
name = "robot"
hash = "sha256:{robot}"
roles = ["machine"]

[roles.staff]
tools = ["*"]

[roles.machine]
tools = ["test_simple_text"]

[limits.roles.machine]
rate = "2/hour"

[audit]
arguments = "digest"
"""


def write_settings(path: Path, more: str = "") -> Path:
    hashes = {name: sha256(name.encode() * 16).hexdigest() for name in ("ann", "robot")}
    path.write_text(SETTINGS.format(**hashes) + more)
    return path


def call(url: str, key: str, tool: str, number: int, witness: Witness) -> dict[str, Any]:
    params = {"name": tool, "arguments": {"a": 1}, "_meta": META}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    witness.see("client", message)
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    headers |= {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool, "x-api-key": key * 16}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(message).encode(), headers), timeout=10) as got:
        answer: Any = witness.see("server", got.read())
    return answer.get("result") or answer["error"]


def test_limits_of_roles_and_the_log_of_a_server_with_keys(tmp_path: Path) -> None:
    settings, log = write_settings(tmp_path / "auth.toml"), tmp_path / "audit.jsonl"
    options = ["--transport", "http", "--auth", str(settings), "--audit-log", str(log)]
    witness = Witness()
    with serve(EVERYTHING, options) as url:
        robot = [call(url, "robot", "test_simple_text", number, witness) for number in range(3)]
        ann = [call(url, "ann", "test_simple_text", 10 + number, witness) for number in range(5)]
        hidden = call(url, "robot", "test_error_handling", 20, witness)
        with pytest.raises(HTTPError, match="401"):
            call(url, "eve", "test_simple_text", 21, Witness())
    assert ["Too many" in str(result) for result in [*robot, *ann]] == [False, False, True] + [False] * 5
    assert "Unknown tool" in hidden["message"]
    records = read_records(log)
    assert [record["principal"] for record in records] == ["key robot"] * 3 + ["key ann"] * 5 + ["key robot", None]
    assert [record.get("refused_by") for record in records[2::6]] == ["limit", "policy"]
    assert records[-1]["refused_by"] == "gate"
    assert set(records[0]["arguments"]) == {"sha256"}
    assert verify(log) == 0


def test_what_is_wrong_with_the_settings_is_said_with_its_line(tmp_path: Path) -> None:
    wrong = '\n[limits]\nrate = "often"\nburst = 5\n[limits.tools.echo]\ntimeout = -1\n'
    settings = write_settings(tmp_path / "auth.toml", wrong)
    command = [*EVERYTHING, "--transport", "http", "--port", "0", "--auth", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    lines = settings.read_text().splitlines()
    for text, complaint in [
        ('rate = "often"', "limits.rate is no rate"),
        ("burst = 5", "limits.burst is unknown"),
        ("timeout = -1", "limits.tools.echo.timeout is not a number of seconds"),
        ("[audit]", "audit is about a log that there is not: add --audit-log FILE"),
    ]:
        assert f"auth.toml:{lines.index(text) + 1}: {complaint}" in done.stderr


def test_names_that_the_server_does_not_have_are_told_with_their_lines(tmp_path: Path) -> None:
    more = """
[roles.clerk]
tools = ["test_simple_txt", "test_*", "*_gone"]
prompts = ["no_such"]
arguments = { test_reconnection = { speed = [1] } }
[limits.tools.tst_simple_text]
concurrent = 1
"""
    settings = write_settings(tmp_path / "auth.toml", more)
    options = ["--auth", str(settings), "--audit-log", str(tmp_path / "audit.jsonl")]
    command = [*EVERYTHING, "--transport", "http", "--port", "70000", *options]  # which is no port, so that it ends
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert "a port is a number up to" in done.stderr
    lines = settings.read_text().splitlines()
    told = [line for line in done.stderr.splitlines() if "this server has no" in line or "has no argument" in line]
    for text, doubts in [
        ('tools = ["test_simple_txt"', ["no tool test_simple_txt; did you mean test_simple_text?", "no tool *_gone;"]),
        ('prompts = ["no', ["this server has no prompt no_such; known are "]),
        ("arguments = {", ["test_reconnection has no argument speed, which this rule wants in each call"]),
        ("[limits.tools.tst", ["this server has no tool tst_simple_text; did you mean test_simple_text?"]),
    ]:
        (number,) = (number for number, line in enumerate(lines, 1) if line.startswith(text))
        for doubt in doubts:
            assert any(f"auth.toml:{number}: " in line and doubt in line for line in told), (doubt, told)
    assert len(told) == 5
