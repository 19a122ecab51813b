"""Two writers, a writer that died, and a writer that knows nothing of us: both indexes stay right."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.servers.vector.conftest import Opener, Shelf

from mcp_server_vector.keywords import Entry, Keywords, Pending
from mcp_server_vector.lock import WriteLock
from mcp_server_vector.refusals import Busy, Refusal
from mcp_server_vector.search import Question
from mcp_server_vector.vectors import Chroma
from mcp_server_vector.writing import Draft

HOLDER = """
import asyncio, sys
from pathlib import Path
from mcp_server_vector.lock import WriteLock

async def main():
    async with WriteLock(Path(sys.argv[1])).hold("counting sheep"):
        print("held", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


@contextmanager
def holder(folder: Path) -> Generator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin ends."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def agree(shelf: Shelf, collection: str = "notes") -> set[str]:
    """Both indexes hold the same chunks; returns them."""

    async def look() -> tuple[set[str], set[str]]:
        engine = shelf.store.engine
        async with engine.reading(collection) as found:
            assert found is not None
            chunks = await engine.call(engine.chroma.select, found, None)
            return {chunk.id for chunk in chunks}, set(await engine.keywords.hashes(found.uuid))

    vectors, words = shelf.run(look())
    assert vectors == words
    return vectors


def test_two_servers_on_one_directory_see_what_the_other_writes(shelf: Opener, tmp_path: Path) -> None:
    one, two = shelf(tmp_path), shelf(tmp_path)
    one.index("Cats purr.", None, "cat")
    assert two.ids("cats purr") == ["cat"]
    two.index("Dogs bark loudly.", None, "dog")
    one.index("Cats purr and sleep.", None, "cat")
    for each in (one, two):
        assert each.ids("bark", mode="keyword") == ["dog"]
        assert set(each.ids("animals", mode="semantic")) == {"cat", "dog"}
        assert each.get("cat")[0].text == "Cats purr and sleep."
    one.run(one.store.delete("notes", ["dog"]))
    assert two.get("dog") == []
    assert agree(two) == {"cat#0"}


def test_a_writer_says_who_keeps_it_waiting_and_searching_goes_on(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")
    with holder(tmp_path) as process:
        text = opened.refusal(hold(tmp_path, 0.2))
        assert f"process {process.pid}" in text
        assert "counting sheep" in text
        assert opened.ids("purr") == ["cat"]


async def hold(folder: Path, patience: float) -> None:
    async with WriteLock(folder).hold("testing", patience):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        asyncio.run(hold(tmp_path, 1))


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    async def race() -> None:
        lock = WriteLock(tmp_path)
        async with lock.hold("first"):
            second = asyncio.create_task(hold(tmp_path, 5))
            with pytest.raises(Busy):
                await hold(tmp_path, 0.05)
            assert not second.done()
        await second

    asyncio.run(race())


@pytest.mark.parametrize("reach", ["noted", "half", "chroma"])
def test_a_write_that_was_begun_is_finished_by_the_next(shelf: Opener, tmp_path: Path, reach: str) -> None:
    """As a kill leaves it: the note alone, a part of the vectors, or all but the keywords."""
    dying = shelf(tmp_path)
    dying.index("Old text about apples.", None, "a")
    text = "New text about pears. " * 100
    body = json.dumps({"metadata": {"v": 2}, "hash": "x"})

    async def die() -> None:
        engine = dying.store.engine
        await engine.open()
        await engine.keywords.note([Pending("notes", "a", body, text)])
        if reach != "noted":
            found = await engine.call(engine.chroma.find, "notes")
            assert found is not None
            ids = [f"a#{number}" for number in range(1 if reach == "half" else 3)]
            await engine.call(
                found.handle.upsert, ids=ids, embeddings=[[0.1] * 256] * len(ids), documents=["junk pears"] * len(ids)
            )

    dying.run(die())
    dying.close()
    opened = shelf(tmp_path)
    assert opened.get("a")[0].text == text
    assert opened.get("a")[0].metadata == {"v": 2}
    assert opened.ids("pears", mode="keyword")[0] == "a"
    assert opened.ids("junk apples", mode="keyword") == []
    assert len(agree(opened)) == opened.get("a")[0].chunks


def test_what_others_write_into_chroma_is_found_too(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")
    opened.close()
    stranger = Chroma(tmp_path)
    stranger.open()
    handle = stranger.find("notes")
    assert handle is not None
    handle.handle.add(ids=["raw"], embeddings=[[0.5] * 256], documents=["Owls hoot."], metadatas=[{"by": "another"}])
    handle.handle.upsert(ids=["cat#0"], embeddings=[[0.2] * 256], documents=["Cats hiss."])
    stranger.close()
    again = shelf(tmp_path)
    assert again.ids("owls hoot", mode="keyword") == ["raw"]
    assert again.ids("hiss", mode="keyword") == ["cat"]
    assert again.get("raw")[0].metadata == {"by": "another"}
    again.run(again.store.delete("notes", ["raw"]))
    assert agree(again) == {"cat#0"}


def test_a_lost_keyword_index_is_built_again(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr. " * 300, None, "cat")
    before = agree(opened)
    opened.close()
    for path in tmp_path.glob("keywords.sqlite3*"):
        path.unlink()
    again = shelf(tmp_path)
    assert again.ids("purring cats", mode="keyword", top_k=1) == ["cat"]
    assert agree(again) == before


@pytest.mark.parametrize("at", ["rest", "work"])
@pytest.mark.parametrize("loss", ["emptied", "gone"])
def test_a_database_that_was_emptied_or_lost_is_told_and_nothing_is_thrown_away(
    shelf: Opener, tmp_path: Path, loss: str, at: str
) -> None:
    database = tmp_path / "chroma.sqlite3"
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")
    if at == "rest":
        opened.close()
        opened = shelf(tmp_path)
    backup = database.read_bytes()
    database.write_bytes(b"") if loss == "emptied" else database.unlink()
    before = sorted(tmp_path.rglob("*.bin"))
    for work in (
        lambda: opened.store.search("notes", "cats", Question()),
        lambda: opened.store.index("notes", Draft.make("Dogs bark.")),
        opened.store.collections,
    ):
        text = opened.refusal(work())
        assert "chroma.sqlite3 is empty or gone, though 1 passages" in text
        assert "backup" in text
    assert sorted(tmp_path.rglob("*.bin")) == before
    opened.close()
    database.write_bytes(backup)
    assert shelf(tmp_path).ids("purr") == ["cat"]


def test_a_directory_that_kept_the_words_of_a_chroma_server_can_be_used_without_it(
    shelf: Opener, tmp_path: Path
) -> None:
    async def fill() -> None:
        keywords = await Keywords.open(tmp_path / "keywords.sqlite3")
        await keywords.add_collection("theirs")
        async with keywords.writing():
            await keywords.put("theirs", [Entry("cat#0", "cat", "", "Cats purr.")])
        await keywords.remember("stamp", "remote")
        await keywords.close()

    opened = shelf(tmp_path)
    opened.run(fill())
    assert opened.index("Dogs bark.", None, "dog").status == "created"


def test_a_damaged_keyword_index_says_that_it_may_be_deleted(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.")
    opened.close()
    for path in tmp_path.glob("keywords.sqlite3-*"):
        path.unlink()
    (tmp_path / "keywords.sqlite3").write_bytes(b"no database" * 1000)
    again = shelf(tmp_path)
    assert "can be deleted" in again.refusal(again.store.names())


def test_a_keyword_index_that_is_damaged_further_in_says_so_too(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")
    opened.close()
    path = tmp_path / "keywords.sqlite3"
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * (path.stat().st_size - 8192))
    opened = shelf(tmp_path)
    for work in (opened.store.search("notes", "cats", Question()), opened.store.index("notes", Draft.make("Dogs."))):
        assert "can be deleted" in opened.refusal(work)
    opened.close()
    path.unlink()
    assert shelf(tmp_path).ids("purr", mode="keyword") == ["cat"]


def test_a_keyword_index_that_is_damaged_while_it_is_read_says_so(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")
    with closing(sqlite3.connect(tmp_path / "keywords.sqlite3")) as raw:
        raw.execute("DELETE FROM words_1_data")
        raw.commit()
    assert "can be deleted" in opened.refusal(opened.store.search("notes", "cats", Question(mode="keyword")))


def test_a_collection_of_another_program_is_searched_by_words_and_refused_by_meaning(
    shelf: Opener, tmp_path: Path
) -> None:
    stranger = Chroma(tmp_path)
    stranger.open()
    client: Any = stranger._client  # pyright: ignore[reportPrivateUsage]  # what another program would hold
    made = client.create_collection("foreign", embedding_function=None)
    made.add(ids=["x"], embeddings=[[1.0, 2.0]], documents=["Storks clatter."])
    stranger.close()
    opened = shelf(tmp_path)
    assert opened.search("storks", collection="foreign", mode="keyword")[0].id == "x"
    with pytest.raises(Refusal, match="does not say what it was embedded with"):
        opened.search("storks", collection="foreign")
    with pytest.raises(Refusal, match="another collection"):
        opened.index("Storks fly.", to="foreign")


def test_no_stored_schema_makes_chroma_build_a_model(shelf: Opener, tmp_path: Path) -> None:
    """What CVE-2026-45829 did: a collection names an embedding function, and whoever opens it builds that."""
    stranger = Chroma(tmp_path)
    stranger.open()
    stranger.create("notes", "wordllama:l2_supercat_256", 256)
    stranger.close()
    marker = tmp_path / "built"
    poison = {"type": "known", "name": "poison", "config": {"path": str(marker)}}
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as raw:
        (stored,) = raw.execute("SELECT schema_str FROM collections").fetchone()
        schema = json.loads(stored)
        for part in (schema["defaults"], schema["keys"]["#embedding"]):
            part["float_list"]["vector_index"]["config"]["embedding_function"] = poison
        raw.execute("UPDATE collections SET schema_str = ?", (json.dumps(schema),))
        raw.commit()
    from chromadb.utils import embedding_functions

    registry: Any = vars(embedding_functions)["known_embedding_functions"]
    registry["poison"] = Poison
    try:
        opened = shelf(tmp_path)
        opened.index("Cats purr.", None, "cat")
        assert opened.ids("purr") == ["cat"]
        opened.run(opened.store.collections())
        assert not marker.exists()
    finally:
        del registry["poison"]


class Poison:
    """An embedding function that leaves a mark where it is built."""

    @staticmethod
    def build_from_config(config: dict[str, str]) -> object:
        Path(config["path"]).touch()
        raise RuntimeError("built")


def test_a_write_goes_to_its_end_when_its_caller_goes_away(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")

    async def give_up() -> None:
        from mcp_server_vector.writing import Draft

        before = set(opened.store.engine.unfinished)
        work = asyncio.create_task(opened.store.index("notes", Draft.make("Dogs bark. " * 400, None, "dog")))
        while not opened.store.engine.unfinished - before:  # noqa: ASYNC110  # until it has begun
            await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        if opened.store.engine.unfinished:
            await asyncio.wait(opened.store.engine.unfinished)

    opened.run(give_up())
    assert opened.index("Birds sing.", None, "bird").status == "created"
    assert "dog#0" in agree(opened)
