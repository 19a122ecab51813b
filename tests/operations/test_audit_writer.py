"""The thread that writes the audit log: order, waiting, a disk that is full, an end."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from tests.operations.logs import NOON, read_records, verify
from tests.stage import scene

from mcp_kernel.operations.audit_file import AuditFile
from mcp_kernel.operations.audit_writer import AuditWriter, Unwritable

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path


@contextmanager
def small_disk(path: Path, kibibytes: int = 64) -> Generator[Path]:
    """A file system of its own that is soon full."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", path], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path: Path) -> None:
    """Take all the room that is left."""
    with (path / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


class Stuck(AuditFile):
    """A disk that takes its time: each batch waits until it is told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, NOON)
        self.go = threading.Semaphore(0)
        self.taken = threading.Event()
        self.batches: list[int] = []

    def append(self, records: Sequence[Mapping[str, object]]) -> None:
        """Write when it is told."""
        if hasattr(self, "go"):
            self.taken.set()
            assert self.go.acquire(timeout=10)
            self.batches.append(len(records))
        super().append(records)


def test_records_are_written_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        writer = AuditWriter(AuditFile(path, NOON))
        for number in range(5000):
            writer.note({"event": "call", "number": number})
        await writer.secure({"event": "call", "number": 5000})
        assert [record["number"] for record in read_records(path)] == list(range(5001))
        await writer.close()

    play()
    assert verify(path) == 0


def test_what_was_noted_last_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        writer = AuditWriter(AuditFile(path, NOON))
        for number in range(100):
            writer.note({"event": "call", "number": number})
        await writer.close()
        assert len(read_records(path)) == 100

    play()


def test_those_who_come_while_the_disk_works_go_to_it_together(tmp_path: Path) -> None:
    @scene
    async def play() -> None:
        file = Stuck(tmp_path / "audit.jsonl")
        writer = AuditWriter(file)
        first = asyncio.ensure_future(writer.secure({"event": "call"}))
        assert await asyncio.to_thread(file.taken.wait, 10)
        rest = [asyncio.ensure_future(writer.secure({"event": "call"})) for _ in range(50)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in (first, *rest))
        file.go.release(2)
        await asyncio.gather(first, *rest)
        assert file.batches == [1, 50]
        await writer.close()

    play()


def test_a_full_disk_keeps_what_it_can_and_counts_the_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "audit.jsonl"

        @scene
        async def play() -> None:
            writer = AuditWriter(AuditFile(path, NOON), most=10)
            await writer.secure({"event": "call", "number": 0})
            fill(disk)
            with pytest.raises(Unwritable, match="space"):
                await writer.secure({"event": "call", "text": "x" * 5000})
            assert writer.trouble
            for number in range(1, 60):
                writer.note({"event": "call", "number": number, "text": "x" * 500})
            with pytest.raises(Unwritable, match="space"):  # those that wait are tried with it, and go on waiting
                await writer.secure({"event": "call"})
            (disk / "ballast").unlink()
            await writer.secure({"event": "call", "number": 60})
            assert writer.trouble is None
            await writer.close()

        play()
        assert verify(path) == 0
        records = read_records(path)
    assert [record["number"] for record in records if "number" in record] == [*range(11), 60]
    assert sum(record["count"] for record in records if record["event"] == "lost") == 49
    shouted = [record for record in caplog.records if record.name == "mcp_kernel.audit"]
    assert len(shouted) == 1
    assert "No space left" in shouted[0].getMessage()


def test_who_waits_and_goes_away_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        file = Stuck(path)
        writer = AuditWriter(file)
        waiting = asyncio.ensure_future(writer.secure({"event": "call"}))
        await asyncio.sleep(0)
        waiting.cancel()
        file.go.release(9)
        await writer.secure({"event": "call"})
        await writer.close()

    play()
    assert len(read_records(path)) == 2
