"""A disk that is full: said in words, nothing acknowledged is lost, and all goes on when there is room again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers.vector.desk import SERVER, Desk
from tests.transports.host import Host


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [400, 1200])
def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path, blocks: int) -> None:
    command = [*SERVER, "--data-dir", str(tmp_path / "data")]
    kept: list[str] = []
    # No file may grow beyond so many KiB: what SQLite and Chroma then see is a write that fails.
    with Host(["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "-", *command]) as host:
        desk = Desk(host.open(), "legacy")
        for number in range(400):
            text = f"Document {number}. " + f"Words of {number} fill the page. " * 60
            result = desk.call("index_document", text=text, id=f"d{number}")
            if result.get("isError"):
                assert "call again" in result["content"][0]["text"], result
                break
            kept.append(f"d{number}")
        else:
            pytest.fail("it was never full")
        assert kept
        for number in range(3):  # it is neither stuck nor blind
            desk.call("index_document", text=f"Late document {number}.", id=f"late{number}")
            assert "isError" not in desk.call("semantic_search", query="words", mode="keyword")
    with Host(command) as host:
        desk = Desk(host.open(), "legacy")
        assert desk.data("index_document", text="There is room.", id="after")["status"] == "created"
        for start in range(0, len(kept), 50):
            got = desk.data("get_documents", ids=kept[start : start + 50], limit=50)
            assert got["missing"] == []
        found = desk.data("semantic_search", query="Document 0. Words of 0 fill the page.", mode="semantic", top_k=50)
        assert found["results"]
