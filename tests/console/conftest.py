"""The command `mcp-kernel` in a process of its own, in a home and a folder where nothing else is configured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "mcp_kernel"]
PATIENCE = 30.0


@dataclass(frozen=True)
class Shell:
    """Runs commands; `folder` is where they run, and the user's home."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "COLUMNS": "80"}

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
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
