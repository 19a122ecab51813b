"""Two processes on one directory: each sees what the other writes, and searching goes on while one writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers.vector.conftest import Opener
from tests.servers.vector.desk import SERVER, Desk
from tests.servers.vector.test_kills import Writer
from tests.servers.vector.test_safekeeping import make_collection
from tests.transports.host import Host


@pytest.mark.slow
def test_searching_goes_on_while_another_process_writes(shelf: Opener, tmp_path: Path) -> None:
    make_collection(tmp_path, 20)
    opened = shelf(tmp_path)
    opened.index("river mountain forest", {"v": 0}, "ours")
    writer = Writer(tmp_path, 1)
    writer.begin()
    writer.hear(2)
    found: set[str] = set()
    for _ in range(60):
        # What the filter lets pass is known at once, the vectors of it only when they are loaded again.
        found |= {hit.id for hit in opened.search("river", mode="semantic", where={"v": {"$gte": 0}}, top_k=20)}
        assert opened.search("river", mode="hybrid")
        assert opened.get()
    writer.hear(2)  # it was not shut out either
    writer.kill()
    assert "ours" in found
    assert len(found) > 1


@pytest.mark.slow
def test_two_servers_serve_one_directory(tmp_path: Path) -> None:
    command = [*SERVER, "--data-dir", str(tmp_path)]
    with Host(command) as first, Host(command) as second:
        one, two = Desk(first.open(), "legacy"), Desk(second.open(), "legacy")
        for number in range(3):
            for desk, other in ((one, two), (two, one)):
                name = f"{'one' if desk is one else 'two'}{number}"
                desk.data("index_document", text=f"The {name} heron waits by the pond.", id=name)
                for mode in ("semantic", "keyword", "hybrid"):
                    found = other.data("semantic_search", query=f"{name} heron", mode=mode, top_k=20)["results"]
                    assert name in {hit["id"] for hit in found}, (name, mode)
        listed = two.data("list_collections")["collections"]
        assert [(each["documents"], each["chunks"]) for each in listed] == [(6, 6)]
        one.call("delete_documents", collection="documents", ids=["two0"])
        assert two.data("get_documents", ids=["two0"])["missing"] == ["two0"]
