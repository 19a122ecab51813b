"""Shelves: stores on directories of a test, that share one embedder loaded once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mcp_server_vector.embedders import Choice, Embedder, choose
from mcp_server_vector.preparation import Preparation
from mcp_server_vector.records import Document, Hit, Indexed
from mcp_server_vector.refusals import Refusal
from mcp_server_vector.search import Question
from mcp_server_vector.settings import Settings
from mcp_server_vector.store import Store
from mcp_server_vector.writing import Draft

T = TypeVar("T")
MEMORY = Path("/dev/shm")
ROOM = 256 << 20


@dataclass
class Shelf:
    """Asks one store, on an event loop that lasts as long as the test."""

    store: Store
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, 60))

    def index(
        self, text: str, metadata: dict[str, Any] | None = None, id: str | None = None, to: str = "notes"
    ) -> Indexed:
        return self.run(self.store.index(to, Draft.make(text, metadata, id)))

    def search(self, query: str, collection: str = "notes", **question: Any) -> list[Hit]:
        return self.run(self.store.search(collection, query, Question(**question)))

    def ids(self, query: str, **question: Any) -> list[str]:
        return [hit.id for hit in self.search(query, **question)]

    def get(self, *ids: str, collection: str = "notes", **where: Any) -> list[Document]:
        return self.run(self.store.get(collection, ids or None, where or None, 100))

    def refusal(self, work: Coroutine[Any, Any, object]) -> str:
        with pytest.raises(Refusal) as caught:
            self.run(work)
        return str(caught.value)

    def close(self) -> None:
        self.run(self.store.close())


Opener = Callable[..., Shelf]


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory in memory, where there is room: Chroma waits for the disk eight times at each write.

    What is about kills and full disks is `slow`, and stays on the disk.
    """
    slow = request.node.get_closest_marker("slow") is not None
    if slow or not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def prepared() -> Preparation:
    """Chroma and the default embedder, loaded once for all tests."""
    preparation = Preparation(choose("wordllama"))
    preparation.start()[1].result(60)
    return preparation


@pytest.fixture(scope="session")
def embedder(prepared: Preparation) -> Embedder:
    """The default embedder."""
    return prepared.start()[1].result(60)


@pytest.fixture
def shelf(prepared: Preparation) -> Iterator[Opener]:
    """Open stores that are closed after the test."""
    with asyncio.Runner() as runner:
        shelves: list[Shelf] = []

        def open_shelf(folder: Path, choice: Choice | None = None, **settings: Any) -> Shelf:
            store = Store(replace(Settings(folder, choice or choose("wordllama")), **settings))
            if choice is None:
                store.engine.preparation = prepared
            shelves.append(Shelf(store, runner))
            return shelves[-1]

        yield open_shelf
        for each in shelves:
            each.close()
