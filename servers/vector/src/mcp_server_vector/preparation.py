"""Chroma and the embedder take a second to import: they are loaded behind the handshake, and awaited when needed."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final, TypeAlias

from .embedders import Choice, Embedder
from .refusals import Refusal

Report: TypeAlias = Callable[[str], Awaitable[None]]
_PULSE: Final = 0.25  # seconds between two reports to whoever waits


class Preparation:
    """Loads once, in a thread of its own; after a failure the next who asks tries again."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._guard = threading.Lock()
        self._imported: Future[None] | None = None
        self._embedder: Future[Embedder] | None = None
        self._said = "Loading Chroma"

    def start(self) -> tuple[Future[None], Future[Embedder]]:
        """Begin, unless it was begun; from any thread."""
        with self._guard:
            imported, embedder = self._imported, self._embedder
            failed = any(each is not None and each.done() and each.exception() for each in (imported, embedder))
            if imported is None or embedder is None or failed:
                imported, embedder = self._imported, self._embedder = Future[None](), Future[Embedder]()
                threading.Thread(target=self._load, args=(imported, embedder), name="preparation", daemon=True).start()
            return imported, embedder

    def start_after(self, seconds: float) -> None:
        """Begin in a while: a client that starts the server wants its first answers before anything is loaded."""
        timer = threading.Timer(seconds, self.start)
        timer.daemon = True
        timer.start()

    async def chroma(self, report: Report | None = None) -> None:
        """Wait until Chroma is imported."""
        await self._wait(self.start()[0], report)

    async def embedder(self, report: Report | None = None) -> Embedder:
        """Wait for the embedder; raises `Refusal` where it cannot be had."""
        embedder = self.start()[1]
        await self._wait(embedder, report)
        return embedder.result()

    async def _wait(self, future: Future[None] | Future[Embedder], report: Report | None) -> None:
        while not future.done():
            if report is not None:
                await report(self._said)
            await _wait_at_most(future, _PULSE)
        future.result()

    def _load(self, imported: Future[None], embedder: Future[Embedder]) -> None:
        try:
            importlib.import_module("chromadb.api.rust")  # what a client of the embedded database imports late
            imported.set_result(None)
            self._said = f"Loading the embedder {self._choice}"
            embedder.set_result(self._choice.load(self._say))
        except BaseException as error:
            refusal = error if isinstance(error, Refusal) else _explain(self._said, error)
            for future in (imported, embedder):
                if not future.done():
                    future.set_exception(refusal)

    def _say(self, text: str) -> None:
        self._said = text


def _explain(work: str, error: BaseException) -> Refusal:
    refusal = Refusal(
        f"{work} failed ({type(error).__name__}: {str(error)[:200]}): reinstalling mcp-server-vector may help; another "
        "--embedder may do."
    )
    refusal.__cause__ = error
    return refusal


async def _wait_at_most(future: Future[None] | Future[Embedder], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(_: object) -> None:
        loop.call_soon_threadsafe(lambda: done.done() or done.set_result(None))

    future.add_done_callback(tell)
    await asyncio.wait([done], timeout=seconds)
