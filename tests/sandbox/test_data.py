"""The demo data: the same each time, and what the servers' own readers take."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from mcp_sandbox import desk, history, shop
from mcp_sandbox.demo import Demo, Lacking
from mcp_server_sqlite.sample import make_rows
from mcp_server_ticketing.seeding import read_seed

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_repository_has_the_same_history_each_time(tmp_path: Path) -> None:
    heads: list[str] = []
    for name in ("a", "b"):
        history.make("git", tmp_path / name)
        heads.append(git(tmp_path / name, "show-ref"))
        assert git(tmp_path / name, "fsck", "--strict") == ""
    assert heads[0] == heads[1]
    assert [line.split("refs/")[1] for line in heads[0].splitlines()] == [
        "heads/main",
        "heads/summer",
        "heads/twice",
        "tags/v1",
    ]


def test_the_repository_has_a_merge_and_uncommitted_work(tmp_path: Path) -> None:
    history.make("git", tmp_path / "a")
    assert len(git(tmp_path / "a", "log", "--merges", "--format=%h").split()) == 1
    assert git(tmp_path / "a", "status", "--porcelain") == " M prices.csv\n"
    check = tmp_path / "a" / "check.py"
    assert subprocess.run([sys.executable, check, "prices.csv"], cwd=tmp_path / "a", check=False).returncode == 0


def test_a_git_that_fails_is_said_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho 'fatal: no luck' >&2\nexit 128\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Lacking, match="git cannot make the repository: fatal: no luck"):
        Demo(tmp_path).make_repository()


def test_the_shop_keeps_the_promises_of_its_schema(tmp_path: Path) -> None:
    shop.write_database(tmp_path / "shop.db")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (shop.SIZE.orders,)
        late = "SELECT count(*) FROM order_totals WHERE total IS NULL OR total <= 0"
        assert database.execute(late).fetchone() == (0,)


def test_the_values_of_the_script_need_no_escapes() -> None:
    texts = [str(value) for rows in make_rows(shop.SIZE).values() for row in rows for value in row]
    assert not [text for text in texts if set(text) & set("\\\t\n\r")]


def test_the_desk_takes_its_tickets(tmp_path: Path) -> None:
    Demo(tmp_path).make_tickets()
    seed = read_seed(tmp_path / "tickets.json")
    assert [ticket.number for ticket in seed.tickets][:2] == [42, 43]
    assert len(seed.tickets) == len(desk.SEED["tickets"])


def test_the_data_can_be_made_alone_into_an_empty_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_sandbox", "data", str(tmp_path / "demo")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    made = sorted(each.name for each in (tmp_path / "demo").iterdir())
    assert made == ["handbook", "price-list", "shop.db", "shop.sql", "tickets.json"]
    assert json.loads((tmp_path / "demo" / "tickets.json").read_text())
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    (tmp_path / "demo" / "tickets.json").unlink()
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)
