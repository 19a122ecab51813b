"""A Chroma server instead of a directory: the real one, started on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.servers.vector.conftest import Opener
from tests.servers.vector.test_keeping import agree
from tests.transports.host import surroundings, until

from mcp_server_vector.search import Question
from mcp_server_vector.writing import Draft

CHROMA = Path(sys.executable).with_name("chroma")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Theirs:
    """A Chroma server that runs."""

    url: str
    process: subprocess.Popen[bytes]


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    port = free_port()
    command = [str(CHROMA), "run", "--path", str(tmp_path / "theirs"), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings()) as process:
        try:
            until(lambda: listens(port), 30)
            yield Theirs(f"http://127.0.0.1:{port}", process)
        finally:
            process.kill()


@pytest.fixture
def url(theirs: Theirs) -> str:
    return theirs.url


@pytest.mark.slow
def test_a_chroma_server_is_used_as_a_directory_is(shelf: Opener, tmp_path: Path, url: str) -> None:
    one = shelf(tmp_path / "one", url=url)
    assert one.index("Cats purr. " * 200, {"kind": "pet"}, "cat").status == "created"
    assert one.index("Cats purr. " * 200, {"kind": "pet"}, "cat").status == "unchanged"
    one.index("Dogs bark.", {"kind": "pet"}, "dog")
    for mode in ("hybrid", "semantic", "keyword"):
        assert one.ids("dogs bark", mode=mode, top_k=1) == ["dog"]
        assert one.ids("dogs bark", mode=mode, where={"kind": "wild"}) == []
    two = shelf(tmp_path / "two", url=url)  # another machine: a keyword index of its own
    assert two.ids("bark", mode="keyword") == ["dog"]
    two.run(two.store.delete("notes", ["dog"]))
    assert one.ids("bark", mode="keyword") == []
    assert agree(one) == agree(two)
    assert one.get("cat")[0].text == "Cats purr. " * 200


@pytest.mark.slow
def test_a_chroma_server_that_goes_away_is_said_at_every_call(shelf: Opener, tmp_path: Path, theirs: Theirs) -> None:
    opened = shelf(tmp_path / "ours", url=theirs.url)
    opened.index("Cats purr.", None, "cat")
    theirs.process.kill()
    theirs.process.wait(10)
    store = opened.store
    for work in (
        store.search("notes", "cats", Question()),
        store.get("notes", ["cat"], None, 1),
        store.collections(),
        store.index("notes", Draft.make("Dogs bark.")),
        store.index("others", Draft.make("Dogs bark.")),
        store.delete("notes", ["cat"]),
    ):
        text = opened.refusal(work)
        assert theirs.url in text
        assert "call again" in text


def test_a_chroma_server_that_is_not_there_is_said_with_its_address(shelf: Opener, tmp_path: Path) -> None:
    opened = shelf(tmp_path, url="http://127.0.0.1:9")
    assert "Chroma could not open http://127.0.0.1:9" in opened.refusal(opened.store.collections())
