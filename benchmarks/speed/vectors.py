"""The vector server beside PyPI's `chroma-mcp`.

All get their vectors from a server on this machine that speaks OpenAI's API, since what the peer embeds with by itself
has to be downloaded; so the embedder's own speed does not count.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from growth.prose import Prose
from pydantic_core import from_json, to_json

from .contenders import OURS, PROGRAMS
from .installing import install_python
from .trials import PEER, Call, Contest, Program, Trial

PACKAGE: Final = "chroma-mcp"
VERSION: Final = "0.2.6"
STEP: Final = (f"{PACKAGE}=={VERSION}", "openai", "pydantic<2.12")  # newer ones it cannot import
MODEL: Final = "text-embedding-ada-002"  # what the peer asks for
DOCUMENTS: Final = 2_000
QUICK_DOCUMENTS: Final = 200
SINGLE: Final = 1_000  # more of them than are added one a call
BATCH: Final = 100
FOLDER: Final = 2_000  # files in one, which are indexed by one call
FIRST: Final[Mapping[str, Sequence[Call]]] = {
    OURS: [("index_document", {"text": "The first.", "collection": "first"})],
    PEER: [("chroma_create_collection", {"collection_name": "documents", "embedding_function_name": "openai"})],
}
"""Ours loads Chroma with its first call, and not at its start; the peer wants a collection made."""


@contextmanager
def prepare(work: Path, *, quick: bool, documents: int = DOCUMENTS) -> Generator[Contest]:
    """Write so many documents, and start the server of embeddings."""
    prose = Prose(1)
    texts = [f"Passage {number}. {prose.text(6)}" for number in range(QUICK_DOCUMENTS if quick else documents)]
    folder = work / "documents"
    folders = write_files(folder, texts)
    with serve_embeddings() as url, closing(Store(work / "floor", url)) as store:
        ours = [sys.executable, "-m", "mcp_server_vector", "--data-dir", str(work / "ours"), "--files", str(folder)]
        about = (
            f"{len(texts):,} documents of one passage each, `mcp-server-vector` beside PyPI's `{PACKAGE}` {VERSION}; "
            f"at once means {name_calls(len(folders))} of `index_files` here and {len(texts) // BATCH} with {BATCH} "
            "texts there. Ours keeps an index of words too, and what an answer cites. Floor: Chroma in one process "
            "with the same vectors. Chroma is loaded before anything is measured but the start."
        )
        program = Program([*ours, "--embedder", f"openai:{MODEL}", "--embedder-url", url])
        peers = {PEER: lambda: find_peer(work / "theirs", url)}
        yield Contest("Vectors", about, program, peers, list_trials(store, texts, folders), FIRST)


def write_files(folder: Path, texts: Sequence[str]) -> list[Path]:
    """Write a file for each text; gives their folders."""
    for number, text in enumerate(texts):
        inner = folder / f"{number // FOLDER}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{number}.txt").write_text(text)
    return sorted(folder.iterdir())


def name_calls(calls: int) -> str:
    """So many calls, in words."""
    return "a call" if calls == 1 else f"{calls} calls"


def find_peer(data: Path, url: str) -> Program:
    """PyPI's, which takes neither the key nor the address from its command line."""
    scripts = install_python(f"{PACKAGE}-{VERSION}", STEP)
    words = [str(scripts / PACKAGE), "--client-type", "persistent", "--data-dir", str(data)]
    return Program(words, {"CHROMA_OPENAI_API_KEY": "none", "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": url})


@contextmanager
def serve_embeddings() -> Generator[str]:
    """Start a server of embeddings; gives its base URL."""
    command = [sys.executable, str(PROGRAMS / "embeddings.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def list_trials(store: Store, texts: Sequence[str], folders: Sequence[Path]) -> list[Trial]:
    """Many at once, then more one by one, then queries; a fresh text and question at each turn."""
    prose = Prose(2)
    more = [f"Passage {len(texts) + number}. {prose.text(6)}" for number in range(SINGLE)]
    questions = [prose.words(5) for _ in range(SINGLE)]
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]

    def fill(name: str, _turn: int) -> Sequence[Call]:
        if name == OURS:
            return [("index_files", {"paths": [str(folder)]}) for folder in folders]
        return [add_to_peer(batch, number * BATCH) for number, batch in enumerate(batches)]

    def add(name: str, turn: int) -> Sequence[Call]:
        text = more[turn]
        return [("index_document", {"text": text}) if name == OURS else add_to_peer([text], len(texts) + turn)]

    def ask(name: str, turn: int) -> Sequence[Call]:
        if name == OURS:
            return [("semantic_search", {"query": questions[turn]})]
        return [("chroma_query_documents", {"collection_name": "documents", "query_texts": [questions[turn]]})]

    return [
        Trial(f"{len(texts):,} documents at once", fill, lambda _: store.add_all(batches), times=0, quick=True),
        Trial("a document, one a call", add, lambda turn: store.add_more(more[turn], turn), times=20, quick=True),
        Trial("a query", ask, lambda turn: store.ask(questions[turn]), "Passage", 15, quick=True),
    ]


def add_to_peer(texts: Sequence[str], first: int) -> Call:
    """Documents for the peer."""
    ids = [f"d{first + number}" for number in range(len(texts))]
    return "chroma_add_documents", {"collection_name": "documents", "documents": texts, "ids": ids}


class Collection(Protocol):
    """What is used of Chroma's."""

    def add(self, *, ids: Sequence[str], embeddings: Sequence[object], documents: Sequence[str]) -> None: ...

    def query(self, *, query_embeddings: Sequence[object], n_results: int) -> dict[str, object]: ...


class Store:
    """Chroma in this process."""

    def __init__(self, folder: Path, url: str) -> None:
        import chromadb
        from chromadb.config import Settings

        self._connection = HTTPConnection(urlsplit(url).netloc)
        self._path = f"{urlsplit(url).path}/embeddings"
        client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
        opened: object = client.create_collection("documents", embedding_function=None)
        self._collection = cast("Collection", opened)
        self._first = 0  # of those that are added one by one

    def close(self) -> None:
        """Leave the server of embeddings."""
        self._connection.close()

    def add_all(self, batches: Sequence[Sequence[str]]) -> bytes:
        """Add documents, so many at a time."""
        self._first = sum(map(len, batches))
        return b"".join([self.add(batch, number * BATCH) for number, batch in enumerate(batches)])

    def add(self, texts: Sequence[str], first: int) -> bytes:
        """Add documents; gives their ids as JSON."""
        ids = [f"d{first + number}" for number in range(len(texts))]
        self._collection.add(ids=ids, embeddings=self._embed(texts), documents=texts)
        return to_json(ids)

    def add_more(self, text: str, turn: int) -> bytes:
        """Add one document more than there are."""
        return self.add([text], self._first + turn)

    def ask(self, question: str) -> bytes:
        """The five nearest, as JSON."""
        found = self._collection.query(query_embeddings=self._embed([question]), n_results=5)
        return to_json([found["ids"], found["documents"], found["distances"]])

    def _embed(self, texts: Sequence[str]) -> list[object]:
        import numpy as np

        body = to_json({"model": MODEL, "input": texts, "encoding_format": "base64"})
        self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
        data = from_json(self._connection.getresponse().read())["data"]
        return [np.frombuffer(base64.b64decode(each["embedding"]), np.float32) for each in data]
