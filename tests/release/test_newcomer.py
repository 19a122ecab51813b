"""The place of a newcomer is empty: what is not told in the text is not there."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from mcp_release.newcomer import make_place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_newcomer_has_python_and_git_and_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", "/a/cache/that/is/full")
    monkeypatch.setenv("MCP_STATE_KEY", "ours")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")
    home, root = tmp_path / "home", tmp_path / "checkout"
    (root / ".venv").mkdir(parents=True)
    (root / "README.md").write_text("# A checkout\n")
    home.mkdir()
    environment = make_place(home, root)
    look = "for name in python3 pip git uv uvx mcp-kernel; do command -v $name >/dev/null && echo $name; done; env"
    done = subprocess.run(["bash", "-c", look], env=environment, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert said[:3] == ["python3", "pip", "git"]
    assert "uv" not in said
    assert "mcp-kernel" not in said
    assert f"HOME={home}" in said
    assert "PIP_DEFAULT_TIMEOUT=60" in said
    assert not [line for line in said if line.startswith(("UV_CACHE_DIR=", "MCP_", "VIRTUAL_ENV="))]
    assert sorted(path.name for path in (home / "mcp-servers").iterdir()) == [".git", "README.md"]
