"""How the costs of the vector server's store grow with what it holds.

    uv run benchmarks/growth [PASSAGES [MINUTES]]
    uv run benchmarks/growth replaced [VERSIONS]

One collection is filled to so many passages (100,000), in documents of about ten that are written 25 at a time, until
the time is over (8 minutes). A row of the table for each size: milliseconds for one passage of the last stretch, by the
clock and of CPU, the embedder's among them; the median for a query in each mode; the largest resident set of the
process, which holds the embedder too; and the size of the data directory.

`replaced`: 500 documents of one passage, each replaced by so many versions (81), and then compacted.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prose import Prose

from mcp_server_vector.embedders import choose
from mcp_server_vector.records import Mode
from mcp_server_vector.search import Question
from mcp_server_vector.settings import Settings
from mcp_server_vector.store import Store
from mcp_server_vector.writing import Draft

SIZES: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
MINUTES: Final = 8.0
QUERIES: Final = 50
GROUP: Final = 25  # documents written at once
DOCUMENTS: Final = 500  # that are replaced
MODES: Final[tuple[Mode, ...]] = ("semantic", "keyword", "hybrid")
REPLACED: Final = ("versions of each", "one more, ms of CPU", "semantic, ms", "disk, MiB")
COLUMNS: Final = ("passages", "one more, ms", "of CPU", *(f"{mode}, ms" for mode in MODES), "memory, MiB", "disk, MiB")


async def grow(passages: int, minutes: float) -> None:
    """Fill a collection and print a row for each size."""
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    deadline = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Settings(Path(folder), choose("wordllama")))
        await store.prepare()
        filling = Filling(store)
        for size in (each for each in SIZES if each <= passages):
            clock, cpu, before = time.perf_counter(), time.process_time(), filling.held
            in_time = await filling.fill(size, deadline)
            added = max(filling.held - before, 1)
            adding = [(took / added) * 1000 for took in (time.perf_counter() - clock, time.process_time() - cpu)]
            queries = [filling.prose.words(5) for _ in range(QUERIES)]
            asking = [await ask(store, queries, mode) for mode in MODES]
            times = " | ".join(f"{each:.2f}" for each in (*adding, *asking))
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"| {filling.held:,} | {times} | {memory:.0f} | {weigh(Path(folder)):.0f} |", flush=True)
            if not in_time:
                print(f"\nTime was over before there were {size:,}.")
                break
        await store.close()


async def replace(versions: int) -> None:
    """Replace the same documents over and over, print a row for every twentieth version, and one when compacted."""
    print(f"| {' | '.join(REPLACED)} |\n|{'---|' * len(REPLACED)}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Settings(Path(folder), choose("wordllama")))
        await store.prepare()
        prose = Prose(1)

        async def write() -> float:
            cpu = time.process_time()
            for start in range(0, DOCUMENTS, GROUP):
                drafts = [Draft.make(prose.text(8), None, f"d{each}") for each in range(start, start + GROUP)]
                await store.index_all("documents", drafts)
            return (time.process_time() - cpu) / DOCUMENTS * 1000

        async def show(name: str, wrote: float) -> None:
            asked = await ask(store, [prose.words(5) for _ in range(QUERIES)], "semantic")
            print(f"| {name} | {wrote:.2f} | {asked:.2f} | {weigh(Path(folder)):.0f} |", flush=True)

        for version in range(1, versions + 1):
            wrote = await write()
            if version % 20 == 1:
                await show(str(version), wrote)
        began = time.perf_counter()
        await store.compaction.run()
        took = time.perf_counter() - began
        await show(f"compacted in {took:.1f} s, and one more", await write())
        await store.close()


class Filling:
    """A collection that is being filled."""

    def __init__(self, store: Store) -> None:
        self.prose = Prose(1)
        self.held = 0
        self._store = store
        self._documents = 0

    async def fill(self, size: int, deadline: float) -> bool:
        """Add documents until there are so many passages; False when time is over before."""
        while self.held < size:
            if time.monotonic() > deadline:
                return False
            numbers = range(self._documents, self._documents + GROUP)
            drafts = [Draft.make(self.prose.text(90), {"part": each}, f"d{each}") for each in numbers]
            self._documents += GROUP
            self.held += sum(indexed.chunks for indexed in await self._store.index_all("documents", drafts))
        return True


async def ask(store: Store, queries: Sequence[str], mode: Mode) -> float:
    """The median of milliseconds for a query."""
    took: list[float] = []
    for query in queries:
        began = time.perf_counter()
        await store.search("documents", query, Question(5, mode))
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def weigh(folder: Path) -> float:
    """The size of a directory in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


if __name__ == "__main__":
    if sys.argv[1:2] == ["replaced"]:
        asyncio.run(replace(int(sys.argv[2]) if len(sys.argv) > 2 else 81))
        sys.exit()
    given = [float(each) for each in sys.argv[1:]]
    asyncio.run(grow(int(given[0]) if given else SIZES[-1], given[1] if len(given) > 1 else MINUTES))
