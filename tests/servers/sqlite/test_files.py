"""The file itself: missing, not a database, locked, in WAL mode, replaced, damaged, oddly named."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mcp_server_sqlite.fences import engine_warning
from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.refusals import Refusal
from mcp_server_sqlite.sample import create_empty, create_sample

from .conftest import Desk, Opener


def make(path: Path, value: object = 1, wal: bool = False) -> Path:
    with closing(sqlite3.connect(path)) as raw:
        if wal:
            raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("CREATE TABLE t (a)")
        raw.execute("INSERT INTO t VALUES (?)", (value,))
        raw.commit()
    return path


@pytest.mark.parametrize(
    "name", ["a?b.db", "a#b.db", "a%41.db", "a b.db", "ünï-数.db", "a;b&mode=rwc.db", "'q\".db", "file:x.db", "a\nb.db"]
)
def test_any_file_name_is_only_a_name(desk: Opener, tmp_path: Path, name: str) -> None:
    opened = desk(make(tmp_path / name, name))
    assert opened.database.problem() is None
    assert opened.query("SELECT a FROM t") == [[name]]
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_missing_file_is_told_by_its_absolute_path_and_served_once_it_is_there(
    desk: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = desk(Path("later.db"))
    assert opened.database.problem() == opened.ask("SELECT 1").removeprefix("REFUSED ")
    assert f"There is no file {tmp_path / 'later.db'}" in opened.ask("SELECT 1")
    assert list(tmp_path.iterdir()) == []
    make(tmp_path / "later.db")
    assert opened.database.problem() is None
    assert opened.query("SELECT a FROM t") == [[1]]


def test_a_folder_a_fifo_and_a_text_are_no_databases(desk: Opener, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("SQLite format 3? No: a letter.\n" * 40)
    for name, text in (("", "is a folder"), ("fifo", "is no regular file"), ("text", "is not an SQLite database")):
        opened = desk(tmp_path / name)
        assert text in (opened.database.problem() or "")
        assert text in opened.ask("SELECT count(*) FROM sqlite_schema")
        assert "letter" not in opened.ask("SELECT * FROM sqlite_schema")


def test_a_replaced_file_is_opened_anew_and_a_deleted_one_is_missed(desk: Opener, tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "old")
    opened = desk(path)
    assert opened.query("SELECT a FROM t") == [["old"]]
    make(tmp_path / "y.db", "new").replace(path)
    assert opened.query("SELECT a FROM t") == [["new"]]
    path.unlink()
    assert "There is no file" in opened.ask("SELECT a FROM t")
    make(path, "again")
    assert opened.query("SELECT a FROM t") == [["again"]]


def test_a_locked_database_is_waited_for_then_told(desk: Opener, tmp_path: Path) -> None:
    path = make(tmp_path / "x.db")
    opened = desk(path, Policy(query_timeout=0.3))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program" in opened.ask("SELECT a FROM t")
        assert opened.database.problem() is None
        writer.execute("ROLLBACK")
    assert opened.query("SELECT a FROM t") == [[1]]


def test_a_wal_database_is_read_while_it_is_written(desk: Opener, tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", 1, wal=True)
    opened = desk(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")
        assert opened.query("SELECT a FROM t") == [[1]]
        writer.execute("COMMIT")
        assert opened.query("SELECT a FROM t") == [[1], [2]]
    assert opened.query("PRAGMA journal_mode") == [["wal"]]


WAL_READER = """
import asyncio, os, sys
from mcp_server_sqlite.database import Database, Policy, Refusal
os.setuid(65534)
async def main():
    for immutable in (False, True):
        database = Database.open(sys.argv[1], Policy(immutable=immutable))
        try:
            print((await database.query("SELECT a FROM t")).rows)
        except Refusal as refusal:
            print(refusal)
        await database.close()
asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_wal_database_in_a_folder_that_is_not_writable_says_what_to_do(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", 1, wal=True)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o1000 == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    path.chmod(0o644)
    said = subprocess.run(
        [sys.executable, "-c", WAL_READER, path], capture_output=True, text=True, timeout=30, check=True
    )
    first, second = said.stdout.splitlines()
    assert "start the server with --immutable" in first
    assert second == "[[1]]"


def test_a_damaged_page_is_told_and_the_rest_still_read(desk: Opener, tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "x" * 9000)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE fine AS SELECT 7 AS b")
        (root,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name='t'").fetchone()
        raw.commit()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    opened = desk(path)
    assert "is damaged" in opened.ask("SELECT * FROM t")
    assert opened.query("SELECT b FROM fine") == [[7]]


def test_an_immutable_database_is_read(desk: Opener, tmp_path: Path) -> None:
    assert desk(make(tmp_path / "x.db"), Policy(immutable=True)).query("SELECT a FROM t") == [[1]]


def test_a_row_larger_than_the_limit_hides_only_itself(desk: Opener, tmp_path: Path) -> None:
    opened = desk(make(tmp_path / "x.db", b"\0" * 11_000_000))
    assert "larger than this server allows" in opened.ask("SELECT a FROM t")
    assert opened.query("SELECT length(a), rowid FROM t") == [[11_000_000, 1]]


def test_new_files_are_made_and_existing_ones_never_touched(desk: Opener, tmp_path: Path) -> None:
    create_sample(tmp_path / "shop.db")
    create_empty(tmp_path / "empty.db")
    before = (tmp_path / "shop.db").read_bytes()
    for create in (create_sample, create_empty):
        with pytest.raises(Refusal, match="exists already"):
            create(tmp_path / "shop.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere.db")
    with pytest.raises(Refusal, match="exists already"):
        create_sample(tmp_path / "link.db")
    with pytest.raises(Refusal, match="cannot be created"):
        create_empty(tmp_path / "no" / "folder.db")
    assert (tmp_path / "shop.db").read_bytes() == before
    create_sample(tmp_path / "twin.db")
    shop, twin, empty = (desk(tmp_path / f"{name}.db") for name in ("shop", "twin", "empty"))
    assert shop.query("SELECT * FROM best_sellers") == twin.query("SELECT * FROM best_sellers") != []
    assert empty.run(empty.database.list_tables()) == []


def test_an_old_engine_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 50, 1))
    assert "CVE-2025-6965" in (engine_warning() or "")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 50, 2))
    assert engine_warning() is None


def test_a_hostile_schema_cannot_reach_out(desk: Opener, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(
            "CREATE TABLE t (a); INSERT INTO t VALUES (1);"
            "CREATE VIEW evil AS SELECT load_extension('x') FROM t;"
            "CREATE VIEW worse AS SELECT fts3_tokenizer('simple') FROM t;"
            "CREATE VIEW fine AS SELECT json_array(a) AS j, instr('abc', 'b') AS i FROM t;"
        )
    opened: Desk = desk(path)
    assert opened.ask("SELECT * FROM evil").startswith("REFUSED")
    assert opened.ask("SELECT * FROM worse").startswith("REFUSED")
    assert opened.query("SELECT * FROM fine") == [["[1]", 2]]
