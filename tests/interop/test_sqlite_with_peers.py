"""The SQLite server as the field's own SDK sees it, over stdio; every message either side sends is judged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.oracle import Witness

HERE = Path(__file__).parent
SERVER = Path(sys.executable).with_name("mcp-server-sqlite")

MODERN = [sys.executable, str(HERE / "sdk_2.py"), "auto"]
LEGACY = [sys.executable, str(HERE / "sdk_2.py"), "legacy"]
ALONE = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, "--with", "mcp==1.30.0"]
FIRST = [*ALONE, "python", str(HERE / "sdk_1.py")]


def ask(peer: list[str], folder: Path) -> tuple[dict[str, Any], Witness]:
    """What the peer learns from the server, and the witness of how."""
    transcript = folder / "transcript"
    server = [str(SERVER), "--db-path", str(folder / "x.db"), "--sample"]
    relay = [sys.executable, str(HERE / "relay.py"), str(transcript)]
    done = subprocess.run([*peer, *relay, *server], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    witness = Witness()
    for line in transcript.read_text("utf-8").splitlines():
        witness.see(*json.loads(line))
    return json.loads(done.stdout), witness


@pytest.mark.parametrize(
    ("peer", "revision"),
    [
        pytest.param(MODERN, "2026-07-28", id="mcp-2.3-modern"),
        pytest.param(LEGACY, "2025-11-25", id="mcp-2.3-legacy"),
        pytest.param(FIRST, "2025-11-25", id="mcp-1.30", marks=pytest.mark.slow),
    ],
)
def test_a_client_of_the_peer_lists_calls_reads_gets_and_completes(
    peer: list[str], revision: str, tmp_path: Path
) -> None:
    if shutil.which(peer[0]) is None:
        pytest.skip("uv makes the environment for the other version of the peer, and is not on the path")
    learned, witness = ask(peer, tmp_path)
    assert learned["revision"] == revision
    assert learned["tools"] == ["query", "list_tables", "describe_table", "explain_query"]
    assert learned["query"]["rows"] == [[42]]
    assert learned["refused"] == [True, True]
    assert "db://schema" in learned["resources"]
    assert learned["templates"] == ["db://tables/{table}", "db://tables/{table}/schema"]
    assert "CREATE TABLE" in learned["schema"]
    assert learned["prompts"] == ["analyze-table", "write-query"]
    assert "customers" in learned["prompt"]
    assert learned["completion"] == ["customers"]
    assert witness.unanswered() == []
    assert len(witness.seen) >= 20
