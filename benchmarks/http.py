"""HTTP beside the peer and the floor: server CPU for 10,000 calls and latency, in both eras, interleaved.

    uv run benchmarks/http.py [ROUNDS] [CALLS]
    uv run benchmarks/http.py sessions        memory of 1,000 open sessions, and after 10,000 abandoned ones

CPU seconds of the server, from the system's accounting, are the steadiest figure on a noisy machine. The floor is a
bare ASGI application with a constant answer under the same uvicorn.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

from load import Target, cpu, legacy_call, load, modern_call, open_session, resident, serving

HERE = Path(__file__).parent
PYTHON = sys.executable
FLOOR = Target("floor (ASGI constant)", [PYTHON, str(HERE / "peers" / "floor_http.py"), "8141"], 8141)
OURS = Target(
    "mcp-kernel",
    [PYTHON, str(HERE / "peers" / "kernel.py"), "--transport", "http", "--port", "8142", "--log-level", "error"],
    8142,
)
PEER = Target("mcp 2.3", [PYTHON, str(HERE / "peers" / "official_sdk_http.py"), "8143"], 8143)

Key = tuple[str, str, int]


def measure(target: Target, pid: int, era: str, calls: int, concurrency: int) -> tuple[float, float]:
    """CPU seconds for 10,000 calls, and the 99th percentile of latency in milliseconds."""

    async def run() -> list[float]:
        request = (
            modern_call(target.port) if era == "modern" else legacy_call(target.port, await open_session(target.port))
        )
        return await load(target.port, request, calls, concurrency)

    before = cpu(pid)
    latencies = asyncio.run(run())
    spent = (cpu(pid) - before) / calls * 10_000
    return spent, statistics.quantiles(latencies, n=100)[98] * 1000


def main(rounds: int, calls: int) -> None:
    """Measure all servers, round by round, and print the table."""
    found: dict[Key, list[tuple[float, float]]] = {}
    with serving(FLOOR) as floor, serving(OURS) as ours, serving(PEER) as peer:
        for turn in range(rounds + 1):
            for concurrency in (1, 32):
                for era in ("modern", "legacy"):
                    for target, pid in ((FLOOR, floor), (OURS, ours), (PEER, peer)):
                        if target is FLOOR and era == "legacy":
                            continue
                        result = measure(target, pid, era, calls, concurrency)
                        if turn:  # the first round warms up
                            found.setdefault((era, target.name, concurrency), []).append(result)
    show(found)


def show(found: dict[Key, list[tuple[float, float]]]) -> None:
    """Print medians with the ratio to the floor."""
    print(f"{'era':8}{'server':24}{'concurrency':>12}{'CPU s / 10,000':>18}{'to floor':>10}{'p99 ms':>10}")
    for (era, name, concurrency), results in sorted(found.items(), key=lambda item: (item[0][2], item[0][0])):
        spent = statistics.median(each[0] for each in results)
        floor = statistics.median(each[0] for each in found["modern", FLOOR.name, concurrency])
        late = statistics.median(each[1] for each in results)
        print(f"{era:8}{name:24}{concurrency:>12}{spent:>18.2f}{spent / floor:>10.1f}{late:>10.1f}")


def sessions() -> None:
    """Print what sessions cost, open and abandoned."""
    command = [*OURS.command, "--session-idle", "2"]

    async def open_many(port: int, number: int) -> None:
        limit = asyncio.Semaphore(32)

        async def one() -> None:
            async with limit:
                await open_session(port)

        await asyncio.gather(*(one() for _ in range(number)))

    for target in (Target(OURS.name, command, OURS.port), PEER):
        with serving(target) as pid:
            asyncio.run(open_many(target.port, 50))
            before = resident(pid)
            asyncio.run(open_many(target.port, 1000))
            opened = resident(pid)
            print(f"{target.name}: a session {(opened - before) * 1024 / 1000:.1f} KiB, by 1,000 of them")
            if target.name == OURS.name:
                print(f"  before the waves: {opened:.1f} MiB")
                for wave in range(1, 4):
                    for _ in range(10):
                        asyncio.run(open_many(target.port, 1000))
                    peak = resident(pid)
                    time.sleep(5)
                    after = resident(pid)
                    print(f"  wave {wave} of 10,000 abandoned: {peak:.1f} MiB; past their timeout {after:.1f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["sessions"]:
        sessions()
    else:
        given = [int(each) for each in sys.argv[1:]]
        main(given[0] if given else 5, given[1] if len(given) > 1 else 2000)
