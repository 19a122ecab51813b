"""Embedders behind HTTP: any server that speaks OpenAI's API, and Ollama."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .embedders import normalise
from .refusals import Refusal

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_BATCH: Final = 64
_TIMEOUT: Final = 60.0
_WHOLE: Final = 120.0  # seconds for a whole answer, however it drips
_TRIES: Final = 3
_LARGEST: Final = 64 << 20  # bytes of an answer: 64 vectors of 4,096 numbers take a tenth of it
_PATIENCE: Final = 5.0  # seconds that are waited where a server asks for it


class Remote:
    """What both have in common: batches, tries, and errors that say which server to look at."""

    weight = 0.6
    kind = ""
    path = ""

    def __init__(self, model: str, url: str, key: str | None) -> None:
        import httpx

        self.name = f"{self.kind}:{model}"
        self._model = model
        self._url = url.rstrip("/") + self.path
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=_TIMEOUT, headers=headers, transport=httpx.HTTPTransport(retries=1))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector for each text."""
        import numpy as np

        rows: list[Sequence[float]] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            found = self._read(self._ask(batch))
            if len(found) != len(batch):
                raise self._refuse("answered with vectors that do not fit the texts")
            rows += found
        return normalise(self._check(rows)) if rows else np.empty((0, 0), dtype=np.float32)

    def _check(self, rows: list[Sequence[float]]) -> Vectors:
        """The vectors as an array; what is stored is finite numbers, as many for each text, or nothing."""
        import numpy as np

        try:
            found = np.asarray(rows)
        except ValueError as error:  # of different lengths
            raise self._refuse("answered with vectors that do not fit the texts") from error
        if found.ndim != 2 or found.shape[1] == 0 or found.dtype.kind not in "fiu":
            raise self._refuse("answered with vectors that do not fit the texts")
        if not (np.abs(found.astype(np.float64)) <= np.finfo(np.float32).max).all():
            raise self._refuse("answered with numbers that are not finite")
        return found.astype(np.float32)

    def _ask(self, texts: list[str]) -> Any:
        import httpx

        for attempt in range(1, _TRIES + 1):
            try:
                with self._client.stream("POST", self._url, json={"model": self._model, "input": texts}) as answer:
                    if answer.status_code == 200:
                        return self._parse(answer)
            except httpx.HTTPError as error:
                raise self._refuse(f"cannot be reached ({type(error).__name__})") from error
            wait = _asked_to_wait(answer)
            if answer.status_code not in (429, 500, 502, 503) or attempt == _TRIES or wait > _PATIENCE:
                later = f" and asks to wait {wait:g} s" if wait else ""
                raise self._refuse(f"answered {answer.status_code}{_hint(answer)}{later}")
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _parse(self, answer: httpx.Response) -> Any:
        body, deadline = bytearray(), time.monotonic() + _WHOLE
        for piece in answer.iter_bytes():
            body += piece
            if time.monotonic() > deadline:
                raise self._refuse(f"did not finish its answer in {_WHOLE:g} s")
            if len(body) > _LARGEST:
                raise self._refuse(f"answered with more than {_LARGEST >> 20} MiB")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._refuse("did not answer with JSON") from error

    def _read(self, body: Any) -> list[Sequence[float]]:
        raise NotImplementedError

    def _refuse(self, problem: str) -> Refusal:
        return Refusal(f"The embedder {self.name} at {self._url} {problem}: check it, then call again.")


class OpenAI(Remote):
    """`POST {base}/embeddings`, as OpenAI, vLLM, LM Studio, llama.cpp and others serve it."""

    kind = "openai"
    path = "/embeddings"

    def __init__(self, model: str, url: str | None, key: str | None) -> None:
        url = url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        super().__init__(model, url, key or os.environ.get("OPENAI_API_KEY"))

    def _read(self, body: Any) -> list[Sequence[float]]:
        try:
            return [each["embedding"] for each in sorted(body["data"], key=lambda each: each["index"])]
        except (KeyError, TypeError) as error:
            raise self._refuse("answered with something other than embeddings") from error


class Ollama(Remote):
    """`POST {base}/api/embed`."""

    kind = "ollama"
    path = "/api/embed"

    def __init__(self, model: str, url: str | None, key: str | None) -> None:
        super().__init__(model, url or _ollama_host(), key)

    def _read(self, body: Any) -> list[Sequence[float]]:
        try:
            return list(body["embeddings"])
        except (KeyError, TypeError) as error:
            raise self._refuse("answered with something other than embeddings") from error


def _ollama_host() -> str:
    host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    return host if "://" in host else f"http://{host}"


def _hint(answer: httpx.Response) -> str:
    return {401: ", which is about the API key", 404: ", which is about the model's name or the address"}.get(
        answer.status_code, ""
    )


def _asked_to_wait(answer: httpx.Response) -> float:
    """Seconds of Retry-After (RFC 9110, 10.2.3); 0 where there is none, or a date."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
