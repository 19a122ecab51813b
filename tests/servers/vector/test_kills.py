"""Killed at any moment, fifty times: no acknowledged document is lost, and both indexes tell the same."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest
from tests.servers.vector import writer
from tests.servers.vector.conftest import Opener, Shelf
from tests.servers.vector.test_keeping import agree
from tests.servers.vector.test_safekeeping import make_collection
from tests.transports.host import surroundings

from mcp_server_vector import passages

ROUNDS = 50
SAVINGS = 10
COMPACTIONS = 30
ROOT = Path(__file__).parents[3]

Known = dict[int, set[int | None]]  # by number of a document: the versions that may be there


class Writer:
    """A program that writes until it is killed; it loads at once, begins when told to, and ends with its block."""

    def __init__(self, folder: Path, seed: int, compacting: int = 0) -> None:
        command = [sys.executable, "-m", "tests.servers.vector.writer", str(folder), str(seed), str(compacting)]
        environment = surroundings(PYTHONPATH=str(ROOT))
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._said: list[list[str]] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        with self.process:
            pass

    def begin(self) -> None:
        stdin = self._pipe(self.process.stdin)
        stdin.write("\n")
        stdin.flush()

    def hear(self, lines: int) -> None:
        """Wait until it has said so many lines."""
        stdout = self._pipe(self.process.stdout)
        self._said += [stdout.readline().split() for _ in range(lines)]

    def hear_of(self, word: str) -> None:
        """Wait until it has said a word."""
        self.hear(1)
        while self._said[-1] != [word]:
            assert self._said[-1], "the writer died by itself"
            self.hear(1)

    def kill(self, delay: float = 0) -> list[list[str]]:
        """Kill it, in a moment; returns all that it said."""
        try:
            self.process.wait(delay)
        except subprocess.TimeoutExpired:
            self.process.kill()
        with self.process:
            self._said += [line.split() for line in self._pipe(self.process.stdout) if line.endswith("\n")]
        assert all(self._said), "the writer died by itself"
        return self._said

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def learn(known: Known, said: list[list[str]]) -> None:
    """What may be there after a writer said this: of what it began and did not finish, the old or the new."""
    for word, number, version in (each for each in said if len(each) == 3):
        if word == "begin":
            known.setdefault(int(number), {None}).update({int(version), None})
        else:
            known[int(number)] = {int(version) if word == "indexed" else None}


def check(opened: Shelf, known: Known) -> None:
    """What is there is what may be there, whole, and found by meaning."""
    chunks = agree(opened)
    there = {document.id: document for document in opened.get()}
    for number, versions in known.items():
        document = there.pop(f"d{number}", None)
        version = None if document is None else document.metadata["v"]
        assert version in versions, (number, version, versions)
        known[number] = {version if isinstance(version, int) else None}
        if document is not None and isinstance(version, int):
            assert document.text == writer.text_of(number, version)
            assert {f"d{number}#{position}" for position in range(document.chunks)} <= chunks
            first = next(passages.split(document.text))
            assert document.id in opened.ids(first.text, mode="semantic", top_k=3), number
    assert not there


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_nothing(shelf: Opener, tmp_path: Path) -> None:
    chance = random.Random(7)
    make_collection(tmp_path, 20)  # so that kills hit Chroma's own saving too
    known: Known = {}
    with ExitStack() as waiting:
        following = waiting.enter_context(Writer(tmp_path, 0))
        for seed in range(ROUNDS):
            process, following = following, waiting.enter_context(Writer(tmp_path, seed + 1))
            process.begin()
            process.hear(chance.randrange(1, 40))
            learn(known, process.kill(chance.random() * 0.1))
            opened = shelf(tmp_path)
            check(opened, known)
            opened.close()


def saving(folder: Path) -> float:
    """When the file of vectors was last written to."""
    return max((path.stat().st_mtime_ns for path in folder.glob("*/data_level0.bin")), default=0)


@pytest.mark.slow
def test_a_kill_while_chroma_saves_its_vectors_loses_nothing(
    shelf: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_collection(tmp_path, 20)
    known: Known = {}
    with caplog.at_level(logging.WARNING, "mcp_server_vector"), ExitStack() as waiting:
        following = waiting.enter_context(Writer(tmp_path, 0))
        for seed in range(SAVINGS):
            process, following = following, waiting.enter_context(Writer(tmp_path, seed + 1))
            process.begin()
            process.hear(2 + seed)
            before = saving(tmp_path)
            while saving(tmp_path) == before:
                assert process.process.poll() is None
            learn(known, process.kill())
            opened = shelf(tmp_path)
            check(opened, known)
            opened.close()
    assert [record for record in caplog.records if "damaged" in record.message], "no kill came while it saved"


@pytest.mark.slow
def test_a_kill_while_a_collection_is_compacted_loses_nothing(shelf: Opener, tmp_path: Path) -> None:
    chance = random.Random(8)
    make_collection(tmp_path, 20)
    known: Known = {}
    with ExitStack() as waiting:
        following = waiting.enter_context(Writer(tmp_path, 0, 10))
        for seed in range(COMPACTIONS):
            process, following = following, waiting.enter_context(Writer(tmp_path, seed + 1, 10))
            process.begin()
            process.hear_of("compacting")
            learn(known, process.kill(chance.random() * 0.12))
            opened = shelf(tmp_path)
            check(opened, known)
            assert opened.run(opened.store.names()) == ["notes"]
            opened.close()


@pytest.mark.slow
def test_two_writers_on_one_directory_and_one_of_them_killed_lose_nothing(shelf: Opener, tmp_path: Path) -> None:
    make_collection(tmp_path, 20)
    with Writer(tmp_path, 1) as one, Writer(tmp_path, 2) as two:
        for each in (one, two):
            each.begin()
        for _ in range(20):  # in turn: neither shuts the other out
            one.hear(2)
            two.hear(2)
        one.process.kill()
        two.hear(10)
        both = [one.kill(), two.kill()]
    known: Known = {number: {None} for number in range(40)}
    for said in both:  # who came last is not known
        for _, number, version in said:
            known[int(number)].add(int(version))
    check(shelf(tmp_path), known)
