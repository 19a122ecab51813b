"""`doctor` launches what a host would, and says what is wrong without telling a secret."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.console.conftest import Shell, program
from tests.stage import scene

from mcp_kernel.console import doctor
from mcp_kernel.console.checkup import Checkup

if TYPE_CHECKING:
    from mcp_kernel.client.configuration import ServerEntry

EVERYTHING: dict[str, Any] = {"command": sys.executable, "args": ["-m", "mcp_server_everything"]}
SQLITE: dict[str, Any] = {
    "command": sys.executable,
    "args": ["-m", "mcp_server_sqlite", "--db-path", "x.db", "--sample"],
}
NOISY = "print('Starting up', flush=True)\nimport mcp_server_everything.cli as c; c.main()"
# An old server without hints, written by hand.
BARE = """
import json, sys
TOOL = {"name": "act", "inputSchema": {"type": "object"}}
SAID = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "bare", "version": "1"}}
ANSWERS = {"initialize": SAID, "tools/list": {"tools": [TOOL]}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        result = ANSWERS.get(asked["method"])
        said = {"result": result} if result else {"error": {"code": -32601, "message": "no"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}), flush=True)
"""
SECRET = "sk-" + "proj-9f8Ae7D6c5b4A3k2"


def diagnose(shell: Shell, limit: str = "20", **servers: object) -> tuple[dict[str, Any], int]:
    """What the doctor says of these servers, by name, and its exit code."""
    done = shell.run("doctor", shell.write("mcp.json", **servers), "--json", "--timeout", limit)
    (report,) = json.loads(done.stdout)
    return {each["server"]: each for each in report["servers"]}, done.returncode


def test_servers_that_are_well_are_fine(shell: Shell) -> None:
    path = shell.write("mcp.json", all=EVERYTHING, db=SQLITE)
    done = shell.run("doctor", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 servers, all are fine" in done.stdout
    assert "2026-07-28 (modern)" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80


def test_the_numbers_of_a_server_are_told(shell: Shell) -> None:
    found, code = diagnose(shell, db=SQLITE)
    assert code == 0
    assert 0 < found["db"]["seconds"] < 5
    assert found["db"]["era"] == "modern"
    assert found["db"]["tokens"] > 100
    assert "query" in found["db"]["tools"]


def test_a_server_that_does_not_start_is_told_with_its_reason(shell: Shell) -> None:
    found, code = diagnose(
        shell,
        exits=program("import sys; sys.exit('no licence')"),
        absent={"command": "no-such-program"},
        keyless={"command": "x", "env": {"KEY": "${env:NO_SUCH_VARIABLE}"}},
        wrong={"command": 7, "type": "carrier pigeon"},
        fine=EVERYTHING,
    )
    assert code == 1
    assert "no licence" in found["exits"]["failure"]
    assert "not found on the PATH" in found["absent"]["failure"]
    assert "NO_SUCH_VARIABLE" in found["keyless"]["failure"]
    assert "stdio, http or sse" in found["wrong"]["failure"]
    assert found["fine"]["problems"] == []


def test_a_server_that_hangs_is_not_waited_for_long(shell: Shell) -> None:
    found, code = diagnose(shell, "0.5", hangs=program("import sys; sys.stdin.read()"))
    assert code == 1
    assert found["hangs"]["failure"] == "no answer came within 0.5 s"


@pytest.mark.contrary
def test_noise_on_stdout_is_told(shell: Shell) -> None:
    found, code = diagnose(shell, noisy=program(NOISY))
    assert code == 1
    assert found["noisy"]["failure"] is None
    assert "Starting up" in found["noisy"]["noise"][0]
    assert "belongs on stderr" in found["noisy"]["problems"][0]


def test_a_secret_is_told_by_its_place_alone(shell: Shell) -> None:
    quotes = "import os, sys; sys.exit(f'bad {sys.argv[2]} {os.environ[\"MY_TOKEN\"]}')"
    entry = program(quotes, "--api-key", SECRET, env={"MY_TOKEN": "quiet-words"})
    path = shell.write("mcp.json", leaky=entry, web={"url": f"http://127.0.0.1:9/mcp?key={SECRET}"})
    for words in ([], ["--json"]):
        done = shell.run("doctor", path, *words)
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert "argument 4" in " ".join(said.split())
        assert "bad *** ***" in " ".join(said.split())
        assert SECRET not in said
        assert "quiet-words" not in said


def test_tools_that_clash_and_tools_without_hints_are_told(shell: Shell) -> None:
    found, code = diagnose(shell, one=program(BARE), two=program(BARE), db=SQLITE)
    assert code == 1
    assert found["one"]["clashes"] == ["act (two)"]
    assert found["db"]["clashes"] == []
    assert found["db"]["problems"] == []
    alone, code = diagnose(shell, one=program(BARE))
    assert code == 0
    assert alone["one"]["unhinted"] == ["act"]
    assert (alone["one"]["revision"], alone["one"]["era"]) == ("2025-06-18", "legacy")
    assert "whether these tools change anything" in alone["one"]["remarks"][0]


def test_every_file_that_is_found_is_examined(shell: Shell) -> None:
    shell.write(".mcp.json", db=SQLITE)
    (shell.folder / ".vscode").mkdir()
    (shell.folder / ".vscode" / "mcp.json").write_text("{")
    done = shell.run("doctor", "--json")
    reports = {report["host"]: report for report in json.loads(done.stdout)}
    assert done.returncode == 1
    assert reports["claude-code"]["servers"][0]["problems"] == []
    assert "this is no JSON" in reports["vscode"]["failure"]


@scene
async def test_no_more_than_four_servers_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    async def check(entry: ServerEntry, limit: float) -> Checkup:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return Checkup(entry.name)

    monkeypatch.setattr(doctor, "check_server", check)
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {f"s{n}": {"command": "x"} for n in range(9)}}))
    report = doctor.read_file(path, None)
    await doctor.examine([report], 1.0)
    assert len(report.servers) == 9
    assert most == 4
