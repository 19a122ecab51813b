"""How the costs of the vector server's store grow with what it holds.

    uv run benchmarks/growth [PASSAGES]

One collection is filled to so many passages (100,000), in documents of about ten, ten at a time. At each size: the
milliseconds for one passage of the last stretch, the median for a query in each mode, the largest resident set of the
process, which holds the embedder too, and the size of the data directory.
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
from mcp_server_vector.engine import Settings
from mcp_server_vector.records import Mode
from mcp_server_vector.search import Question
from mcp_server_vector.store import Store
from mcp_server_vector.writing import Draft

SIZES: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
QUERIES: Final = 50
GROUP: Final = 10  # documents written at once
MODES: Final[tuple[Mode, ...]] = ("semantic", "keyword", "hybrid")


async def grow(chunks: int) -> None:
    """Fill a collection and print a line for each size."""
    prose = Prose(1)
    print(f"{'passages':>9}{'add ms':>9}{''.join(f'{mode:>10} ms' for mode in MODES)}{'MiB':>8}{'disk MiB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Settings(Path(folder), choose("wordllama")))
        await store.prepare()
        held = number = 0
        for size in (each for each in SIZES if each <= chunks):
            began, before = time.perf_counter(), held
            while held < size:
                numbers = range(number, number + GROUP)
                drafts = [Draft.make(prose.text(90), {"part": each}, f"d{each}") for each in numbers]
                number += GROUP
                held += sum(indexed.chunks for indexed in await store.index_all("documents", drafts))
            adding = (time.perf_counter() - began) / (held - before) * 1000
            queries = [prose.words(5) for _ in range(QUERIES)]
            asking = [await ask(store, queries, mode) for mode in MODES]
            disk = weigh(Path(folder))
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            asked = "".join(f"{each:13.2f}" for each in asking)
            print(f"{held:9}{adding:9.2f}{asked}{memory:8.0f}{disk:10.0f}", flush=True)
        await store.close()


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
    asyncio.run(grow(int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]))
