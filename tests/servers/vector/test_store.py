"""The store: what goes in is found again, once, in every mode and under every filter."""

from __future__ import annotations

import math
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.servers.vector.conftest import Opener, Shelf
from tests.servers.vector.test_safekeeping import make_collection

from mcp_server_vector.embedders import Embedder, choose
from mcp_server_vector.fusion import fuse, similarity
from mcp_server_vector.refusals import Mismatch, Missing, Refusal
from mcp_server_vector.writing import Draft

FACTS = {
    "vacuum": "PostgreSQL reclaims the space of dead rows with VACUUM, which autovacuum runs on its own.",
    "whale": "The blue whale is the largest animal that has ever lived on Earth.",
    "bread": "Sourdough bread rises by wild yeast; knead the dough and let it rest overnight.",
    "orbit": "The Moon goes round the Earth once in 27.3 days.",
    "code": "Call readFileSync to load a configuration file before the server starts.",
}


@pytest.fixture
def facts(shelf: Opener, tmp_path: Path) -> Shelf:
    """A few short documents."""
    opened = shelf(tmp_path / "data")
    for number, (name, text) in enumerate(FACTS.items()):
        opened.index(text, {"number": number, "kind": "even" if number % 2 == 0 else "odd"}, name)
    return opened


def test_a_document_is_created_once_updated_and_left_alone(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    first = opened.index("Cats sleep all day.", {"a": 1})
    assert (first.status, first.chunks, len(first.id)) == ("created", 1, 16)
    assert opened.index("Cats sleep all day.", {"a": 1}).status == "unchanged"
    assert opened.index("Cats sleep all day.", {"b": 2}).status == "updated"
    assert opened.get(first.id)[0].metadata == {"b": 2}
    assert opened.index("Dogs bark.", None, first.id).status == "updated"
    assert [hit.text for hit in opened.search("cats dogs")] == ["Dogs bark."]


def test_a_document_that_became_shorter_leaves_nothing_behind(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    long = "# Zebras\n" + "".join(f"Sentence {number} mentions zebras. " for number in range(300))
    assert (total := opened.index(long, None, "x").chunks) > 10
    assert opened.get("x")[0].text == long
    hits = opened.search("zebras", mode="semantic", top_k=50)
    assert sorted((hit.chunk, hit.chunks, hit.heading) for hit in hits) == [(n, total, "Zebras") for n in range(total)]
    assert opened.index("Only one giraffe.", None, "x").chunks == 1
    for mode in ("semantic", "keyword", "hybrid"):
        for hit in opened.search("zebras giraffe", mode=mode, top_k=50):
            assert (hit.text, hit.chunk, hit.chunks, hit.heading) == ("Only one giraffe.", 0, 1, "")
    (overview,) = opened.run(opened.store.collections())
    assert (overview.documents, overview.chunks) == (1, 1)


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_every_mode_finds_and_scores_between_0_and_1(facts: Shelf, mode: str) -> None:
    hits = facts.search("largest animal whale", mode=mode, top_k=5)
    assert hits[0].id == "whale"
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all(hit.score >= 0.3 for hit in facts.search("largest animal whale", mode=mode, min_score=0.3))


def test_meaning_finds_what_has_no_word_in_common_and_words_find_a_name(facts: Shelf) -> None:
    assert facts.ids("how long does the lunar month take", mode="semantic", top_k=2).count("orbit") == 1
    assert facts.ids("lunar cetacean", mode="keyword") == []
    assert facts.ids("configuration read file", mode="keyword")[0] == "code"
    assert facts.ids("rising doughs", mode="keyword")[0] == "bread"  # words are stemmed


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_filters_hold_in_every_mode(facts: Shelf, mode: str) -> None:
    query = "the Earth, its animal, its dough, its file and its rows"
    assert set(facts.ids(query, mode=mode, where={"kind": "odd"})) <= {"whale", "orbit"}
    assert facts.ids(query, mode=mode, where={"kind": "odd", "number": {"$gt": 2}}) == ["orbit"]
    assert facts.ids(query, mode=mode, where_document={"$contains": "yeast"}) == ["bread"]
    assert facts.ids(query, mode=mode, where={"number": 99}) == []


def test_a_filter_finds_the_one_among_many_that_words_rank_low(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    many = "\n\n".join(f"Common word number {number}. " + "Filler. " * 110 for number in range(150))
    assert opened.index(many, {"rare": False}, "many").chunks >= 150
    opened.index("A common word among " + "many other things " * 40, {"rare": True}, "one")
    assert opened.ids("common word", mode="keyword", where={"rare": True}, top_k=1) == ["one"]


@pytest.mark.parametrize(
    ("where", "where_document"),
    [
        ({"a": {"$foo": 1}}, None),
        ({"$and": [{"a": 1}]}, None),
        ({"a": None}, None),
        ({"a": {"$in": []}}, None),
        (None, {"$contains": 1}),
        (None, {"$regex": "("}),
        (None, {"$contains": ""}),
    ],
)
def test_a_filter_that_says_nothing_is_refused_in_words(facts: Shelf, where: Any, where_document: Any) -> None:
    for mode in ("semantic", "keyword"):
        with pytest.raises(Refusal, match="Chroma refused"):
            facts.search("the Earth", mode=mode, where=where, where_document=where_document)


def test_a_pattern_that_is_too_much_for_the_engine_is_said_to_be_the_filter_s_fault(facts: Shelf) -> None:
    for mode in ("semantic", "keyword"):
        with pytest.raises(Refusal, match="Simplify the filters"):
            facts.search("the Earth", mode=mode, where_document={"$regex": "(?:a{1000}){1000}"})


def test_documents_are_got_and_deleted(facts: Shelf) -> None:
    assert {each.id for each in facts.get()} == set(FACTS)
    assert [each.text for each in facts.get("whale", "nothing")] == [FACTS["whale"]]
    assert {each.id for each in facts.get(kind="odd")} == {"whale", "orbit"}
    assert facts.run(facts.store.delete("notes", ["whale", "nothing"])) == (["whale"], ["nothing"])
    assert facts.get("whale") == []
    for mode in ("semantic", "keyword"):
        assert "whale" not in facts.ids("largest animal whale", mode=mode)


def test_a_collection_that_is_not_there_is_missed_by_name(facts: Shelf) -> None:
    with pytest.raises(Missing, match="there are: notes"):
        facts.search("x", collection="other")
    assert facts.run(facts.store.names()) == ["notes"]  # a search makes none


def test_two_embedders_never_meet_in_one_collection(facts: Shelf, shelf: Opener, tmp_path: Path) -> None:
    facts.close()
    other = shelf(tmp_path / "data", choose("ollama:tiny", "http://127.0.0.1:9"))
    with pytest.raises(Mismatch, match="--embedder wordllama:l2_supercat_256"):
        other.search("whale")
    assert other.ids("whale", mode="keyword") == ["whale"]
    (overview,) = other.run(other.store.collections())
    assert "was embedded with" in (overview.problem or "")
    assert choose("wordllama:l2_supercat_256") == choose("wordllama")


def test_strange_texts_are_kept_as_they_are(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    texts = [
        "\u202eright to left\u200b x",
        "emoji 👩\u200d🚀 rocket",
        "tab\tnewline\r\n\x1b[31mred",
        "全文検索は便利です",
        "' OR 1=1 --",
    ]
    for number, text in enumerate(texts):
        opened.index(text, {"text": text}, f"t{number}")
    assert [each.text for each in opened.get(*(f"t{number}" for number in range(len(texts))))] == texts
    assert opened.ids("検索", mode="keyword") == ["t3"]
    assert opened.ids("1=1", mode="keyword") == ["t4"]


def test_ids_that_look_like_those_of_chunks_do_not_collide(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    long = "Apples are red. " * 100
    opened.index(long, None, "a")
    opened.index("Pears.", None, "a#1")
    opened.index("Plums.", None, "a#1#0")
    assert [each.text for each in opened.get("a", "a#1", "a#1#0")] == [long, "Pears.", "Plums."]
    opened.run(opened.store.delete("notes", ["a"]))
    assert {each.id for each in opened.get()} == {"a#1", "a#1#0"}


def test_read_only_means_that_nothing_is_written(facts: Shelf, shelf: Opener, tmp_path: Path) -> None:
    reader = shelf(tmp_path / "data", read_only=True)
    assert "--read-only" in reader.refusal(reader.store.index("notes", Draft.make("x")))
    assert "--read-only" in reader.refusal(reader.store.delete("notes", ["whale"]))
    assert reader.ids("whale")[0] == "whale"


def test_a_full_disk_is_said_and_nothing_is_half_there(facts: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(facts.store.engine.keywords, "put", full)
        with pytest.raises((Refusal, sqlite3.Error), match="full"):
            facts.index("Penguins swim.", None, "penguin")
    facts.index("Seals swim too.", None, "seal")  # whoever writes next finishes what was begun
    for mode in ("semantic", "keyword"):
        assert "penguin" in facts.ids("penguins swim", mode=mode)


def test_both_indexes_hold_the_same_chunks(facts: Shelf, tmp_path: Path) -> None:
    facts.index("Apples are red. " * 200, None, "long")
    facts.run(facts.store.delete("notes", ["whale"]))
    with closing(sqlite3.connect(tmp_path / "data" / "keywords.sqlite3")) as words:
        listed = {row[0] for row in words.execute("SELECT chunk FROM chunks")}
        rows = words.execute("SELECT count(*) FROM words_1").fetchone()[0]
        assert words.execute("SELECT count(*) FROM pending").fetchone()[0] == 0
    with closing(sqlite3.connect(tmp_path / "data" / "chroma.sqlite3")) as chroma:
        assert listed == {row[0] for row in chroma.execute("SELECT embedding_id FROM embeddings")}
    assert rows == len(listed)


@pytest.mark.parametrize("space", ["cosine", "l2", "ip"])
def test_a_similarity_falls_as_the_distance_grows(space: str) -> None:
    distances = [-2.0, 0.0, 0.1, 0.5, 1.0, 2.0, 10.0, 1e6]
    scores = [similarity(distance, space) for distance in distances]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert similarity(0.0, "cosine") == similarity(0.0, "l2") == 1.0


SCORES: dict[str, Callable[[float], float]] = {
    "cosine": lambda cosine: max(cosine, 0.0),
    "l2": lambda cosine: 1 / (3 - 2 * cosine),  # 1 / (1 + distance), the distance of unit vectors being 2 - 2 cos
    "ip": lambda cosine: 1 / (1 + math.exp(-cosine)),
}


@pytest.mark.parametrize("space", SCORES)
def test_a_score_is_right_for_the_distance_of_the_collection(
    shelf: Opener, tmp_path: Path, embedder: Embedder, space: str
) -> None:
    make_collection(tmp_path, 1000, space)
    score = SCORES[space]
    opened = shelf(tmp_path)
    for name, text in FACTS.items():
        opened.index(text, None, name)
    query = "the largest animal on Earth"
    vectors = embedder.embed([query, *FACTS.values()])
    cosines = {name: float(vectors[0] @ vector) for name, vector in zip(FACTS, vectors[1:], strict=True)}
    hits = opened.search(query, mode="semantic", top_k=len(FACTS))
    assert [hit.id for hit in hits] == sorted(FACTS, key=lambda name: -cosines[name])
    assert [hit.score for hit in hits] == pytest.approx([score(cosines[hit.id]) for hit in hits], abs=1e-3)
    assert opened.search(FACTS["whale"], mode="semantic")[0].score == pytest.approx(score(1.0), abs=1e-3)


@pytest.mark.slow
def test_two_million_characters_are_indexed_without_being_held_twice(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path)
    opened.index("What is loaded at the first use is loaded now.")
    text = "".join(f"Sentence {number} of a very long story is told. " for number in range(50_000))[:2_000_000]
    draft = Draft.make(text, None, "story")
    tracemalloc.start()
    try:
        indexed = opened.run(opened.store.index("notes", draft))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert indexed.chunks > 2000
    assert peak < 9_000_000  # 7 MB are those of a batch of passages, whatever the length of the text
    assert opened.get("story")[0].text == text


def test_a_fusion_of_nothing_with_something_is_in_order() -> None:
    assert fuse({}, {}, 0.5) == {}
    fused = fuse({"a": 0.9, "b": 0.1}, {"b": 0.8}, 0.5)
    assert fused["b"] > fused["a"]
    assert all(0 <= score <= 1 for score in fused.values())
