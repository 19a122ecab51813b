"""The filesystem server beside npm's, run as a real process: its tools are a subset of ours, and answers read alike."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.filesystem.desk import Desk
from tests.transports.host import Host

Json = dict[str, Any]
PACKAGE, VERSION = "@modelcontextprotocol/server-filesystem", "2026.8.31"
OURS = [sys.executable, "-m", "mcp_server_filesystem"]


class Missing(Exception):
    """The peer cannot be had on this machine."""


def fetch(fallback: Path) -> Path:
    """The peer's program, installed into the user's cache, or where that cannot be written into the folder given."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Missing("npm and node are not on the path")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-interop"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        home = fallback
    ready = home / f"server-filesystem-{VERSION}"
    if not ready.is_dir():
        with tempfile.TemporaryDirectory(dir=home if os.access(home, os.W_OK) else fallback) as folder:
            place = Path(folder, "peer")
            command = [npm, "install", "--prefix", str(place), "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(
                [*command, f"{PACKAGE}@{VERSION}"], capture_output=True, text=True, timeout=120, check=False
            )
            if done.returncode:
                raise Missing(f"npm install failed: {done.stderr[-300:]}")
            if not ready.is_dir():
                place.rename(ready)
    return ready / "node_modules" / PACKAGE / "dist" / "index.js"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return fetch(tmp_path_factory.mktemp("cache"))
    except (Missing, subprocess.TimeoutExpired) as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the peer was not run: {missing}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project."""
    top = tmp_path_factory.mktemp("project").resolve()
    for name, text in {
        "readme.md": "# One\n\ntwo\nthree\nfour\n",
        "src/main.py": "import os\n\n\ndef main():\n    return 1\n",
        "src/deep/util.py": "x = 1\n" * 300,
        "src/deep/er/note.txt": "note",
        "src/deep/er/zlonger.txt": "longer " * 300,
        "empty/.keep": "",
        "data.json": '{"a": 1}\n',
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (top / "pixel.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    return top


@pytest.fixture(scope="module")
def pair(program: Path, folder: Path) -> Generator[tuple[Desk, Desk]]:
    """Our server and the peer, on the same directory."""
    with Host([*OURS, str(folder)]) as ours, Host(["node", str(program), str(folder)]) as theirs:
        yield Desk(ours.open("2025-06-18"), "legacy"), Desk(theirs.open("2025-06-18"), "legacy")


def schemas(desk: Desk) -> dict[str, Json]:
    return {tool["name"]: tool for tool in desk.request("tools/list")["tools"]}


def shape(schema: Json) -> Json:
    """What a host's call depends on: types, choices, what lists hold."""
    kept: Json = {name: schema[name] for name in ("type", "enum") if name in schema}
    if "items" in schema:
        kept["items"] = shape(schema["items"])
    if schema.get("properties"):
        kept["properties"] = {name: shape(each) for name, each in schema["properties"].items()}
        kept["required"] = sorted(schema.get("required", []))
    return kept


def test_the_peer_s_tools_are_a_subset_of_ours(pair: tuple[Desk, Desk]) -> None:
    ours, theirs = (schemas(desk) for desk in pair)
    assert len(theirs) >= 14
    assert theirs.keys() <= ours.keys()
    for name, tool in theirs.items():
        mine, its = ours[name]["inputSchema"], tool["inputSchema"]
        assert sorted(mine.get("required", [])) == sorted(its.get("required", [])), name
        for argument, schema in its["properties"].items():
            assert shape(mine["properties"][argument]) == shape(schema), (name, argument)
            assert mine["properties"][argument].get("default", []) == schema.get("default", []), (name, argument)


def test_the_peer_s_hints_are_not_contradicted(pair: tuple[Desk, Desk]) -> None:
    ours, theirs = (schemas(desk) for desk in pair)
    for name, tool in theirs.items():
        told, mine = tool.get("annotations", {}), ours[name]["annotations"]
        assert mine["readOnlyHint"] == told.get("readOnlyHint", False), name
        assert set(mine) >= {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}


ALIKE: list[tuple[str, Json]] = [
    ("read_text_file", {"path": "D/readme.md"}),
    ("read_text_file", {"path": "D/readme.md", "head": 2}),
    ("read_text_file", {"path": "D/readme.md", "head": 99}),
    ("read_text_file", {"path": "D/src/deep/er/note.txt", "tail": 3}),
    ("read_text_file", {"path": "D/empty/.keep"}),
    ("read_file", {"path": "D/src/main.py"}),
    ("list_directory", {"path": "D"}),
    ("list_directory", {"path": "D/src"}),
    ("list_directory_with_sizes", {"path": "D/src", "sortBy": "name"}),
    ("list_directory_with_sizes", {"path": "D/src/deep/er", "sortBy": "size"}),  # no directories: it gives them a size
    ("directory_tree", {"path": "D"}),
    ("directory_tree", {"path": "D/src", "excludePatterns": ["deep"]}),
    ("directory_tree", {"path": "D", "excludePatterns": ["**/*.py"]}),
    ("search_files", {"path": "D", "pattern": "**/*.py"}),
    ("search_files", {"path": "D", "pattern": "*.md"}),
    ("search_files", {"path": "D", "pattern": "**/*", "excludePatterns": ["src/**"]}),
    ("search_files", {"path": "D", "pattern": "**/nothing"}),
    ("create_directory", {"path": "D/src/deep"}),
    ("list_allowed_directories", {}),
]


@pytest.mark.parametrize(("tool", "arguments"), ALIKE)
def test_an_answer_reads_as_the_peer_s(pair: tuple[Desk, Desk], folder: Path, tool: str, arguments: Json) -> None:
    given = {name: each.replace("D", str(folder), 1) if name == "path" else each for name, each in arguments.items()}
    mine, its = (desk.text(tool, **given) for desk in pair)
    if tool == "search_files":
        mine, its = ("\n".join(sorted(line for line in text.splitlines() if line[:1] != "(")) for text in (mine, its))
    assert mine == its


def test_media_come_in_the_same_blocks(pair: tuple[Desk, Desk], folder: Path) -> None:
    mine, its = (desk.call("read_media_file", path=f"{folder}/pixel.png")["content"][0] for desk in pair)
    assert {name: mine[name] for name in its} == its


def test_several_files_are_divided_alike(pair: tuple[Desk, Desk], folder: Path) -> None:
    paths = [f"{folder}/data.json", f"{folder}/absent", f"{folder}/readme.md"]
    mine, its = (desk.text("read_multiple_files", paths=paths).split("\n---\n") for desk in pair)
    assert [mine[0], mine[2]] == [its[0], its[2]]
    assert all(each.startswith(f"{folder}/absent: Error - ") for each in (mine[1], its[1]))


def test_what_is_known_of_a_file_has_the_same_lines(pair: tuple[Desk, Desk], folder: Path) -> None:
    mine, its = (
        dict(line.split(": ", 1) for line in desk.text("get_file_info", path=f"{folder}/data.json").splitlines())
        for desk in pair
    )
    assert list(mine)[: len(its)] == list(its)
    assert {name: mine[name] for name in its if name not in ("created", "modified", "accessed")} == {
        name: value for name, value in its.items() if name not in ("created", "modified", "accessed")
    }


def test_writing_and_editing_answer_alike(pair: tuple[Desk, Desk], folder: Path) -> None:
    said: list[list[str]] = []
    contents: list[list[str]] = []
    edits = [{"oldText": "two", "newText": "2"}, {"oldText": "three", "newText": "3\n3"}]
    for desk in pair:
        path = f"{folder}/written.txt"
        (folder / "written.txt").unlink(missing_ok=True)
        (folder / "moved.txt").unlink(missing_ok=True)
        texts = [desk.text("write_file", path=path, content="one\ntwo\nthree\n")]
        texts.append(desk.text("edit_file", path=path, edits=edits, dryRun=True))
        before = (folder / "written.txt").read_text()
        texts.append(desk.text("edit_file", path=path, edits=edits))
        after = (folder / "written.txt").read_text()
        texts.append(desk.text("move_file", source=path, destination=f"{folder}/moved.txt"))
        said.append(
            [re.sub(r"\n*(Nothing was written: this was a dry run\. )?\[etag \w+\]|\n+$", "", each) for each in texts]
        )
        contents.append([before, after])
    assert contents == [["one\ntwo\nthree\n", "one\n2\n3\n3\n"]] * 2
    assert said[0] == said[1]


def test_what_is_refused_there_is_refused_here_in_the_same_form(pair: tuple[Desk, Desk], folder: Path) -> None:
    for tool, arguments in (
        ("read_text_file", {"path": "/etc/passwd"}),
        ("read_text_file", {"path": f"{folder}/absent"}),
        ("read_text_file", {"path": f"{folder}/readme.md", "head": 1, "tail": 1}),
        ("list_directory", {"path": f"{folder}/.."}),
        ("write_file", {"path": f"{folder}/no/such/x", "content": ""}),
        ("edit_file", {"path": f"{folder}/readme.md", "edits": [{"oldText": "nowhere", "newText": ""}]}),
        ("move_file", {"source": f"{folder}/readme.md", "destination": f"{folder}/data.json"}),
    ):
        for desk in pair:
            assert desk.refusal(tool, **arguments)
