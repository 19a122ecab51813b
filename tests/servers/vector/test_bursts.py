"""Many files at once, as a checkout changes them: few writes, none of them too big."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.servers.vector.conftest import Opener, Shelf
from tests.servers.vector.test_files import until

from mcp_server_vector.folders import Folder
from mcp_server_vector.indexing import Indexer
from mcp_server_vector.search import Question
from mcp_server_vector.watching import Watch
from mcp_server_vector.writing import Draft

FILES = 60


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    for number in range(FILES):
        (folder / f"{number % 3}").mkdir(parents=True, exist_ok=True)
        (folder / f"{number % 3}" / f"{number}.md").write_text(f"Apple {number}.")
    return folder


@pytest.fixture
def opened(shelf: Opener, tmp_path: Path) -> Shelf:
    return shelf(tmp_path / "data")


def test_files_that_change_together_are_written_together(
    opened: Shelf, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(desk, "papers")
    store, writes, index_all = opened.store, list[int](), opened.store.index_all

    async def spy(collection: str, drafts: Sequence[Draft]) -> object:
        writes.append(len(drafts))
        return await index_all(collection, drafts)

    async def is_filled() -> bool:
        return not store.is_filling("papers")

    async def changed() -> bool:
        question = Question(100, "keyword")
        return len(await store.search("papers", "ripe pear", question)) == FILES

    def change() -> None:
        for path in desk.rglob("*.md"):
            path.write_text(f"Pear of {path.name}, ripe.")

    async def live() -> None:
        task = asyncio.create_task(Watch(Indexer(store, [folder]), [folder], lambda name: None).run())
        await until(is_filled)
        change()
        await until(changed)
        task.cancel()
        await asyncio.wait([task])

    monkeypatch.setattr(store, "index_all", spy)
    opened.run(live())
    assert writes[0] == FILES
    assert len(writes) < FILES / 4, writes  # the system tells of them in a few portions


def test_files_that_go_together_are_taken_out_some_at_a_time(
    opened: Shelf, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """33,000 ids are more than Chroma takes."""
    monkeypatch.setattr("mcp_server_vector.indexing._IN", 25)
    store, sizes, delete = opened.store, list[int](), opened.store.delete

    async def spy(collection: str, ids: Sequence[str]) -> object:
        sizes.append(len(ids))
        return await delete(collection, ids)

    indexer = Indexer(store, [Folder(desk)])
    assert opened.run(indexer.index([], "papers", "**/*")).created == FILES
    for path in desk.rglob("*.md"):
        path.unlink()
    monkeypatch.setattr(store, "delete", spy)
    assert opened.run(indexer.index([], "papers", "**/*")).deleted == FILES
    assert sizes == [25, 25, 10]
