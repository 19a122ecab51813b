"""The tracker on both databases: what happens at once, what is repeated, what is checked, how a database begins."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers.ticketing.place import Place, desk_scene
from tests.stage import scene

from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_ticketing import schema_postgres, schema_sqlite
from mcp_server_ticketing.refusals import Refusal, Unavailable, UnknownCustomer, UnknownTicket
from mcp_server_ticketing.seeding import SAMPLE, Seed, SeedCustomer, SeedTicket
from mcp_server_ticketing.storage import Schema
from mcp_server_ticketing.storage_postgres import PostgresStorage
from mcp_server_ticketing.storage_sqlite import SqliteStorage
from mcp_server_ticketing.tickets import Actor, Closing, Draft
from mcp_server_ticketing.tracker import Tracker

ME = Actor("me")
DRAFT = Draft("Printer", "carol@example.com", "It burns.", "low")


@desk_scene
async def test_of_fifty_who_close_a_ticket_one_succeeds(place: Place) -> None:
    trackers = [place.tracker() for _ in range(4)]
    attempts = [
        trackers[number % 4].close(Closing(43, f"by {number}"), Actor(f"client {number}")) for number in range(50)
    ]
    ends = await asyncio.gather(*attempts, return_exceptions=True)
    (winner,) = [number for number, end in enumerate(ends) if end is True]
    assert all(isinstance(end, Refusal) and "is closed since" in str(end) for end in ends if end is not True)
    dossier = await trackers[0].read(43)
    assert dossier.ticket.resolution == f"by {winner}"
    created, closed = dossier.history
    assert (created.what, created.actor) == ("created", "seed")
    assert (closed.what, closed.actor, closed.detail) == ("closed", f"client {winner}", f"by {winner}")
    assert closed.happened_at == dossier.ticket.closed_at


@desk_scene
async def test_a_wish_that_is_repeated_at_once_comes_true_once(place: Place) -> None:
    trackers = [place.tracker() for _ in range(4)]
    wish = Closing(43, "Done.", "k1")
    ends = await asyncio.gather(*(trackers[number % 4].close(wish, ME) for number in range(20)))
    assert sorted(ends) == [False] * 19 + [True]
    assert len((await trackers[0].read(43)).history) == 2
    assert await trackers[0].check_closing(wish, ME) is None


@desk_scene
async def test_a_key_belongs_to_whoever_is_authenticated(place: Place) -> None:
    tracker = place.tracker()
    await tracker.close(Closing(43, "Done.", "k1"), Actor("a", "alice"))
    assert await tracker.close(Closing(42, "Other.", "k1"), Actor("b", "bob")) is True
    with pytest.raises(Refusal, match="other arguments"):
        await tracker.close(Closing(42, "Other.", "k1"), Actor("a", "alice"))


@desk_scene
async def test_a_key_of_a_refused_wish_stays_free(place: Place) -> None:
    tracker = place.tracker()
    with pytest.raises(UnknownTicket):
        await tracker.close(Closing(99, "Done.", "k1"), ME)
    assert await tracker.close(Closing(43, "Done.", "k1"), ME) is True


@desk_scene
async def test_a_deed_that_fails_leaves_nothing_behind(place: Place) -> None:
    tracker = place.tracker()

    async def fail() -> None:
        async with tracker.storage.writing() as work:
            await work.run("UPDATE tickets SET queue = 'human' WHERE id = ?", 42)
            raise RuntimeError("the lights go out")

    with pytest.raises(RuntimeError, match="the lights go out"):
        await fail()
    assert (await tracker.read(42)).ticket.queue == "support"
    assert (await tracker.create(DRAFT, ME)).id >= 44


@desk_scene
async def test_a_deed_that_is_cancelled_is_done_or_not_and_never_half(place: Place) -> None:
    tracker = place.tracker()
    heard = list[object]()
    tracker.storage.listener = heard.append
    for turns in range(40):
        task = asyncio.ensure_future(tracker.add_note(42, f"note {turns}", ME))
        for _ in range(turns):
            await asyncio.wait([task], timeout=0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    dossier = await tracker.read(42)
    assert len(dossier.notes) == len(dossier.history) - 1 == len(heard)
    assert await tracker.add_note(42, "and on", ME) == len(dossier.notes) + 1


@desk_scene
async def test_searching_takes_words_for_words(place: Place) -> None:
    tracker = place.tracker()
    for subject in ("100% wrong", "snake_case", "back\\slash", "ÄRGER", "it's; DROP TABLE tickets"):
        await tracker.create(replace(DRAFT, subject=subject), ME)

    async def find(query: str) -> list[int]:
        return [ticket.id for ticket in (await tracker.search(query)).tickets]

    assert [await find(query) for query in ("0%", "_", "\\", "%%", "'s; drop", "ärger"[1:])] == [
        [44],
        [45],
        [46],
        [],
        [48],
        [47],
    ]
    assert await find("password alice") == [42]
    assert await find("password bob") == []
    assert await find("42") == [42]
    assert await find("\0") == await find("\ud800") == []
    await tracker.add_note(43, "Seen in Safari.", ME)
    assert await find("SAFARI") == [43]


@pytest.mark.parametrize(
    ("draft", "complaint"),
    [
        (replace(DRAFT, subject=" \n "), "subject is empty"),
        (replace(DRAFT, subject="x" * 201), "201 characters"),
        (replace(DRAFT, body="x" * 10_001), "Shorten it"),
        (replace(DRAFT, body="a\0b"), "NUL"),
        (replace(DRAFT, body="a\ud800b"), "surrogate"),
        (replace(DRAFT, customer="carol"), "e-mail address"),
        (replace(DRAFT, customer="a@b.c\n"), "e-mail address"),
        (replace(DRAFT, customer=f"{'x' * 251}@b.c"), "e-mail address"),
    ],
    ids=["empty", "long subject", "long body", "nul", "surrogate", "no address", "newline", "long address"],
)
@desk_scene
async def test_what_cannot_be_stored_is_refused_with_a_reason(place: Place, draft: Draft, complaint: str) -> None:
    tracker = place.tracker()
    with pytest.raises(Refusal, match=complaint):
        await tracker.create(draft, ME)
    assert (await tracker.search()).total == 2


@desk_scene
async def test_a_customer_is_found_by_address_and_a_stranger_is_not(place: Place) -> None:
    tracker = place.tracker()
    await tracker.create(replace(DRAFT, customer="ALICE@example.com"), ME)
    account = await tracker.account("Alice@Example.com")
    assert (account.customer.tier, [ticket.id for ticket in account.tickets], account.total) == ("pro", [44, 42], 2)
    with pytest.raises(UnknownCustomer):
        await tracker.account("mallory@example.com")


@pytest.mark.parametrize("sql", ["UPDATE history SET actor = 'nobody'", "DELETE FROM history"])
@desk_scene
async def test_history_is_not_rewritten(place: Place, sql: str) -> None:
    tracker = place.tracker()
    await tracker.read(42)
    with pytest.raises(Exception, match="only added to"):
        await place.run_sql(sql)
    assert len((await tracker.read(42)).history) == 1


# --- how a database begins ---


@desk_scene
async def test_many_who_open_a_new_database_at_once_fill_it_once(place: Place) -> None:
    trackers = [place.tracker() for _ in range(6)]
    found = await asyncio.gather(*(tracker.search() for tracker in trackers))
    assert {each.total for each in found} == {2}


def schema_of(place: Place) -> Schema:
    return schema_sqlite.SCHEMA if place.path else schema_postgres.SCHEMA


@desk_scene
async def test_a_database_is_brought_to_the_next_version_and_keeps_what_it_holds(place: Place) -> None:
    schema = schema_of(place)
    older = Tracker(place.storage(schema=replace(schema, migrations=schema.migrations[:1])))
    await older.create(DRAFT, ME)
    await older.storage.close()
    newer = Tracker(place.storage())
    assert (await newer.read(44)).ticket.subject == "Printer"
    with pytest.raises(Exception, match="only added to"):
        await place.run_sql("DELETE FROM history")  # which the first version did not forbid
    async with newer.storage.reading() as work:
        assert [row[0] for row in await work.fetch("SELECT version FROM schema_versions ORDER BY version")] == [1, 2]


@desk_scene
async def test_a_migration_that_fails_leaves_the_version_as_it_was(place: Place) -> None:
    schema = schema_of(place)
    await place.tracker().search()
    broken = replace(schema, migrations=(*schema.migrations, ("CREATE TABLE extra (id integer)", "NONSENSE")))
    with pytest.raises(Exception, match="NONSENSE"):
        await Tracker(place.storage(schema=broken)).search()
    mended = replace(schema, migrations=(*schema.migrations, ("CREATE TABLE extra (id integer)",)))
    assert (await Tracker(place.storage(schema=mended)).search()).total == 2


@desk_scene
async def test_a_database_of_a_later_version_is_left_alone(place: Place) -> None:
    await place.tracker().search()
    await place.run_sql("INSERT INTO schema_versions (version, applied_at) VALUES (7, '2030-01-01')")
    with pytest.raises(Refusal, match="has version 7"):
        await place.tracker().search()


@desk_scene
async def test_a_seed_fills_a_new_database_and_no_other(place: Place) -> None:
    seed = Seed(
        [SeedCustomer("dan@example.com", "Dan", "pro")],
        [SeedTicket("A", "dan@example.com", "a"), SeedTicket("B", "dan@example.com", "b", "high", 700)],
    )
    tracker = Tracker(place.storage(seed))
    assert [ticket.id for ticket in (await tracker.search()).tickets] == [701, 700]
    assert (await tracker.create(DRAFT, ME)).id == 702
    await tracker.storage.close()
    assert (await place.tracker().search()).total == 3


@scene
async def test_a_file_that_is_no_database_is_left_alone_and_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear database, " * 1000)
    storage = SqliteStorage(path, SAMPLE)
    with pytest.raises(Unavailable, match="not an SQLite database"):
        await Tracker(storage).search()
    assert path.read_text() == "Dear database, " * 1000
    path.unlink()
    assert (await Tracker(storage).search()).total == 2
    await storage.close()


@scene
async def test_another_program_s_file_is_left_alone_and_named(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE tickets (id)")
    storage = SqliteStorage(path, SAMPLE)
    with pytest.raises(Unavailable, match="another program's"):
        await Tracker(storage).search()
    await storage.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("tickets",)]


@scene
async def test_a_file_that_is_replaced_is_opened_anew(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "a.db", SAMPLE)
    tracker = Tracker(storage)
    await tracker.close(Closing(43, "Done.", None), ME)
    for name in ("a.db", "a.db-wal", "a.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert (await tracker.read(43)).ticket.status == "open"
    await storage.close()


@scene
async def test_a_file_that_is_locked_is_said_to_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server_ticketing.storage_sqlite._PATIENCE", 0.1)
    storage = SqliteStorage(tmp_path / "a.db", SAMPLE)
    tracker = Tracker(storage)
    assert (await tracker.search()).total == 2
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another program"):
            await tracker.create(DRAFT, ME)
        assert (await tracker.search()).total == 2  # whoever reads does not wait
        raw.execute("ROLLBACK")
    assert (await tracker.create(DRAFT, ME)).id == 44
    await storage.close()


@scene
async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    storage = PostgresStorage(Dsn("postgresql://me:hush-7741@127.0.0.1:1/desk"), SAMPLE)
    with pytest.raises(Unavailable, match="cannot be used") as caught:
        await Tracker(storage).search()
    assert "127.0.0.1" in str(caught.value)
    assert "hush" not in f"{caught.value} {storage.target!r} {storage.target}"
    await storage.close()
