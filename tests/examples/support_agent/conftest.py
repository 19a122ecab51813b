"""The support agent in a process of its own, with nothing set up but what a test sets up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.stage import is_contrary, judge_transcript

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, str(Path(__file__).with_name("watched_agent.py"))]
SERVER = [sys.executable, "-m", "mcp_server_ticketing"]
PATIENCE = 60.0


@dataclass(frozen=True)
class Office:
    """Where agents work: `folder` is where they run, and the user's home."""

    folder: Path

    @property
    def transcript(self) -> Path:
        """Where every message of the agents is written."""
        return self.folder / ".transcript"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "COLUMNS": "80", "WATCHED": str(self.transcript)}

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run an agent to its end, without a terminal."""
        done = subprocess.run(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
            cwd=self.folder,
            env={**self.environment, **variables},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def write(self, **servers: object) -> str:
        """A host's file with these servers."""
        path = self.folder / "servers.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        return str(path)

    def program(self, source: str, *words: str) -> dict[str, object]:
        """An entry of that file which starts this Python program here."""
        return {"command": sys.executable, "args": ["-c", source, *words], "cwd": str(self.folder)}

    def messages(self) -> list[tuple[str, str]]:
        """Who sent what so far."""
        lines = self.transcript.read_text("ascii").splitlines()
        return [(sender, text) for _, sender, text in map(json.loads, lines)]


@pytest.fixture
def office(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Office]:
    """An office whose agents send and receive what the oracle allows; the marker `contrary` is honoured."""
    office = Office(tmp_path)
    yield office
    judge_transcript(office.transcript, contrary=is_contrary(request))
