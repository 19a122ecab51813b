"""Collections that are mostly deleted vectors are written anew, and nobody notices but by the time it saves."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from tests.servers.vector.conftest import Opener, Shelf
from tests.servers.vector.test_keeping import agree
from tests.servers.vector.test_safekeeping import find_all, make_collection, text_of

from mcp_server_vector import compaction, engine
from mcp_server_vector.chunks import Collection
from mcp_server_vector.refusals import Refusal
from mcp_server_vector.search import Question
from mcp_server_vector.vectors import Chroma
from mcp_server_vector.writing import Draft

WAITER = """
import fcntl, sys

with open(sys.argv[1] + "/next.lock") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("next", flush=True)
    sys.stdin.read()
"""
NUMBERS = range(45)  # those of `find_all`
WORN = 200


@pytest.fixture(autouse=True)
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes thousands of vectors takes hundreds."""
    monkeypatch.setattr(engine, "WORN", WORN)


def fill(opened: Shelf, version: int) -> None:
    drafts = [Draft.make(text_of(number), {"v": version}, f"d{number}") for number in NUMBERS]
    opened.run(opened.store.index_all("notes", drafts))


def wear(opened: Shelf, folder: Path) -> None:
    """Replace all documents until the collection is worn."""
    for version in range(1, 40):
        fill(opened, version)
        if opened.store.engine.worn:
            break
    assert vectors(folder) >= WORN


def compact(opened: Shelf) -> None:
    opened.run(opened.store.compaction.run())


def vectors(folder: Path) -> int:
    """How many vectors there are in files, deleted ones too."""
    return sum(path.stat().st_size // 4 for path in folder.glob("*-*/length.bin"))


@pytest.fixture
def worn(shelf: Opener, tmp_path: Path) -> Shelf:
    """A store whose collection holds many more deleted vectors than others."""
    make_collection(tmp_path, 20)
    opened = shelf(tmp_path)
    wear(opened, tmp_path)
    return opened


@contextmanager
def waiter(folder: Path) -> Generator[None]:
    """Another process that is the next to write."""
    with subprocess.Popen([sys.executable, "-c", WAITER, str(folder)], stdin=PIPE, stdout=PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"next\n"
            yield
        finally:
            process.kill()


def uuid_of(opened: Shelf) -> str:
    async def look() -> str:
        async with opened.store.engine.reading("notes") as found:
            assert found is not None
            return found.uuid

    return opened.run(look())


def test_what_was_deleted_goes_and_the_rest_is_as_it_was(worn: Shelf, tmp_path: Path) -> None:
    query = "river engine garden"
    before, hits, look = uuid_of(worn), worn.search(query, top_k=20), worn.run(worn.store.look("notes"))
    documents = worn.get()
    compact(worn)
    assert uuid_of(worn) != before
    assert vectors(tmp_path) < WORN
    find_all(worn)
    after = worn.search(query, top_k=20)
    assert [hit.id for hit in after] == [hit.id for hit in hits]
    assert [hit.score for hit in after] == pytest.approx([hit.score for hit in hits], abs=1e-5)
    assert (worn.run(worn.store.look("notes")), worn.get()) == (look, documents)
    assert len(list(tmp_path.glob("*-*-*"))) == len(list((tmp_path / "kept").glob("*-*"))) == 1


def test_it_is_written_to_and_opened_afterwards_as_ever(worn: Shelf, shelf: Opener, tmp_path: Path) -> None:
    compact(worn)
    assert worn.index(text_of(3), {"v": 0}, "d3").status == "updated"
    assert worn.index(text_of(3), {"v": 0}, "d3").status == "unchanged"
    wear(worn, tmp_path)
    compact(worn)
    worn.close()
    again = shelf(tmp_path)
    find_all(again)
    assert again.run(again.store.names()) == ["notes"]


def test_another_store_on_the_directory_reads_and_writes_on(worn: Shelf, shelf: Opener, tmp_path: Path) -> None:
    other = shelf(tmp_path)
    find_all(other)
    compact(worn)
    find_all(other)
    assert other.index(text_of(3), {"v": 0}, "d3").status == "updated"
    find_all(worn)


def test_readers_find_everything_while_it_is_copied(worn: Shelf) -> None:
    async def read() -> None:
        running = asyncio.create_task(worn.store.compaction.run())
        while not running.done():
            hits = await worn.store.search("notes", text_of(7), Question(top_k=1))
            assert [hit.id for hit in hits] == ["d7"]

    before = uuid_of(worn)
    worn.run(read())
    assert uuid_of(worn) != before


def test_it_begins_by_itself_when_nobody_writes(worn: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "QUIET", 0.0)
    before = uuid_of(worn)
    worn.index("A last word.", None, "last")
    for _ in range(1000):
        assert worn.ids("A last word.", top_k=1) == ["last"]
        if vectors(tmp_path) < WORN:
            break
    assert uuid_of(worn) != before


def at_copy(monkeypatch: pytest.MonkeyPatch, deed: Callable[[Chroma, Collection], object]) -> None:
    """Do something once, while a copy is under way."""
    copy, done = Chroma.copy, list[bool]()

    def hooked(self: Chroma, source: Collection, target: Collection, limit: int, offset: int) -> int:
        if not done:
            done.append(True)
            deed(self, source)
        return copy(self, source, target, min(limit, 10), offset)

    monkeypatch.setattr(Chroma, "copy", hooked)


def test_it_gives_way_to_a_writer_and_is_done_after_him(
    worn: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = worn.runner.get_loop()
    writes: list[Any] = []

    def write(chroma: Chroma, source: Collection) -> None:
        draft = Draft.make("A word from somebody in a hurry.", None, "hurry")
        writes.append(asyncio.run_coroutine_threadsafe(worn.store.index("notes", draft), loop))
        while not worn.store.engine.is_wanted():
            pass

    at_copy(monkeypatch, write)
    before = uuid_of(worn)
    compact(worn)
    assert worn.run(asyncio.wait_for(asyncio.wrap_future(writes[0], loop=loop), 30)).status == "created"
    compact(worn)
    assert uuid_of(worn) != before
    assert "hurry#0" in agree(worn)
    assert vectors(tmp_path) < WORN


def test_it_gives_way_to_another_process(worn: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid_of(worn)
    with ExitStack() as stack:

        def wait(chroma: Chroma, source: Collection) -> None:
            stack.enter_context(waiter(tmp_path))

        at_copy(monkeypatch, wait)
        compact(worn)
    assert uuid_of(worn) == before
    compact(worn)
    assert uuid_of(worn) != before


def test_what_another_program_writes_meanwhile_is_not_lost(worn: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(chroma: Chroma, source: Collection) -> None:
        source.handle.add(ids=["stranger"], embeddings=[[0.1] * 256], documents=["Nobody asked for the lock."])

    at_copy(monkeypatch, write)
    before = uuid_of(worn)
    compact(worn)
    assert uuid_of(worn) == before
    assert [document.id for document in worn.get("stranger")] == ["stranger"]
    assert worn.run(worn.store.names()) == ["notes"]


def test_a_collection_that_another_program_made_is_left_alone(shelf: Opener, tmp_path: Path) -> None:
    stranger = Chroma(tmp_path)
    stranger.open()
    client = stranger._client  # pyright: ignore[reportPrivateUsage]  # a client that is not ours writes through it
    made = client.create_collection("notes", embedding_function=None)
    made.add(ids=["a"], embeddings=[[0.1] * 256], documents=["Not of this server."])
    stranger.close()
    opened = shelf(tmp_path)
    before = uuid_of(opened)
    opened.store.engine.worn.add("notes")
    compact(opened)
    assert uuid_of(opened) == before


def test_without_room_for_a_copy_none_is_begun(worn: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage

    def full(path: Path) -> object:
        return real(path)._replace(free=1000)

    before = uuid_of(worn)
    monkeypatch.setattr(shutil, "disk_usage", full)
    compact(worn)
    assert uuid_of(worn) == before


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("deleted", [False, True])
def test_a_copy_that_was_left_takes_its_place_where_it_is_all_there_is_and_else_is_dropped(
    worn: Shelf, shelf: Opener, tmp_path: Path, whole: bool, deleted: bool
) -> None:
    async def leave() -> None:
        parts = worn.store.engine
        async with parts.reading("notes") as found:
            assert found is not None
            copy = await parts.call(parts.chroma.begin_copy, found)
            assert copy is not None
            assert await parts.call(parts.chroma.find, copy.name) is None
            assert await parts.call(parts.chroma.copy, found, copy, 1000 if whole else 20, 0)
            if whole:
                await parts.call(parts.chroma.call_whole, copy, found)
        if deleted:  # by this server where the copy is whole, else by another program
            await parts.call(parts.chroma.drop, found)

    before = uuid_of(worn)
    worn.run(leave())
    worn.close()
    opened = shelf(tmp_path)
    assert opened.run(opened.store.names()) == ([] if deleted and not whole else ["notes"])
    if whole or not deleted:
        find_all(opened)
        assert (uuid_of(opened) == before) is not deleted
    assert opened.run(opened.store.engine.call(opened.store.engine.chroma.copies)) == []


def test_a_copy_that_a_full_disk_has_ended_is_not_in_the_way(worn: Shelf) -> None:
    keep, before = worn.store.engine.keep, uuid_of(worn)

    async def full(collection: Collection) -> None:
        if collection.stands_for is not None:
            raise Refusal("The disk is full.")
        await keep(collection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worn.store.engine, "keep", full)
        compact(worn)
    assert uuid_of(worn) == before
    worn.store.engine.worn.add("notes")
    compact(worn)
    assert uuid_of(worn) != before
    find_all(worn)


def test_a_large_collection_is_left_as_it_is(worn: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MOST", len(NUMBERS) - 1)
    before = uuid_of(worn)
    compact(worn)
    assert uuid_of(worn) == before
