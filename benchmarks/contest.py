"""Servers side by side over stdio: the same calls, in turn, so that whatever else the machine does falls on all."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mcp_kernel.client import Client

OURS = "ours"
PEER = "peer"


@dataclass(frozen=True)
class Trial:
    """One call that both servers know: by how many `rounds` it is repeated, and what it is called in the table."""

    name: str
    tool: str
    arguments: Mapping[str, object]
    rounds: int = 30


@dataclass
class Measured:
    """Seconds for each round, by server."""

    ours: list[float] = field(default_factory=list[float])
    peer: list[float] = field(default_factory=list[float])


async def compete(ours: Sequence[str], peer: Sequence[str], trials: Sequence[Trial]) -> None:
    """Start both, make every call in turn on one and the other, and print medians, ratios and peak memory."""
    async with AsyncExitStack() as stack:
        clients = {
            OURS: await stack.enter_async_context(Client(ours, timeout=120)),
            PEER: await stack.enter_async_context(Client(peer, timeout=120)),
        }
        print(f"{'':34}{'ours ms':>12}{'peer ms':>12}{'ours / peer':>14}")
        for trial in trials:
            measured = await _measure(clients, trial)
            mine, theirs = statistics.median(measured.ours), statistics.median(measured.peer)
            print(f"{trial.name:34}{mine * 1000:12.2f}{theirs * 1000:12.2f}{mine / theirs:14.2f}")
        peaks = [peak(words) for words in (ours, peer)]
        print(f"{'peak memory, MiB':34}{peaks[0]:12.0f}{peaks[1]:12.0f}{peaks[0] / peaks[1]:14.2f}")


async def _measure(clients: Mapping[str, Client], trial: Trial) -> Measured:
    measured = Measured()
    for turn in range(trial.rounds + 1):
        for name, seconds in ((OURS, measured.ours), (PEER, measured.peer)):
            began = time.perf_counter()
            result = await clients[name].call_tool(trial.tool, trial.arguments)
            took = time.perf_counter() - began
            assert not result.is_error, (name, trial, result.text)
            if turn:  # the first round fills the caches
                seconds.append(took)
    return measured


def peak(words: Sequence[str]) -> float:
    """The largest resident set, in MiB, that a child of this process with these arguments has had."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            command = (status.parent / "cmdline").read_bytes().split(b"\0")[:-1]
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        given = [word.decode() for word in command]
        program = Path(words[0]).name
        if given[-len(words) + 1 :] == list(words)[1:] and program in (Path(each).name for each in given):
            return int(fields["VmHWM"].split()[0]) / 1024
    raise RuntimeError(f"no process runs {words}")


def install_npm(folder: Path, package: str) -> Path:
    """Install a package of the npm registry into a folder; returns its directory."""
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", package]
    subprocess.run(command, check=True, timeout=300)
    return folder / "node_modules" / package.rpartition("@")[0]


def install_python(folder: Path, *packages: str) -> Path:
    """Install packages of PyPI into an environment of their own; returns the folder with their scripts."""
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True, timeout=300)
    python = str(folder / "bin" / "python")
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *packages], check=True, timeout=300)
    return folder / "bin"
