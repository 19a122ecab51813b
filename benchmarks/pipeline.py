"""What the stages of a shared deployment cost: the same server with one of them on, with all, and with none.

    uv run benchmarks/pipeline.py [ROUNDS] [CALLS]

Calls per second and CPU seconds of the server for 10,000 stateless `tools/call` over HTTP, at 32 connections, in
turn in each round; medians, and the ratio of the CPU to that of the server without stages.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from speed.accounting import cpu
from speed.sockets import ECHO, META, MODERN_HEADERS, load, post, serving

KEYED = Path(__file__).parent / "contenders" / "keyed.py"
CONCURRENCY = 32
SECRET = "b" * 43
SETTINGS = f"""
[[keys]]
name = "ann"
hash = "sha256:{sha256(SECRET.encode()).hexdigest()}"
roles = ["staff"]

[roles.staff]
tools = ["echo"]
"""
LIMITS = """
[limits]
rate = "100000000/minute"
concurrent = 1000
[limits.tools.echo]
rate = "100000000/minute"
timeout = 30
"""


class Target(NamedTuple):
    """A server under load."""

    name: str
    command: list[str]
    port: int


def targets(folder: Path) -> list[Target]:
    """The servers, each with its options."""
    (folder / "keys.toml").write_text(SETTINGS, "utf-8")
    (folder / "all.toml").write_text(SETTINGS + LIMITS, "utf-8")
    keys, everything = ["--auth", str(folder / "keys.toml")], ["--auth", str(folder / "all.toml")]
    rate = ["--rate-limit", "100000000/minute"]
    options: dict[str, list[str]] = {
        "nothing": [],
        "limits": rate,
        "audit log": ["--audit-log", str(folder / "log")],
        "audit log, required": ["--audit-log", str(folder / "required"), "--audit-required"],
        "answers by key": [],
        "keys and policy": keys,
        "metrics": ["--metrics"],
        "everything": [*everything, "--audit-log", str(folder / "all"), "--metrics"],
    }
    return [
        Target(name, [sys.executable, str(KEYED), "--transport", "http", "--port", str(port), *words], port)
        for port, (name, words) in enumerate(options.items(), 8151)
    ]


def request(target: Target) -> bytes:
    """The call of a target: with a key where answers are found by one, with credentials for all."""
    arguments = b'{"name":"echo","arguments":{"text":"hello","key":"k"}%b}' if _is_keyed(target) else ECHO
    body = b'{"jsonrpc":"2.0","id":100,"method":"tools/call","params":' + arguments % META + b"}"
    return post(target.port, body, MODERN_HEADERS + b"X-API-Key: " + SECRET.encode() + b"\r\n")


def _is_keyed(target: Target) -> bool:
    return target.name in ("answers by key", "everything")


def main(rounds: int, calls: int) -> None:
    """Measure all, round by round, and print the table."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        running = [
            (target, stack.enter_context(serving(target.command, target.port))) for target in targets(Path(folder))
        ]
        for turn in range(rounds + 1):
            for target, pid in running:
                before, began = cpu(pid), time.perf_counter()
                asyncio.run(load(target.port, request(target), calls, CONCURRENCY))
                result = calls / (time.perf_counter() - began), (cpu(pid) - before) / calls * 10_000
                if turn:  # the first round warms up
                    found.setdefault(target.name, []).append(result)
    show(found)


def show(found: dict[str, list[tuple[float, float]]]) -> None:
    """Print medians, with the ratio to no stages at all."""
    floor = _median([spent for _, spent in found["nothing"]])
    print(f"{'what is on':24}{'calls / s':>12}{'CPU s / 10,000':>18}{'ratio':>8}")
    for name, results in found.items():
        spent = _median([each[1] for each in results])
        print(f"{name:24}{_median([each[0] for each in results]):>12.0f}{spent:>18.2f}{spent / floor:>8.2f}")


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(given[0] if given else 5, given[1] if len(given) > 1 else 2000)
