"""The git server beside PyPI's, run as a real process: its tools are a subset of ours, and answers read alike."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.transports.host import Host

Json = dict[str, Any]
OURS = [sys.executable, "-m", "mcp_server_git"]
ALONE = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, "--with"]
THEIRS = [*ALONE, "mcp-server-git==2026.10.19", "mcp-server-git"]
DOWNLOAD = 120.0  # seconds, the first time


class Desk:
    """Asks one of both."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def tools(self) -> dict[str, Json]:
        return {tool["name"]: tool for tool in self.host.request("tools/list")["tools"]}

    def call(self, tool: str, /, **arguments: object) -> Json:
        return self.host.request("tools/call", name=tool, arguments=arguments)

    def text(self, tool: str, /, **arguments: object) -> str:
        result = self.call(tool, **arguments)
        assert not result.get("isError"), result
        return "\n".join(block["text"] for block in result["content"])


@pytest.fixture(scope="module")
def theirs() -> list[str]:
    """The command of the peer, once uv has all that it needs."""
    try:
        if shutil.which("uv") is None:
            raise FileNotFoundError("uv is not on the path")
        subprocess.run([*THEIRS, "--help"], capture_output=True, check=True, timeout=DOWNLOAD)
    except (OSError, subprocess.SubprocessError) as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the peer was not run: {missing}")
    return THEIRS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two commits, two branches, and a change of each kind."""
    top = tmp_path_factory.mktemp("project").resolve()
    for name, value in {"name": "Ada", "email": "ada@example.org"}.items():
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=top, check=True, timeout=10)
        subprocess.run(["git", "config", f"user.{name}", value], cwd=top, check=True, timeout=10)

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=top, check=True, timeout=10, capture_output=True)

    (top / "a.txt").write_text("one\n")
    git("add", ".")
    git("commit", "-m", "first")
    git("branch", "side")
    (top / "a.txt").write_text("one\ntwo\n")
    (top / "d.txt").write_text("no line break")
    git("add", ".")
    git("commit", "-m", "second\n\nwith a body")
    (top / "a.txt").write_text("changed\n")
    (top / "staged.txt").write_text("x\n")
    git("add", "staged.txt")
    (top / "new.txt").write_text("x\n")
    return top


@pytest.fixture(scope="module")
def pair(theirs: list[str], folder: Path) -> Generator[tuple[Desk, Desk]]:
    """Our server and the peer, on the same repository."""
    where = ["--repository", str(folder)]
    with Host([*OURS, *where]) as ours, Host([*theirs, *where]) as peer:
        yield Desk(ours.open("2025-06-18")), Desk(peer.open("2025-06-18"))


def shape(schema: Json) -> Json:
    """What a host's call depends on: types, choices, what lists hold. What may be null may be left out."""
    if "anyOf" in schema:
        (schema,) = (cast("Json", each) for each in schema["anyOf"] if each.get("type") != "null")
    kept: Json = {name: schema[name] for name in ("type", "enum") if name in schema}
    return {**kept, "items": shape(schema["items"])} if "items" in schema else kept


def test_the_peer_s_tools_are_a_subset_of_ours(pair: tuple[Desk, Desk]) -> None:
    ours, theirs = (desk.tools() for desk in pair)
    assert len(theirs) >= 12
    assert theirs.keys() <= ours.keys()
    for name, tool in theirs.items():
        mine, its = ours[name]["inputSchema"], tool["inputSchema"]
        assert set(mine.get("required", [])) <= set(its.get("required", [])), name
        assert set(its.get("required", [])) - set(mine.get("required", [])) <= {"repo_path"}, name
        for argument, schema in its["properties"].items():
            told, wanted = shape(mine["properties"][argument]), shape(schema)
            assert told["type"] == wanted["type"], (name, argument)
            assert told.get("items") == wanted.get("items"), (name, argument)
            assert mine["properties"][argument].get("default") == schema.get("default"), (name, argument)


def test_the_peer_s_hints_are_ours(pair: tuple[Desk, Desk]) -> None:
    ours, theirs = (desk.tools() for desk in pair)
    for name, tool in theirs.items():
        assert ours[name]["annotations"] == tool["annotations"], name


ALIKE: list[tuple[str, Json]] = [
    ("git_diff_unstaged", {}),
    ("git_diff_unstaged", {"context_lines": 0}),
    ("git_diff_staged", {}),
    ("git_diff", {"target": "side"}),
    ("git_diff", {"target": "HEAD~1", "context_lines": 1}),
    ("git_show", {"revision": "HEAD:a.txt"}),
    ("git_branch", {"branch_type": "local"}),
    ("git_branch", {"branch_type": "local", "contains": "HEAD"}),
    ("git_branch", {"branch_type": "all", "not_contains": "HEAD"}),
]


@pytest.mark.parametrize(("tool", "arguments"), ALIKE)
def test_an_answer_reads_as_the_peer_s(pair: tuple[Desk, Desk], folder: Path, tool: str, arguments: Json) -> None:
    mine, its = (desk.text(tool, repo_path=str(folder), **arguments).rstrip() for desk in pair)
    assert mine == its


def test_a_log_has_the_same_lines(pair: tuple[Desk, Desk], folder: Path) -> None:
    mine, its = (desk.text("git_log", repo_path=str(folder), max_count=2) for desk in pair)
    for pattern in (r"^Commit: (\w{40})", r"^Author: (\w+)", r"^Date: (\S{10})", r"^Message: (.*)$", r"^with a body$"):
        assert re.findall(pattern, mine, re.MULTILINE) == re.findall(pattern, its, re.MULTILINE) != []


def test_a_status_names_the_same_files(pair: tuple[Desk, Desk], folder: Path) -> None:
    mine, its = (desk.text("git_status", repo_path=str(folder)) for desk in pair)
    for title in ("On branch main", "Changes to be committed:", "Changes not staged for commit:", "Untracked files:"):
        assert title in mine
        assert title in its
    names = re.compile(r"^\t(?:[a-z ]+:\s+)?(\S+)$", re.MULTILINE)
    assert names.findall(mine) == names.findall(its) == ["staged.txt", "a.txt", "new.txt"]


def test_what_changes_something_answers_alike(pair: tuple[Desk, Desk], folder: Path) -> None:
    said: list[list[str]] = []
    for number, desk in enumerate(pair):
        name = f"file{number}.txt"
        (folder / name).write_text("x\n")
        here = {"repo_path": str(folder)}
        answers = [
            desk.text("git_create_branch", branch_name=f"new{number}", base_branch="main", **here),
            desk.text("git_add", files=[name], **here),
            desk.text("git_commit", message=f"add {name}", **here),
            desk.text("git_reset", **here),
        ]
        said.append([re.sub(rf"\b[0-9a-f]{{40}}|new{number}", "X", each.splitlines()[0]) for each in answers])
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("git_status", {"repo_path": "/nowhere"}),
        ("git_diff", {"target": "--output=/tmp/x"}),
        ("git_show", {"revision": "none"}),
        ("git_checkout", {"branch_name": "none"}),
        ("git_create_branch", {"branch_name": "main"}),
    ],
)
def test_what_the_peer_refuses_is_refused(pair: tuple[Desk, Desk], folder: Path, tool: str, arguments: Json) -> None:
    for desk in pair:
        assert desk.call(tool, **{"repo_path": str(folder), **arguments})["isError"] is True
