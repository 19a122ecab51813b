"""The SQLite server as the field's own SDK sees it, over HTTP; every message either side sends is judged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.tap import Tap
from tests.oracle import Witness
from tests.transports.listening import Listening

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
SERVER = Path(sys.executable).with_name("mcp-server-sqlite")

MODERN = [sys.executable, str(HERE / "sdk_2.py"), "auto"]
LEGACY = [sys.executable, str(HERE / "sdk_2.py"), "legacy"]
ALONE = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, "--with", "mcp==1.30.0"]
FIRST = [*ALONE, "python", str(HERE / "sdk_1.py")]


@pytest.fixture(scope="module", params=["http", "sse"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Listening]:
    database = str(tmp_path_factory.mktemp("interop") / "x.db")
    with Listening("--transport", request.param, command=[str(SERVER), "--db-path", database, "--sample"]) as server:
        yield server


def ask(peer: list[str], server: Listening, path: str) -> tuple[dict[str, Any], Witness]:
    """What the peer learns from the server, and the witness of how."""
    if shutil.which(peer[0]) is None:
        pytest.skip("uv makes the environment for the other version of the peer, and is not on the path")
    assert isinstance(server.address, tuple)
    with Tap(server.address[1]) as tap:
        url = f"http://127.0.0.1:{tap.port}{path}"
        done = subprocess.run([*peer, url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    witness = Witness()
    for sender, data in tap.messages:
        witness.see(sender, data)
    return json.loads(done.stdout), witness


@pytest.mark.parametrize(
    ("server", "peer", "path", "revision"),
    [
        pytest.param("http", MODERN, "/mcp", "2026-07-28", id="mcp-2.3-modern"),
        pytest.param("http", LEGACY, "/mcp/", "2025-11-25", id="mcp-2.3-legacy"),
        pytest.param("http", FIRST, "/mcp", "2025-11-25", id="mcp-1.30", marks=pytest.mark.slow),
        pytest.param("sse", FIRST, "/sse", "2025-11-25", id="mcp-1.30-sse", marks=pytest.mark.slow),
    ],
    indirect=["server"],
)
def test_a_client_of_the_peer_lists_calls_reads_gets_and_completes_over_http(
    server: Listening, peer: list[str], path: str, revision: str
) -> None:
    learned, witness = ask(peer, server, path)
    assert learned["revision"] == revision
    assert learned["tools"] == ["query", "list_tables", "describe_table", "explain_query"]
    assert learned["query"]["rows"] == [[42]]
    assert learned["refused"] == [True, True]
    assert "db://schema" in learned["resources"]
    assert "CREATE TABLE" in learned["schema"]
    assert learned["prompts"] == ["analyze-table", "write-query"]
    assert learned["completion"] == ["customers"]
    assert witness.unanswered() == []
    assert len(witness.seen) >= 20
