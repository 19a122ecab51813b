"""What is refused before it is a request in flight is in the audit log too, and a flood does not fill the disk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.operations.logs import NOON, read_records, verify
from tests.operations.shop import make_server
from tests.stage import META, MODERN, scene, scene_out_of_time
from tests.transports.guests import Member

from mcp_kernel.operations.audit_file import AuditFile
from mcp_kernel.operations.audit_refusals import Refusals
from mcp_kernel.operations.audit_writer import AuditWriter
from mcp_kernel.server.principal import Knock, Principal, Refusal, Refused
from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp_kernel import Server

KEY = {"authorization": "x"}
HEADERS = {**KEY, "mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
SECRET = "Bearer abcdefghijklmnopqrstuvwxyz"


class OneKey:
    """A gate that lets one in."""

    async def admit(self, knock: Knock) -> Principal | Refusal:
        """Ask for the word."""
        return Principal("ann") if knock.values(b"authorization") else Refusal(401, "Who are you?")

    def document(self, knock: Knock) -> bytes | None:
        """There is none."""

    async def close(self) -> None:
        """Hold nothing."""


@asynccontextmanager
async def recorded(path: Path, gate: OneKey | None = None) -> AsyncGenerator[tuple[Site, Server]]:
    """A server whose refusals are written down."""
    server, log = make_server(), AuditWriter(AuditFile(path, NOON))
    server.refusals = Refusals(log, lambda: NOON)
    app = HttpApp(server, HttpOptions(gate=gate, body_limit=1000))
    async with Site(app) as site:
        yield site, server
    await server.refusals.close()
    await log.close()


def call(method: str = "tools/list", meta: object = META) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}


PLAIN: list[tuple[str, dict[str, Any], dict[str, object]]] = [
    ("{}", {"host": "evil.example", **KEY}, {"refused_by": "admission", "status": 421, "principal": None}),
    ("{}", {"origin": "https://evil.example", **KEY}, {"refused_by": "admission", "status": 403}),
    ("{}", {}, {"refused_by": "gate", "status": 401, "principal": None, "reason": "Who are you?"}),
    ("{}", {"content-type": "text/plain", **KEY}, {"refused_by": "http", "status": 415, "principal": "ann"}),
    ("x" * 2000, KEY, {"refused_by": "http", "status": 413, "principal": "ann"}),
    ("{", KEY, {"refused_by": "protocol", "status": 400, "code": -32700, "principal": "ann"}),
    ('{"id":1}', KEY, {"refused_by": "protocol", "code": -32600}),
    (json.dumps(call("tools/list", {})), HEADERS, {"refused_by": "protocol", "code": -32602, "method": "tools/list"}),
    (json.dumps(call("made/up")), {**HEADERS, "mcp-method": "made/up"}, {"code": -32601, "method": "made/up"}),
    (json.dumps(call()), {**HEADERS, "mcp-method": "tools/call"}, {"code": -32020, "method": "tools/list"}),
]


@pytest.mark.parametrize(("body", "headers", "expected"), PLAIN)
def test_each_request_over_http_that_is_refused_leaves_a_line(
    tmp_path: Path, body: str, headers: dict[str, str], expected: dict[str, object]
) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with recorded(path, OneKey()) as (site, _):
            assert await site.post(body.encode(), headers, malformed=True).started() >= 400

    play()
    (record,) = read_records(path)
    assert {name: record.get(name) for name in expected} == expected
    assert (record["event"], record["decision"], record["address"]) == ("refused", "refused", "127.0.0.1")
    assert record["reason"]
    assert verify(path) == 0


def test_what_a_session_is_refused_leaves_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with recorded(path) as (site, _):
            member = Member(site)
            await member.open()
            await site.post(member.message("made/up", {}), member.headers, malformed=True).whole()
            await site.post(member.message("ping", {}), {**member.headers, "mcp-session-id": "0" * 32}).whole()

    play()
    unknown, lost = read_records(path)
    assert (unknown["method"], unknown["code"], unknown["refused_by"]) == ("made/up", -32601, "protocol")
    assert (lost["http"], lost["status"], lost["refused_by"]) == ("POST /mcp", 404, "http")


def test_a_flood_from_one_address_is_counted_and_others_are_still_seen(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with recorded(path) as (_, server):
            assert server.refusals is not None
            for number in range(100_000):
                server.refusals(Refused(by="gate", reason=SECRET, principal=None, address="10.0.0.1", status=401))
                if number == 50_000:
                    server.refusals(Refused(by="gate", reason="x", principal=None, address="10.0.0.2", status=401))

    play()
    records = read_records(path)
    assert path.stat().st_size < 100_000
    assert sum(record.get("more", 0) + ("address" in record) for record in records) == 100_001
    assert [record.get("address") for record in records].count("10.0.0.2") == 1
    assert "more" in records[-1]
    assert "abcdefghij" not in path.read_text()


@scene_out_of_time
async def test_a_count_that_no_line_takes_is_written_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    lines = list[Any]()

    class Log:
        note = lines.append

    refusals = Refusals(Log(), lambda: NOON)  # pyright: ignore[reportArgumentType]  # all that is asked of it
    for _ in range(65):
        refusals(Refused(by="gate", reason="x", principal=None, address="10.0.0.1"))
    assert len(lines) == 60
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(61, over.set)
    await over.wait()
    assert lines[60:] == [{"time": lines[0]["time"], "event": "refused", "decision": "refused", "more": 5}]


def test_over_a_pipe_what_is_refused_leaves_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = ["{", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', json.dumps(call("made/up"))]
    command = [sys.executable, "-m", "mcp_server_everything", "--audit-log", str(path)]
    done = subprocess.run(
        command, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.count("error") == 3, done.stdout
    records = [record for record in read_records(path) if record["event"] == "refused"]
    assert [(record.get("method"), record["code"]) for record in records] == [
        (None, -32700),
        ("tools/list", -32600),
        ("made/up", -32601),
    ]
    assert verify(path) == 0
