"""The services of the Compose file as processes, and the client of its profile `smoke` against them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.house.source import ROOT
from tests.sandbox.engine import PATIENCE, Engine
from tests.sandbox.playground import NAMES
from tests.stage import judge_transcript, scene

from mcp_kernel import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

WATCHED = "from tests.watched import watch; watch(); from mcp_sandbox.cli import main; main()"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """All services up to the front, well."""
    if shutil.which("redis-server") is None and not os.environ.get("CI"):
        pytest.skip("redis-server is not installed")
    with Engine() as started:
        started.start("front")
        yield started


def smoke(engine: Engine, transcript: Path) -> subprocess.CompletedProcess[str]:
    """Run the smoke client with its own command, watched; every message is judged."""
    program, *words = engine.command(engine.services["smoke"])
    assert program == "sandbox"
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words],
        cwd=ROOT,
        env={**os.environ, "WATCHED": str(transcript)},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert judge_transcript(transcript) > 0
    return done


def test_the_smoke_client_finds_every_server_well(engine: Engine, tmp_path: Path) -> None:
    done = smoke(engine, tmp_path / "transcript")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [("ok", name) for name in NAMES for _ in range(2)], done.stdout
    assert done.returncode == 0


@scene
async def test_the_reader_of_the_database_can_read_and_do_nothing_else(engine: Engine) -> None:
    sql = (
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole, has_table_privilege('orders', 'INSERT, UPDATE, DELETE'), "
        "has_schema_privilege('public', 'CREATE'), has_database_privilege('postgres', 'CONNECT') "
        "FROM pg_roles WHERE rolname = user"
    )
    async with Client(f"http://{engine.addresses['front']}:8000/postgres/mcp") as client:
        found: Any = (await client.call_tool("query", {"sql": sql})).structured
    assert found["rows"] == [[False, False, False, False]]


@pytest.mark.parametrize("name", [*NAMES, "front"])
def test_each_answers_to_its_names_alone(engine: Engine, name: str) -> None:
    path = "/servers.json" if name == "front" else f"/{name}/mcp"
    url = f"http://{engine.addresses[name]}:8000{path}"
    assert httpx.get(url, headers={"host": "localhost:8000"}).status_code == (200 if name == "front" else 400)
    assert httpx.get(url, headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(url, headers={"origin": "https://evil.example", "host": "localhost"}).status_code == 403


def test_a_session_is_served_by_both_replicas_and_by_the_one_that_is_left(engine: Engine) -> None:
    info = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tester", "version": "1"}}
    with httpx.Client(base_url=f"http://{engine.addresses['front']}:8000", headers={"host": "localhost"}) as client:

        def ask(number: int, method: str, params: Any, **headers: str) -> httpx.Response:
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            return client.post("/everything/mcp", json=message, headers=headers)

        session = ask(0, "initialize", info).headers["mcp-session-id"]
        for name in ("everything", "everything-2"):
            straight = f"http://{engine.addresses[name]}:8000/everything/mcp"
            message = {"jsonrpc": "2.0", "id": name, "method": "ping"}
            headers = {"host": "localhost", "mcp-session-id": session}
            assert httpx.post(straight, json=message, headers=headers).status_code == 200, name
        engine.stop("everything")
        told = [ask(number, "ping", {}, **{"mcp-session-id": session}).status_code for number in range(1, 7)]
        assert told == [200] * 6
        engine.start("everything")


def test_the_passwords_are_in_no_command_and_in_no_log(engine: Engine) -> None:
    secrets = [each.read_text() for each in (engine.folder / "secrets").iterdir()]
    running = [each.pid for each in engine.processes.values() if each.poll() is None]
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in running]
    texts = [*commands, *(engine.log(name) for name in engine.services)]
    assert len(secrets) == 4
    assert not [text for text in texts for secret in secrets if secret in text]


def test_the_smoke_client_says_who_is_not_well(tmp_path: Path, engine: Engine) -> None:
    assert engine.stop("git") == 0
    done = smoke(engine, tmp_path / "transcript")
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("failed")]
    assert (done.returncode, failed) == (1, ["git", "git"])
