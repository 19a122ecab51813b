"""The support agent's work, done by the client of the field's own SDK; every message either side sends is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.interop.tap import Tap
from tests.oracle import Witness
from tests.transports.listening import Listening

HERE = Path(__file__).parent
SERVER = [sys.executable, "-m", "mcp_server_ticketing"]
PEER = [sys.executable, str(HERE / "agent_of_sdk_2.py")]

in_both_modes = pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])


def run(*words: str) -> dict[str, Any]:
    """What the peer's agent met on its way."""
    done = subprocess.run([*PEER, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(met: dict[str, Any], revision: str) -> None:
    """Everything happened that happens to our own agent."""
    assert met["revision"] == revision
    assert "close_ticket" in met["tools"]
    assert "| 42 | urgent |" in met["before"]
    assert "They cannot log in." in met["summary"]
    instruction, ticket = met["prompt"]
    assert 'begin with "Hi,"' in instruction
    assert ticket.startswith("[untrusted text ")
    assert met["closed"] == [{"success": True, "closed_ticket_id": "42"}] * 2
    assert "| 42 |" not in met["after"]
    sampled, confirmed = met["asked"]  # and nothing for the call that was repeated
    assert sampled.startswith("You summarize support tickets")
    assert confirmed.startswith("Close ticket 42 (urgent, of a pro customer)")


@in_both_modes
def test_the_peer_s_client_closes_ticket_42_over_stdio(mode: str, revision: str, tmp_path: Path) -> None:
    transcript = tmp_path / "transcript"
    relay = [sys.executable, str(HERE / "relay.py"), str(transcript)]
    check(run(mode, *relay, *SERVER, "--db-path", str(tmp_path / "x.db")), revision)
    witness = Witness()
    for line in transcript.read_text("utf-8").splitlines():
        witness.see(*json.loads(line))
    assert witness.unanswered() == []


@in_both_modes
def test_the_peer_s_client_closes_ticket_42_over_http(mode: str, revision: str, tmp_path: Path) -> None:
    with Listening(command=[*SERVER, "--db-path", str(tmp_path / "x.db")]) as server:
        assert isinstance(server.address, tuple)
        with Tap(server.address[1]) as tap:
            check(run(mode, f"http://127.0.0.1:{tap.port}/mcp"), revision)
    witness = Witness()
    for sender, data in tap.messages:
        witness.see(sender, data)
    assert witness.unanswered() == []
