"""What is written over stays where a search finds it, and what did not change is not written again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.servers.vector.conftest import Opener

from mcp_server_vector.chunks import Chunk, Collection
from mcp_server_vector.embedders import Embedder
from mcp_server_vector.keywords import Keywords
from mcp_server_vector.refusals import Refusal
from mcp_server_vector.vectors import Chroma
from mcp_server_vector.writing import Draft

if TYPE_CHECKING:
    from mcp_server_vector.embedders import Vectors

ROUNDS = 240
FULL = 120


@pytest.mark.slow
def test_after_many_updates_and_deletions_every_chunk_is_found_by_its_own_vector(tmp_path: Path) -> None:
    """Moved in place within the graph, as an upsert does it, some are lost (chroma-core/chroma issue 7758)."""
    chance, numbers = random.Random(0), np.random.default_rng(0)
    topics = numbers.normal(size=(10, 64))
    chroma = Chroma(tmp_path)
    chroma.open()
    collection = chroma.create("notes", "nobody", 64)
    written: dict[str, Vectors] = {}
    lost: list[str] = []
    for turn in range(1, ROUNDS + 1):
        full = len(written) >= FULL
        if full and turn % 3 == 0:
            gone = chance.sample(sorted(written), 20)
            chroma.delete(collection, gone)
            written = {each: vector for each, vector in written.items() if each not in gone}
        old = chance.sample(sorted(written), min(10, len(written)))
        ids = [*old, *(f"{turn}-{number}" for number in range(0 if full else 10))]
        chance.shuffle(ids)
        made = numbers.dirichlet(np.full(10, 0.5), len(ids)) @ topics + 0.02 * numbers.normal(size=(len(ids), 64))
        vectors = made.astype(np.float32)
        chroma.replace(collection, [Chunk(each, each, {"turn": turn}) for each in ids], vectors, old)
        written.update(zip(ids, vectors, strict=True))
        if turn % 20 == 0:
            lost += [each for each in written if each not in chroma.nearest(collection, written[each].tolist(), 3)]
    chroma.close()
    assert not lost


def test_of_a_document_that_grew_only_what_changed_is_embedded_again(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    whole = opened.store.engine.preparation.start()[1].result(60)
    embedded: list[str] = []

    class Counting:
        name, weight = whole.name, whole.weight

        def embed(self, texts: Sequence[str]) -> Vectors:
            embedded.extend(texts)
            return whole.embed(texts)

    async def embedder() -> Counting:
        return Counting()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened.store.engine.preparation, "embedder", embedder)
        text = "".join(f"Sentence {number} mentions zebras. " for number in range(300))
        total = opened.index(text, {"a": 1}, "x").chunks
        embedded.clear()
        opened.index(f"{text}One giraffe came by.", {"a": 1}, "x")
        assert 1 <= len(embedded) <= 3 < total
        embedded.clear()
        assert opened.index(f"{text}One giraffe came by.", {"b": 2}, "x").status == "updated"
        assert len(embedded) >= total
    assert opened.get("x")[0].text == f"{text}One giraffe came by."
    assert opened.ids("giraffe", mode="semantic", top_k=1, where={"b": 2}) == ["x"]
    assert opened.ids("giraffe", mode="semantic", where={"a": 1}) == []


def test_what_was_deleted_and_then_could_not_be_written_is_written_with_the_next(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "x")
    chroma = opened.store.engine.chroma

    def fail(collection: Collection, chunks: Sequence[Chunk], vectors: Vectors, old: Sequence[str]) -> None:
        chroma.delete(collection, old)
        raise Refusal("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chroma, "replace", fail)
        assert "full" in opened.refusal(opened.store.index("notes", Draft.make("Dogs bark.", None, "x")))
    opened.index("Owls hoot.", None, "y")
    assert [document.text for document in opened.get("x")] == ["Dogs bark."]
    for mode in ("semantic", "keyword"):
        assert opened.ids("dogs bark", mode=mode, top_k=1) == ["x"]


def test_what_could_not_be_written_and_was_deleted_does_not_come_back(
    shelf: Opener, tmp_path: Path, embedder: Embedder
) -> None:
    opened = shelf(tmp_path)
    opened.index("Cats purr.", None, "cat")

    def fail(texts: Sequence[str]) -> Vectors:
        raise Refusal("the embedder is away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "embed", fail)
        assert "away" in opened.refusal(opened.store.index("notes", Draft.make("Dogs bark.", None, "dog")))
        assert opened.run(opened.store.delete("notes", ["dog", "none"])) == (["dog"], ["none"])
    opened.index("Owls hoot.", None, "owl")
    assert opened.get("dog") == []
    assert {document.id for document in opened.get()} == {"cat", "owl"}


def test_a_collection_that_is_being_made_has_no_words_yet(tmp_path: Path) -> None:
    async def look() -> dict[str, float]:
        keywords = await Keywords.open(tmp_path / "keywords.sqlite3")
        writer = keywords._writer  # pyright: ignore[reportPrivateUsage]  # no public way to stop half way
        try:
            async with keywords.writing():
                await writer.execute("INSERT INTO collections (uuid) VALUES ('new')")
                return await keywords.search("new", "zebra", 1)
        finally:
            await keywords.close()

    assert asyncio.run(look()) == {}
