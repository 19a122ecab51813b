"""A watcher hears of each commit by anybody, and of nothing else."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.servers.sqlite.desk import SERVER
from tests.transports.host import Host
from tests.transports.worlds import in_a_world_without_watches

from mcp_server_sqlite.database import Database

WRITER = "import sqlite3, sys; raw = sqlite3.connect(sys.argv[1]); raw.execute(sys.argv[2]); raw.commit()"


def write(path: Path, sql: str) -> None:
    subprocess.run([sys.executable, "-c", WRITER, path, sql], check=True, timeout=30)


async def hear(changes: AsyncIterator[None]) -> bool:
    """Whether a change is told within the time that a subscriber would wait."""
    try:
        async with asyncio.timeout(10):
            await anext(changes)
    except TimeoutError:
        return False
    return True


async def follow(path: Path, writes: list[str]) -> list[bool]:
    """Watch, write each statement in another process, and note whether each was heard."""
    database = Database.open(path)
    changes = database.changes()
    heard: list[bool] = []
    listening = asyncio.ensure_future(hear(changes))
    for sql in writes:
        await asyncio.to_thread(write, path, sql)
        heard.append(await listening)
        listening = asyncio.ensure_future(hear(changes))
    listening.cancel()
    await asyncio.wait([listening])
    await changes.aclose()
    await database.close()
    return heard


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_commit_of_another_process_is_heard(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA journal_mode={mode}")
        raw.execute("CREATE TABLE t (a)")
    assert asyncio.run(follow(path, ["INSERT INTO t VALUES (1)", "DELETE FROM t"])) == [True, True]


def test_a_file_that_appears_is_heard(tmp_path: Path) -> None:
    assert asyncio.run(follow(tmp_path / "later.db", ["CREATE TABLE t (a)"])) == [True]


def test_what_commits_nothing_is_not_heard(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE t (a)")

    async def watch() -> int:
        database = Database.open(path)
        changes = database.changes()
        listening = asyncio.ensure_future(anext(changes))
        for _ in range(3):
            path.touch()
            (tmp_path / "other").touch()
            await database.query("SELECT * FROM t")
            await asyncio.wait([listening], timeout=0.5)
        silent = not listening.done()
        await asyncio.to_thread(write, path, "INSERT INTO t VALUES (1)")
        async with asyncio.timeout(10):
            await listening
        await changes.aclose()
        await database.close()
        return silent

    assert asyncio.run(watch())


ENDED_WHILE_ASKED = """
import asyncio, sqlite3, sys
from pathlib import Path
from mcp_server_sqlite.changes import Witness

async def main(path):
    writer = sqlite3.connect(path, isolation_level=None)
    for _ in range(40):
        witness = Witness(path)
        writer.execute("BEGIN EXCLUSIVE")  # so that asking takes a while
        asking = asyncio.ensure_future(asyncio.to_thread(witness.ask))
        while not witness.asking.locked():
            await asyncio.sleep(0)
        witness.end()
        writer.execute("ROLLBACK")
        assert await asking is False
        assert witness.raw is None
        assert witness.ask() is False
        assert witness.raw is None

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_watch_that_ends_while_the_file_is_asked_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, "CREATE TABLE t (a)")
    asked = subprocess.run([sys.executable, "-c", ENDED_WHILE_ASKED, path], check=False, timeout=60)
    assert asked.returncode == 0  # closed under the question, it was ended by a segmentation fault


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_a_file_in_a_folder_whose_name_is_not_utf_8_is_watched_too(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff") / "x.db"
    path.parent.mkdir()
    write(path, "CREATE TABLE t (a)")
    with Host([*SERVER, "--db-path", str(path)]) as host:
        host.open()
        host.request("resources/subscribe", uri="db://tables/t")
        for _ in range(10):  # the watcher begins at some time after the answer
            write(path, "INSERT INTO t VALUES (1)")
            if host.has_line(1.5):
                break
        heard = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
        assert heard["params"]["uri"] == "db://tables/t"


def test_a_subscriber_hears_where_the_system_has_no_more_watches_to_give(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, "CREATE TABLE t (a)")
    with Host(in_a_world_without_watches([*SERVER, "--db-path", str(path)])) as host:
        host.open()
        host.request("resources/subscribe", uri="db://tables/t")
        for _ in range(10):  # the watcher begins at some time after the answer
            write(path, "INSERT INTO t VALUES (1)")
            if host.has_line(1.5):
                break
        heard = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
        assert heard["params"]["uri"] == "db://tables/t"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_a_name_beside_the_file_that_is_not_utf_8_ends_no_subscription(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, "CREATE TABLE t (a)")
    with Host([*SERVER, "--db-path", str(path)]) as host:
        host.open()
        host.request("resources/subscribe", uri="db://tables/t")
        for number in range(3):
            for later in range(10):  # the watcher begins at some time after the answer
                (tmp_path / os.fsdecode(b"bad\xff%d-%d" % (number, later))).touch()
                write(path, "INSERT INTO t VALUES (1)")
                if host.has_line(1.5):
                    break
            heard = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
            assert heard["params"]["uri"] == "db://tables/t"
