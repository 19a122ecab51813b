"""A program that indexes, replaces and deletes documents until it is killed, and says what it finished."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from mcp_server_vector.embedders import choose
from mcp_server_vector.settings import Settings
from mcp_server_vector.store import Store
from mcp_server_vector.writing import Draft

WORDS = ["river", "mountain", "forest", "engine", "library", "window", "garden", "bridge", "planet", "winter"]


def text_of(number: int, version: int) -> str:
    """A document of its number and version: some short, some of many passages."""
    chance = random.Random(number * 1000 + version)
    words = " ".join(chance.choice(WORDS) for _ in range(chance.choice((8, 8, 8, 400))))
    return f"Document d{number} in version v{version}. {words}."


def say(text: str) -> None:
    """Tell whoever kills this program how far it is."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def write(folder: Path, seed: int, compacting: int) -> None:
    """`compacting` is after how many steps the collection is compacted; 0 for never."""
    store = Store(Settings(folder, choose("wordllama")))
    store.engine.preparation.start()[1].result(300)  # on a busy machine it takes a minute
    sys.stdin.readline()  # until then nothing of the directory is touched
    chance = random.Random(seed)
    for step in range(10_000):
        number, version = chance.randrange(40), seed * 10_000 + step
        say(f"begin {number} {version}")
        if chance.random() < 0.15:
            await store.delete("notes", [f"d{number}"])
            say(f"deleted {number} {version}")
        else:
            await store.index("notes", Draft.make(text_of(number, version), {"v": version}, f"d{number}"))
            say(f"indexed {number} {version}")
        if compacting and step % compacting == compacting - 1:
            store.engine.worn.add("notes")
            say("compacting")
            await store.compaction.run()
            say("compacted")


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
