"""The command `mcp-kernel` in a process of its own, in a home and a folder where nothing else is configured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import watched
from tests.stage import is_contrary, judge_transcript

COMMAND = [sys.executable, str(Path(watched.__file__))]
PATIENCE = 30.0


@dataclass(frozen=True)
class Shell:
    """Runs commands; `folder` is where they run, and the user's home."""

    folder: Path

    @property
    def transcript(self) -> Path:
        """Where every message of the commands is written."""
        return self.folder / ".transcript"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "COLUMNS": "80", "WATCHED": str(self.transcript)}

    def run(self, *words: str, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *words],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def write(self, name: str = ".mcp.json", **servers: object) -> str:
        path = self.folder / name
        path.write_text(json.dumps({"mcpServers": servers}))
        return str(path)


def program(source: str, *words: str, **more: Any) -> dict[str, Any]:
    """An entry that starts this Python program."""
    return {"command": sys.executable, "args": ["-c", source, *words], **more}


@pytest.fixture
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A shell whose commands send and receive what the oracle allows; the marker `contrary` is honoured."""
    shell = Shell(tmp_path)
    yield shell
    judge_transcript(shell.transcript, contrary=is_contrary(request))
