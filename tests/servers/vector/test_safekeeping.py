"""A vector index that was half saved is put back and completed from Chroma's log; whoever had it open hears of it."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.vector.conftest import Opener, Shelf
from tests.servers.vector.test_keeping import agree
from tests.servers.vector.writer import WORDS

from mcp_server_vector.chunks import DIMENSION, EMBEDDER
from mcp_server_vector.embedders import choose
from mcp_server_vector.preparation import Preparation
from mcp_server_vector.refusals import Refusal
from mcp_server_vector.safekeeping import Safekeeping
from mcp_server_vector.settings import Settings
from mcp_server_vector.store import Store
from mcp_server_vector.vectors import Chroma
from mcp_server_vector.writing import Draft

NUMBERS = range(45)


def text_of(number: int) -> str:
    """Ten words that no other document has in this order."""
    chance = random.Random(number)
    return " ".join(chance.choice(WORDS) for _ in range(10))


def make_collection(folder: Path, threshold: int, space: str = "cosine") -> None:
    """A collection that Chroma saves after so many writes, with a distance of its own."""
    stranger = Chroma(folder)
    stranger.open()
    client = stranger._client  # pyright: ignore[reportPrivateUsage]  # no public way to a threshold so low
    client.create_collection(
        "notes",
        embedding_function=None,
        configuration={"hnsw": {"space": space, "sync_threshold": threshold, "batch_size": min(threshold, 10)}},
        metadata={EMBEDDER: "wordllama:l2_supercat_256", DIMENSION: 256},
    )
    stranger.close()


def files_of(folder: Path) -> Path:
    """Where Chroma keeps the vectors of the one collection."""
    (found,) = [path.parent for path in folder.glob("*/data_level0.bin")]
    return found


@pytest.fixture(scope="module")
def original(prepared: Preparation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a collection that was saved four times, and has five documents in Chroma's log alone."""
    folder = tmp_path_factory.mktemp("original")
    make_collection(folder, 10)

    async def fill() -> None:
        store = Store(Settings(folder, choose("wordllama")))
        store.engine.preparation = prepared
        for number in NUMBERS:
            await store.index("notes", Draft.make(text_of(number), None, f"d{number}"))
        await store.close()

    asyncio.run(fill())
    return folder


@pytest.fixture
def filled(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, tmp_path / "data"))


def find_all(opened: Shelf) -> None:
    assert agree(opened) == {f"d{number}#0" for number in NUMBERS}
    for number in NUMBERS:
        assert opened.ids(text_of(number), mode="semantic", top_k=1) == [f"d{number}"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def scramble(path: Path) -> None:
    path.write_bytes(bytes(byte ^ 0x5A for byte in path.read_bytes()))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "vectors cut": lambda files: cut(files / "data_level0.bin"),
    "vectors scrambled": lambda files: scramble(files / "data_level0.bin"),
    "header scrambled": lambda files: scramble(files / "header.bin"),
    "names emptied": lambda files: (files / "index_metadata.pickle").write_bytes(b""),
    "one file gone": lambda files: (files / "length.bin").unlink(),
    "all files gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_put_back_and_completed(
    shelf: Opener, filled: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGE[damage](files_of(filled))
    with caplog.at_level(logging.WARNING, "mcp_server_vector"):
        opened = shelf(filled)
        find_all(opened)
        opened.index("One more guest.", None, "more")
    assert [record.message for record in caplog.records if "damaged" in record.message] == [
        "the vector index of notes was damaged, as by a kill while it was saved: its last whole copy is back in place, "
        "and what was written since is added from Chroma's log"
    ]
    assert opened.ids("one more guest", mode="semantic", top_k=1) == ["more"]


def test_an_index_that_is_whole_is_left_alone(shelf: Opener, filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = files_of(filled).stat().st_ino
    with caplog.at_level(logging.WARNING, "mcp_server_vector"):
        find_all(shelf(filled))
    assert caplog.records == []
    assert files_of(filled).stat().st_ino == before
    assert len(list((filled / "kept").iterdir())) == 1


def test_a_first_saving_that_was_cut_short_is_begun_anew(shelf: Opener, tmp_path: Path) -> None:
    make_collection(tmp_path, 1000)
    opened = shelf(tmp_path)
    for number in NUMBERS:
        opened.index(text_of(number), None, f"d{number}")
    opened.close()
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.name.endswith(".none")
    files = tmp_path / kept.name.removesuffix(".none")
    files.mkdir(exist_ok=True)
    (files / "header.bin").write_bytes(b"\x01" * 100)
    (files / "index_metadata.pickle").write_bytes(b"\x80")
    find_all(shelf(tmp_path))


def test_a_restoring_that_was_cut_short_is_done_again(
    shelf: Opener, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(files_of(filled) / "data_level0.bin")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    opened = shelf(filled)
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copy2", full)
        with pytest.raises(Refusal, match="No space left on device"):
            opened.search(text_of(1))
    find_all(opened)


def test_a_copy_that_was_cut_short_or_is_of_no_collection_is_cleared_away(shelf: Opener, filled: Path) -> None:
    for name in ("unfinished.copy", "0000-gone.17"):
        (filled / "kept" / name).mkdir()
        (filled / "kept" / name / "data_level0.bin").write_bytes(b"half")
    find_all(shelf(filled))
    assert len(list((filled / "kept").iterdir())) == 1


def test_whoever_had_the_damaged_files_open_opens_them_anew(shelf: Opener, filled: Path) -> None:
    """Another process that goes on with files it opened before would save into files that are gone."""
    opened = shelf(filled)
    find_all(opened)
    safekeeping = Safekeeping(filled)
    before = safekeeping.glance()
    (uuid,) = [each.uuid for each in opened.run(opened.store.engine.call(opened.store.engine.chroma.collections))]
    saved = safekeeping.read(uuid)
    assert saved is not None
    safekeeping.restore(uuid, saved)
    assert safekeeping.glance() != before
    find_all(opened)
    opened.index("One more guest.", None, "more")
    assert opened.ids("one more guest", mode="semantic", top_k=1) == ["more"]
