"""What is published stands alone: each wheel in an environment of its own, and the README's first command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVERS = sorted(path.name for path in (ROOT / "servers").iterdir() if (path / "pyproject.toml").is_file())
HANDSHAKE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ARGUMENTS = {
    "postgres": ["postgresql://localhost/none"],
    "sqlite": ["--db-path", "shop.db", "--sample"],
    "ticketing": ["--db-path", "tickets.db"],
    "vector": ["--data-dir", "data"],
}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")]


def run(command: list[str], folder: Path, text: str = "") -> str:
    """Run a command outside the checkout's environment and return what it wrote to stdout."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every package of the workspace, built."""
    folder = tmp_path_factory.mktemp("wheels")
    run(["uv", "build", "--quiet", "--all-packages", "--out-dir", str(folder)], ROOT)
    return folder


@pytest.mark.parametrize("server", SERVERS)
def test_a_wheel_serves_in_an_environment_of_its_own(server: str, wheels: Path, tmp_path: Path) -> None:
    # By path: an index may have another package of the same name, in a higher version.
    wheel = next(wheels.glob(f"mcp_server_{server}-*.whl"))
    run(["uv", "venv", "--quiet", "own"], tmp_path)
    python = str(tmp_path / "own" / "bin" / "python")
    run(["uv", "pip", "install", "--quiet", "--python", python, "--find-links", str(wheels), str(wheel)], tmp_path)
    command = [str(tmp_path / "own" / "bin" / f"mcp-server-{server}"), *ARGUMENTS.get(server, [])]
    answer = json.loads(run(command, tmp_path, json.dumps(HANDSHAKE) + "\n"))
    assert answer["result"]["serverInfo"]["name"] == f"mcp-server-{server}"


def test_a_wheel_holds_its_licence_and_its_type_marker(wheels: Path, tmp_path: Path) -> None:
    for wheel in (*wheels.glob("mcp_kernel-*.whl"), *wheels.glob("mcp_server_*.whl")):  # what is published
        names = run(["python3", "-m", "zipfile", "--list", str(wheel)], tmp_path)
        assert "LICENSE" in names, wheel.name
        assert "py.typed" in names, wheel.name
        assert "tests/" not in names, wheel.name


def test_the_kernels_wheel_holds_the_page(wheels: Path, tmp_path: Path) -> None:
    wheel = next(wheels.glob("mcp_kernel-*.whl"))
    names = run(["python3", "-m", "zipfile", "--list", str(wheel)], tmp_path)
    files = list((ROOT / "shared/src/mcp_kernel/page/files").iterdir())
    assert files
    assert [file.name for file in files if f"mcp_kernel/page/files/{file.name}" not in names] == []


def test_the_first_command_of_the_readme_ends_in_a_server_on_real_data(tmp_path: Path) -> None:
    found = re.search(r"^pip install uv && uvx --from \./(\S+) (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert found is not None
    command = ["uvx", "--from", str(ROOT / found[1]), *found[2].split()]
    query = {"name": "query", "arguments": {"sql": "SELECT count(*) FROM orders"}}
    calls = [HANDSHAKE, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": query}]
    answers = run(command, tmp_path, "".join(json.dumps(call) + "\n" for call in calls)).splitlines()
    assert json.loads(answers[1])["result"]["structuredContent"]["rows"][0][0] > 0
