"""Killed at any moment, fifty times: no acknowledged document is lost, and both indexes tell the same."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.vector import writer
from tests.servers.vector.conftest import Opener
from tests.servers.vector.test_keeping import agree
from tests.transports.host import surroundings

from mcp_server_vector import passages, vectors

ROUNDS = 50
ROOT = Path(__file__).parents[3]


def run_and_kill(folder: Path, seed: int, lines: int, delay: float) -> list[list[str]]:
    """Let a writer say so many lines, give it a moment, kill it; returns all that it said."""
    command = [sys.executable, "-m", "tests.servers.vector.writer", str(folder), str(seed)]
    environment = surroundings(PYTHONPATH=str(ROOT))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in range(lines)]
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        said += [line.split() for line in process.stdout if line.endswith("\n")]
    assert all(said), "the writer died by itself"
    return said


@pytest.mark.slow
@pytest.mark.xfail(
    reason="killed while Chroma writes its index, that file may be damaged, and is not made anew yet", strict=False
)
def test_a_kill_at_any_moment_loses_nothing(shelf: Opener, tmp_path: Path) -> None:
    chance = random.Random(7)
    folder = tmp_path / "data"
    folder.mkdir()
    stranger = vectors.Chroma(folder)
    stranger.open()
    small = {"space": "cosine", "sync_threshold": 20, "batch_size": 10}  # so that kills hit Chroma's own saving too
    memory = {vectors.EMBEDDER: "wordllama:l2_supercat_256", vectors.DIMENSION: 256}
    client = stranger._client  # pyright: ignore[reportPrivateUsage]  # no public way to a threshold so low
    client.create_collection("notes", embedding_function=None, configuration={"hnsw": small}, metadata=memory)
    stranger.close()
    known: dict[int, set[int | None]] = {}
    for seed in range(ROUNDS):
        for word, number, version in run_and_kill(folder, seed, chance.randrange(1, 40), chance.random() * 0.1):
            if word == "begin":
                known.setdefault(int(number), {None}).add(int(version))
                known[int(number)].add(None)
            else:
                known[int(number)] = {int(version) if word == "indexed" else None}
        opened = shelf(folder)
        chunks = agree(opened)
        there = {document.id: document for document in opened.get()}
        for number, versions in known.items():
            document = there.pop(f"d{number}", None)
            version = None if document is None else document.metadata["v"]
            assert version in versions, (seed, number, version, versions)
            if document is not None and isinstance(version, int):
                assert document.text == writer.text_of(number, version)
                assert {f"d{number}#{position}" for position in range(document.chunks)} <= chunks
                first = next(passages.split(document.text))
                assert document.id in opened.ids(first.text, mode="semantic", top_k=3), (seed, number)
                known[number] = {version}
            else:
                known[number] = {None}
        assert not there
        opened.close()
