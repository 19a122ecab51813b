"""The vector server beside PyPI's `chroma-mcp`.

    uv run benchmarks/vectors.py

Start to the list of tools, 2,000 documents of one passage each, added one a call and many at once, and queries; every
call on one server and on the other in turn. Both get their vectors from a server on this machine that speaks OpenAI's
API, since what the peer embeds with by itself has to be downloaded; so the embedder's own speed does not count.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Generator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from contest import install_python, peak
from growth.prose import Prose

from mcp_kernel.client import Client, Reach

HERE: Final = Path(__file__).parent
PACKAGE: Final = "chroma-mcp==0.2.6"
MODEL: Final = "text-embedding-ada-002"  # what the peer asks for
DOCUMENTS: Final = 2000
QUERIES: Final = 50
STARTS: Final = 7


class Program(NamedTuple):
    """A server, and what it takes from its environment."""

    words: Sequence[str]
    env: Mapping[str, str] = {}

    def client(self) -> Client:
        """A client of it."""
        return Client(self.words, timeout=600, reach=Reach(env=self.env))


@contextmanager
def serve_embeddings() -> Generator[str]:
    """Start a server of embeddings; gives its base URL."""
    command = [sys.executable, str(HERE / "contenders" / "embeddings.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def report(name: str, measured: tuple[float, float]) -> None:
    """Print a line: ours, the peer's, the ratio."""
    print(f"{name:34}{measured[0]:12.2f}{measured[1]:12.2f}{measured[0] / measured[1]:14.2f}", flush=True)


async def compete(ours: Program, peer: Program, texts: Sequence[str]) -> None:
    """Start both and print medians, ratios and peak memory."""
    print(f"{'':34}{'ours ms':>12}{'peer ms':>12}{'ours / peer':>14}")
    starts = [[await start(command) for command in (ours, peer)] for _ in range(STARTS)]
    mine, theirs = zip(*starts, strict=True)
    report("start to the list of tools", (statistics.median(mine), statistics.median(theirs)))
    async with AsyncExitStack() as stack:
        us, them = [await stack.enter_async_context(command.client()) for command in (ours, peer)]
        for name in ("documents", "many"):
            made = {"collection_name": name, "embedding_function_name": "openai"}
            await call(them, "chroma_create_collection", made)
        adding = [(add(us, text), add_to_peer(them, [text], number)) for number, text in enumerate(texts)]
        report("a document, one a call", await in_turn(adding))
        both = call(us, "index_files", {"paths": [], "collection": "many"}), add_all_to_peer(them, texts)
        report(f"{DOCUMENTS} documents at once", await in_turn([both], first=0))
        prose = Prose(2)
        asked = [prose.words(5) for _ in range(QUERIES)]
        report("a query", await in_turn([(search(us, query), search_peer(them, query)) for query in asked]))
        report("peak memory, MiB", (peak(ours.words), peak(peer.words)))


async def call(client: Client, tool: str, arguments: Mapping[str, object]) -> None:
    """Call a tool that must do as it is told."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, (tool, result.text)


def add(client: Client, text: str) -> Awaitable[None]:
    return call(client, "index_document", {"text": text})


def add_to_peer(client: Client, texts: Sequence[str], first: int, collection: str = "documents") -> Awaitable[None]:
    ids = [f"d{first + number}" for number in range(len(texts))]
    return call(client, "chroma_add_documents", {"collection_name": collection, "documents": texts, "ids": ids})


async def add_all_to_peer(client: Client, texts: Sequence[str]) -> None:
    for first in range(0, len(texts), 100):
        await add_to_peer(client, texts[first : first + 100], first, "many")


def search(client: Client, query: str) -> Awaitable[None]:
    return call(client, "semantic_search", {"query": query})


def search_peer(client: Client, query: str) -> Awaitable[None]:
    return call(client, "chroma_query_documents", {"collection_name": "documents", "query_texts": [query]})


async def start(program: Program) -> float:
    """Milliseconds from nothing to the list of tools."""
    began = time.perf_counter()
    async with program.client() as client:
        await client.list_tools()
        return (time.perf_counter() - began) * 1000


async def in_turn(steps: Iterable[tuple[Awaitable[None], Awaitable[None]]], first: int = 1) -> tuple[float, float]:
    """Medians of milliseconds for ours and the peer's; the `first` are not counted."""
    took: tuple[list[float], list[float]] = ([], [])
    for turn, pair in enumerate(steps):
        for step, milliseconds in zip(pair, took, strict=True):
            began = time.perf_counter()
            await step
            if turn >= first:
                milliseconds.append((time.perf_counter() - began) * 1000)
    return statistics.median(took[0]), statistics.median(took[1])


def meet_the_peer() -> None:
    """Install the peer, write the documents, compete."""
    prose = Prose(1)
    with tempfile.TemporaryDirectory() as work, serve_embeddings() as url:
        files = Path(work, "files")
        files.mkdir()
        texts = [prose.text(6) for _ in range(DOCUMENTS)]
        for number, text in enumerate(texts):
            (files / f"{number:04}.txt").write_text(text)
        programs = install_python(Path(work, "peer"), PACKAGE, "openai", "pydantic<2.12")  # newer ones it cannot import
        ours = (sys.executable, "-m", "mcp_server_vector", "--data-dir", str(Path(work, "ours")), "--files", str(files))
        ours += ("--embedder", f"openai:{MODEL}", "--embedder-url", url)
        theirs = (str(programs / "chroma-mcp"), "--client-type", "persistent", "--data-dir", str(Path(work, "theirs")))
        # It takes neither the key nor the address from its command line.
        surroundings = {"CHROMA_OPENAI_API_KEY": "none", "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": url}
        asyncio.run(compete(Program(ours), Program(theirs, surroundings), texts))


if __name__ == "__main__":
    meet_the_peer()
