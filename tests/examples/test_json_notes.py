"""The notes: as resources and tools, changed by others, and never half written."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.stage import Connect, in_both_eras, in_every_revision, scene, text_of
from tests.transports.host import META, Host

from json_notes.notebook import Notebook, Unreadable
from json_notes.server import build
from mcp_kernel import Client

SCRIPT = str(Path(sys.executable).with_name("json-notes"))


def yes(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"action": "accept", "content": {"sure": True}}


def no(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"action": "decline"}


def contents(result: dict[str, Any]) -> list[dict[str, Any]]:
    return result["contents"]


@in_every_revision
@scene
async def test_a_note_is_kept_found_and_read(connect: Connect, tmp_path: Path, revision: str) -> None:
    async with connect(build(Notebook(tmp_path / "notes.json")), revision) as client:
        kept = await client.call_tool("add_note", {"title": "Tea", "text": "Buy **green** tea."})
        assert "Note 1 is kept." in json.dumps(kept)
        assert "Tea" in text_of(await client.call_tool("search_notes", {"words": "GREEN tea"}))
        (one,) = contents(await client.call("resources/read", {"uri": "notes://1"}))
        assert (one["mimeType"], one["text"]) == ("text/markdown", "# Tea\n\nBuy **green** tea.")
        (whole,) = contents(await client.call("resources/read", {"uri": "notes://all"}))
        assert json.loads(whole["text"]) == [{"id": 1, "title": "Tea", "text": "Buy **green** tea."}]


@in_both_eras
@pytest.mark.parametrize(("answer", "left"), [(yes, 0), (no, 1)])
@scene
async def test_a_note_is_removed_only_when_the_user_agrees(
    connect: Connect, tmp_path: Path, revision: str, answer: Any, left: int
) -> None:
    notebook = Notebook(tmp_path / "notes.json")
    notebook.add("Tea", "x")
    asks: dict[str, Any] = {"elicitation": {}}
    async with connect(build(notebook), revision, capabilities=asks, answer=answer) as client:
        await client.call_tool("remove_note", {"id": 1})
        assert len(notebook.read()) == left
        assert "There is no note 7" in text_of(await client.call_tool("remove_note", {"id": 7}))


@pytest.mark.parametrize("content", ["{", "[]", '{"notes": [{"id": "x"}]}', '{"notes": 7}', "\xff"])
def test_a_file_that_is_no_notebook_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(Unreadable, match="Mend it"):
        Notebook(path).add("a", "b")
    assert path.read_bytes() == content.encode("latin-1")


@in_both_eras
def test_subscribers_hear_of_what_another_process_writes(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "notes.json"
    Notebook(path).add("Tea", "x")
    with Host([SCRIPT, "--file", str(path)]) as host:
        host.open()
        if revision < "2026":
            host.request("resources/subscribe", uri="notes://1")
        else:
            host.ask("subscriptions/listen", notifications={"resourceSubscriptions": ["notes://1"]}, _meta=META)
            host.hear(lambda message: message.get("method") == "notifications/subscriptions/acknowledged")
        program = "import sys; from pathlib import Path; from json_notes.notebook import Notebook\n"
        program += "Notebook(Path(sys.argv[1])).add('b', 'c')"
        subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=20)
        told = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
        assert told["params"]["uri"] == "notes://1"


@scene
async def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "notes.json")
    async with Client(build(notebook)) as one, Client(build(Notebook(notebook.path))) as other:
        await asyncio.gather(
            *(
                client.call_tool("add_note", {"title": f"{name} {number}", "text": "x"})
                for number in range(10)
                for name, client in (("one", one), ("other", other))
            )
        )
    notes = notebook.read()
    assert [note.id for note in notes] == list(range(1, 21))
    assert len({note.title for note in notes}) == 20
