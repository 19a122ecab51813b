"""The command that measures, on ours and the floor alone: what it says, and what it says of whoever is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.house.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FLOOR, OURS = "floor", "ours"


@pytest.fixture(autouse=True)
def the_programs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no package that is installed: the tests import them when they run."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def measure(folder: Path, *options: str, **variables: str) -> tuple[str, dict[str, Any]]:
    """Run the command for SQLite; gives its table and the part of its file."""
    words = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--only", "sqlite", "--output", str(folder), *options]
    env = {**os.environ, **variables}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (part,) = json.loads((folder / "speed.json").read_text("utf-8"))["parts"]
    assert (folder / "speed.md").read_text("utf-8") == done.stdout
    return done.stdout, part


def test_what_is_quick_is_some_of_the_whole_and_both_files_say_the_same(tmp_path: Path) -> None:
    table, whole = measure(tmp_path, "--alone", "--rounds", "1")
    _, quick = measure(tmp_path, "--alone", "--quick")
    titles = [row["measure"] for row in whole["rows"]]
    assert {row["measure"] for row in quick["rows"]} < set(titles)
    assert [title for title in titles if f"\n| {title}, " not in table] == []
    for row in whole["rows"]:
        assert row["medians"][OURS] > 0
        assert set(row["rounds"]) == set(row["medians"]) <= {FLOOR, OURS}
        assert row["missing"] == row["aims"] == {}


def test_a_peer_that_cannot_be_had_says_why_in_its_cells(tmp_path: Path) -> None:
    table, part = measure(tmp_path, "--quick", PATH="", XDG_CACHE_HOME=str(tmp_path))
    assert {row["missing"]["peer"] for row in part["rows"]} == {"uv is not installed"}
    assert table.count("| uv is not installed |") == len(part["rows"])


@pytest.mark.parametrize(
    ("tool", "holds", "complaint"),
    [("list_tables", "no such table", "without"), ("nothing", "", "refused"), ("describe_table", "", "failed")],
)
def test_an_answer_that_is_wrong_is_not_measured(tool: str, holds: str, complaint: str, tmp_path: Path) -> None:
    from benchmarks.speed.pipes import Pipe

    words = [sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(tmp_path / "shop.db"), "--sample"]
    with Pipe(words, patience=60) as pipe:
        assert pipe.ask("list_tables", {}, "tables") > 0
        with pytest.raises(AssertionError, match=complaint):
            pipe.ask(tool, {"table_name": "none"} if tool == "describe_table" else {}, holds)


def test_an_aim_is_reached_or_missed_by_medians() -> None:
    from benchmarks.speed.rows import Aim, Part, Row

    row = Row("a call", "ms", (Aim(0.5, "peer"), Aim(2.0, "nobody")))
    for name, values in {OURS: [1.0, 2.0, 9.0], "peer": [3.9, 4.0, 1.0], FLOOR: [0.5]}.items():
        for value in values:
            row.add(name, value)
    *_, line = Part("Calls", "", ("peer",), ("peer",), rows=[row]).to_markdown().splitlines()
    assert line.endswith("| 0.51 | 4.00 | at most 0.5 of peer: NO |")
    row.add("peer", 4.1)
    row.add("peer", 4.2)
    assert row.reached() == "at most 0.5 of peer: yes"


@pytest.mark.parametrize("program", ["floor_stdio.py", "floor_asyncio.py"])
def test_the_floor_lists_as_many_bytes_for_a_tool_as_ours(program: str) -> None:
    """What is measured of a long list is what is done for it, and not how long it is."""
    from benchmarks.speed.pipes import Pipe

    found: list[object] = []
    for name in (program, "tiny_kernel.py"):
        words = [sys.executable, str(ROOT / "benchmarks" / "contenders" / name)]
        with Pipe(words, {"TINY_TOOLS": "1"}, 30.0) as pipe:
            found.append([tool for tool in pipe.tools if tool["name"] == "more0"])
    assert found[0] == found[1] != []
