"""Retrieval quality: how well each mode finds the text that a heading stands over.

    uv run benchmarks/retrieval [--embedder NAME]... [--tune] [--most PAIRS]

Corpora are made of what is installed: docstrings (the first line is the query, the rest the document), the package
descriptions of distributions and the manuals that some bring, the reference of Python's language among them (a heading
is the query, its section the document). Half of the pairs is for tuning
(`--tune` prints MRR for each share of the semantic score), the other half is reported: MRR, recall@5 and recall@10 of
semantic search alone (which is plain Chroma with the same embedder), of BM25 alone, and of both, the default. Plain
BM25 is FTS5 over the same passages as it comes; the server's takes words by their stems and in their parts, and leaves
out those that say nothing.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import hashlib
import importlib
import re
import sqlite3
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from mcp_server_vector import passages
from mcp_server_vector.embedders import choose
from mcp_server_vector.fusion import fuse
from mcp_server_vector.records import Mode
from mcp_server_vector.search import Question
from mcp_server_vector.settings import Settings
from mcp_server_vector.store import Store
from mcp_server_vector.writing import Draft

MOST: Final = 1500  # pairs of one corpus
DEPTH: Final = 100
WEIGHTS: Final = tuple(step / 20 for step in range(21))
MODES: Final[tuple[Mode, ...]] = ("semantic", "keyword", "hybrid")
PLAIN: Final = "plain BM25"
GROUP: Final = 200  # documents written at once
_HEADING: Final = re.compile(r"^#{1,4}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_UNDERLINED: Final = re.compile(r"^(\S[^\n]*)\n([=*~^\"-])\2{3,}[ \t]*$", re.MULTILINE)
_NO_MANUAL: Final = re.compile(
    r"licen|changelog|changes|history|conduct|contributing|security|release|dist-info", re.IGNORECASE
)


class Pair(NamedTuple):
    """What somebody would ask, and the text that answers it."""

    query: str
    text: str

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.query}\n{self.text}".encode()).hexdigest()[:16]


class Quality(NamedTuple):
    """How well a search finds."""

    mrr: float
    recall_5: float
    recall_10: float


def standard_library() -> Iterator[Pair]:
    """Docstrings of Python's standard library."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}
    for path in sorted(folder.rglob("*.py")):
        if not skipped.intersection(path.relative_to(folder).parts):
            yield from docstrings(path)


def packages(*names: str) -> Iterator[Pair]:
    """Docstrings of installed packages."""
    for name in names:
        for file in sorted(metadata.files(name) or (), key=str):
            if file.suffix == ".py" and "test" not in str(file):
                yield from docstrings(Path(str(file.locate())))


def docstrings(path: Path) -> Iterator[Pair]:
    """Each docstring with a first line that says something and a body that says more."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first, _, rest = (ast.get_docstring(node) or "").partition("\n")
            if len(first.split()) >= 4 and len(rest.split()) >= 25:
                yield Pair(first.strip(), rest.strip()[:4000])


def descriptions() -> Iterator[Pair]:
    """Sections of the descriptions that installed distributions carry."""
    found = sorted(metadata.distributions(), key=lambda each: str(each.metadata["Name"]).lower())
    for distribution in found:
        _, _, text = (distribution.read_text("METADATA") or "").partition("\n\n")
        for heading, body in sections(text, _HEADING):
            yield Pair(f"{distribution.metadata['Name']}: {heading}", body)


def manuals() -> Iterator[Pair]:
    """Sections of the reference of Python's language, and of the manuals that installed distributions bring."""
    topics: Mapping[str, str] = importlib.import_module("pydoc_data.topics").topics
    for _, text in sorted(topics.items()):
        yield from map(Pair._make, sections(text, _UNDERLINED))
    found = sorted(metadata.distributions(), key=lambda each: str(each.metadata["Name"]).lower())
    for distribution in found:
        for file in sorted(distribution.files or (), key=str):
            if file.suffix in (".md", ".rst") and not _NO_MANUAL.search(str(file)):
                with suppress(OSError, UnicodeDecodeError):
                    text = Path(str(file.locate())).read_text("utf-8")
                    yield from map(Pair._make, sections(text, _HEADING if file.suffix == ".md" else _UNDERLINED))


def sections(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Headings that say something, each with what stands under it, up to the next one."""
    headings = list(pattern.finditer(text))
    for heading, following in zip_longest(headings, headings[1:]):
        body = text[heading.end() : following.start() if following else len(text)].strip()
        if len(heading[1].split()) >= 2 and len(body.split()) >= 25:
            yield heading[1].strip(), body[:4000]


def choose_pairs(pairs: Iterable[Pair], most: int) -> list[Pair]:
    """Some of the pairs, the same on every run, no query twice."""
    unique = {pair.query: pair for pair in pairs}
    return sorted(unique.values(), key=lambda pair: pair.id)[:most]


def corpora(most: int) -> dict[str, list[Pair]]:
    """Every corpus."""
    four = packages("numpy", "pydantic", "chromadb", "huggingface_hub")
    found = {"standard library": standard_library(), "four packages": four}
    found |= {"package descriptions": descriptions(), "manuals": manuals()}
    return {name: choose_pairs(pairs, most) for name, pairs in found.items()}


Rankings = list[tuple[str, Mapping[str, Mapping[str, float]]]]


def plain_words(pairs: Sequence[Pair]) -> Callable[[str], dict[str, float]]:
    """FTS5's own BM25 over the same passages, any of the words of a query."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5(chunk UNINDEXED, text)")
    for pair in pairs:
        rows = [(f"{pair.id}#{each.position}", each.searchable) for each in passages.split(pair.text)]
        database.executemany("INSERT INTO words VALUES (?, ?)", rows)

    def search(query: str) -> dict[str, float]:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", query.lower())))
        sql = "SELECT chunk, -bm25(words) FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        return dict(database.execute(sql, (words, DEPTH)).fetchall())

    return search


async def search_all(pairs: Sequence[Pair], embedder: str) -> tuple[Rankings, float]:
    """Index a corpus with the server's own store and run every query in every mode."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Settings(Path(folder), choose(embedder)))
        await store.prepare()
        for start in range(0, len(pairs), GROUP):
            part = pairs[start : start + GROUP]
            await store.index_all("corpus", [Draft.make(pair.text, {}, pair.id) for pair in part])
        rankings: Rankings = []
        plain = plain_words(pairs)
        for pair in pairs:
            found: dict[str, dict[str, float]] = {PLAIN: plain(pair.query)}
            for mode in MODES:
                hits = await store.search("corpus", pair.query, Question(DEPTH, mode))
                found[mode] = {}
                for hit in hits:
                    found[mode].setdefault(f"{hit.id}#{hit.chunk}", hit.score)
            rankings.append((pair.id, found))
        weight = (await store.engine.preparation.embedder()).weight
        await store.close()
    return rankings, weight


def rate(ranked: Iterable[tuple[str, Sequence[str]]]) -> Quality:
    """Rate rankings: of each, the id that is right, and the chunks in their order."""
    ranks: list[int] = []
    for right, chunks in ranked:
        documents = list(dict.fromkeys(chunk.rpartition("#")[0] for chunk in chunks))
        ranks.append(documents.index(right) + 1 if right in documents else 0)
    return Quality(
        sum(1 / rank for rank in ranks if rank) / len(ranks),
        sum(1 for rank in ranks if 0 < rank <= 5) / len(ranks),
        sum(1 for rank in ranks if 0 < rank <= 10) / len(ranks),
    )


def order(scores: Mapping[str, float]) -> list[str]:
    """The keys, the best first."""
    return sorted(scores, key=lambda each: (-scores[each], each))


def report(name: str, embedder: str, rankings: Rankings, *, tune: bool) -> None:
    """Print one corpus."""
    halves = rankings[0::2], rankings[1::2]
    print(f"\n{name}: {len(rankings)} pairs, {embedder}")
    if tune:
        for weight in WEIGHTS:
            mixed = [
                rate((right, order(fuse(found["semantic"], found["keyword"], weight))) for right, found in half)
                for half in halves
            ]
            print(f"  share {weight:.2f}  MRR tuning half {mixed[0].mrr:.3f}  other half {mixed[1].mrr:.3f}")
    print(f"  {'mode':10} {'MRR':>6} {'R@5':>6} {'R@10':>6}")
    for mode in (*MODES, PLAIN):
        found_by = rate((right, order(found[mode])) for right, found in halves[1])
        print(f"  {mode:10} {found_by.mrr:6.3f} {found_by.recall_5:6.3f} {found_by.recall_10:6.3f}")


def main() -> None:
    """Measure."""
    line = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("--embedder", action="append", help="may be repeated (default: wordllama)")
    line.add_argument("--tune", action="store_true", help="print every share of the semantic score")
    line.add_argument("--most", type=int, default=MOST, help="pairs of one corpus (default: %(default)s)")
    arguments = line.parse_args()
    for name, pairs in corpora(arguments.most).items():
        for embedder in arguments.embedder or ["wordllama"]:
            rankings, _ = asyncio.run(search_all(pairs, embedder))
            report(name, embedder, rankings, tune=arguments.tune)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
