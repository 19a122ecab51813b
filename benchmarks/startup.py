"""Start-up beside the peer: spawn to the first `initialize` answer, to the first `tools/list` answer, and memory.

    uv run benchmarks/startup.py [ROUNDS]

Every round starts each server once, in turn, so that whatever else the machine does falls on all of them; what is
printed are medians with their spread, and ratios to the peer. Memory is the resident set after the second answer.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

Message = dict[str, object]

HERE = Path(__file__).parent
PEER = "mcp 2.3, one tool"
HANDSHAKE: Message = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
INITIALIZED: Message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST: Message = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


class Start(NamedTuple):
    """One start: milliseconds to both answers, mebibytes resident."""

    initialize: float
    tools_list: float
    memory: float


def start(command: list[str]) -> Start:
    """Start a server once and measure."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        first = exchange(process, [HANDSHAKE], 1)
        initialized = time.perf_counter() - began
        second = exchange(process, [INITIALIZED, LIST], 2)
        listed = time.perf_counter() - began
        memory = resident(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
    assert "serverInfo" in first, first
    assert second["tools"], second
    return Start(initialized * 1000, listed * 1000, memory)


def exchange(process: subprocess.Popen[bytes], messages: list[Message], identifier: int) -> dict[str, object]:
    """Send messages and return the result of the answer with this id."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    process.stdin.flush()
    while line := process.stdout.readline():
        answer = json.loads(line)
        if answer.get("id") == identifier:
            return answer["result"]
    raise RuntimeError(f"{process.args!r} ended without an answer")


def resident(pid: int) -> float:
    """The resident set of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def main(rounds: int) -> None:
    """Measure every server `rounds` times, interleaved, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "shop.db")
        servers = {
            PEER: [sys.executable, str(HERE / "peers" / "official_sdk.py")],
            "mcp-kernel, one tool": [sys.executable, str(HERE / "peers" / "kernel.py")],
            "mcp-server-sqlite": [sys.executable, "-m", "mcp_server_sqlite", "--db-path", database, "--sample"],
        }
        starts: dict[str, list[Start]] = {name: [] for name in servers}
        for turn in range(rounds + 1):
            for name, command in servers.items():
                measured = start(command)
                if turn:  # the first round fills the caches of the file system and of bytecode
                    starts[name].append(measured)
    show(starts)


def show(starts: dict[str, list[Start]]) -> None:
    """Print medians, their spread, and the ratio to the peer."""
    print(f"{'':24}{'initialize':>22}{'tools/list':>22}{'memory':>20}")
    for name, measured in starts.items():
        cells = [
            cell([each[column] for each in measured], [each[column] for each in starts[PEER]], unit)
            for column, unit in enumerate(("ms", "ms", "MiB"))
        ]
        print(f"{name:24}" + "".join(f"{each:>22}" for each in cells))


def cell(values: list[float], peer: list[float], unit: str) -> str:
    """One median with its spread and ratio."""
    median = statistics.median(values)
    spread = statistics.quantiles(values, n=4)
    ratio = median / statistics.median(peer)
    return f"{median:.0f}±{(spread[2] - spread[0]) / 2:.0f} {unit} ({ratio:.2f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
