"""What is no ordinary file, has an evil name, or is without end; what may not be written; roots that would widen."""

from __future__ import annotations

import os
import re
import socket
import stat
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.filesystem.conftest import CANARY
from tests.servers.filesystem.siege import CALLS, LISTERS, READERS, WRITERS, Siege, besiege, in_turn, look
from tests.stage import scene

from mcp_server_filesystem.sandbox import Directory, Policy

OPENING = READERS | {name: WRITERS[name] for name in WRITERS if name.startswith(("write_", "edit_"))}


@pytest.fixture
def siege(served: Path) -> Generator[Siege]:
    with besiege(served) as siege:
        yield siege


def make_special(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(path))
    elif kind == "directory":
        path.mkdir()
    else:
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero, which has no end
        except PermissionError:
            pytest.skip("only root makes devices")


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "directory"])
@in_turn
@scene
async def test_what_is_no_file_is_refused_at_once(
    siege: Siege, revision: str, by_walking: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(siege.served)
    make_special(siege.served / "special", kind)
    (siege.served / "link").symlink_to("special")
    (siege.served / "canary.txt").write_text("honest canary")
    started = time.monotonic()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for path in ("special", "link", "inner/../link"):
            for tool, arguments in OPENING.items():
                fine, said = await attacker.call(tool, **arguments(path))
                served = tool == "get_file_info" or (kind == "directory" and tool.startswith("search_"))
                assert fine == served, (tool, said)
                assert "etag" not in said
        for tool, arguments in (LISTERS | READERS).items():
            if tool.startswith(("list_", "directory_", "search_")):
                assert "canary.txt" in (await attacker.call(tool, **arguments(".")))[1]
    assert time.monotonic() - started < 6


@in_turn
@scene
async def test_nothing_is_taken_out_of_a_pipe(siege: Siege, revision: str, by_walking: bool) -> None:
    os.mkfifo(siege.served / "fifo")
    pipe = os.open(siege.served / "fifo", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, b"for somebody else")
        async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
            for tool, arguments in CALLS.items():
                await attacker.call(tool, **arguments("fifo" if tool != "move_file from" else "absent"))
            await attacker.ask("resources/read", uri=f"file://{siege.served}/fifo")
        assert os.read(pipe, 100) == b"for somebody else"
    finally:
        os.close(pipe)


NAMES = [
    b"a\n[DENIED] b",
    b"x\r\n[DIR] etc",
    b"\x1b[2J\x1b]0;title\x07",
    b"nul\x7f\x01",
    b"next\xc2\x85line",
    b"caf\xe9",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"q\"uo'te\\n",
    b"-rf",
    b"*",
    b"{a,b}",
    b"%2e%2e",
    b" ",
    b"a (deleted)",
    *(each.encode() for each in ("...", "exe\u202egpj", "a\u2028[DIR] b", "\u2066left\u061c")),
    b"lit\\x41\\xe9",
    "漢字é😀".encode(),
    b"n" * 255,
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
@in_turn
@scene
async def test_a_name_forges_no_line_and_is_understood_when_it_comes_back(
    siege: Siege, revision: str, by_walking: bool, name: bytes
) -> None:
    folder = siege.served / "names"
    folder.mkdir()
    (folder / os.fsdecode(name)).write_text("one\n")
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        _, said = await attacker.call("list_directory", path="names")
        assert len(said.splitlines()) == 1
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", said)
        shown = f"names/{said.removeprefix('[FILE] ')}"
        for tool in ("search_files", "directory_tree", "list_directory_with_sizes"):
            assert (await attacker.call(tool, **LISTERS[tool]("names")))[0]
        assert "one" in (await attacker.call("read_text_file", path=shown))[1]
        assert (await attacker.call("edit_file", path=shown, edits=[{"oldText": "one", "newText": "two"}]))[0]
        assert (await attacker.call("write_file", path=shown, content="three", mode="append"))[0]
        assert [os.fsencode(each.name) for each in folder.iterdir()] == [name]
        assert (await attacker.call("move_file", source=shown, destination="moved"))[0]
    assert (siege.served / "moved").read_text() == "two\nthree"


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        ".",
        "./",
        "/",
        "//",
        "~",
        "a.txt/",
        "a.txt/.",
        "inner/b.txt/..",
        "x" * 300,
        "y/" * 3000,
        "z/" * 100,
        "../" * 20_000,
    ],
)
@in_turn
@scene
async def test_an_odd_path_gets_a_clear_answer(siege: Siege, revision: str, by_walking: bool, path: str) -> None:
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in (LISTERS | WRITERS | {"read_text_file": READERS["read_text_file"]}).items():
            fine, said = await attacker.call(tool, **arguments(path))
            assert "internal" not in said.lower(), (tool, said)
            assert not fine or path in ("", " ", ".", "./", "a.txt/", "a.txt/."), (tool, said)
            assert len(said) < 10_000
    assert not (siege.served / "z").exists()


BOMBS = ["*a" * 120 + "b", "**/" * 60 + "*x", "a**" * 100 + "z", "{a,b}" * 30, "{" * 500, "[" * 500, "[a-z" * 200]
MORE_BOMBS = [
    "{1..999999}",
    "?" * 900,
    "(a+)+$",
    "**/*a*/**/*a*/**/*a*/**/b",
    "{a,{b,{c,{d,{e,f}}}}}" * 3,
    "\\" * 901,
    "[!",
    "*" * 999,
]


@pytest.mark.parametrize("glob", [*BOMBS, *MORE_BOMBS], ids=lambda glob: str(glob)[:12])
@in_turn
@scene
async def test_a_glob_is_no_bomb(siege: Siege, revision: str, by_walking: bool, glob: str) -> None:
    deep = siege.served.joinpath(*["a" * 100] * 12)
    deep.mkdir(parents=True)
    (deep / ("a" * 250)).write_text("canary?")
    started = time.monotonic()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        await attacker.call("search_files", path=".", pattern=glob)
        await attacker.call("search_files", path=".", pattern="**", excludePatterns=[glob] * 20)
        await attacker.call("search_file_contents", path=".", query="?", include=[glob], exclude=[glob])
        fine, said = await attacker.call("search_files", path=".", pattern="**/aaa*a")
        assert fine
        assert said.count("\n") == 12
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("query", ["(a+)+$", "(.*)*c", "((a{9}){9}){9}" * 9, "("])
@in_turn
@scene
async def test_a_regular_expression_is_no_bomb(
    siege: Siege, revision: str, by_walking: bool, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_server_filesystem.matching.FILE_SECONDS", 0.1)
    (siege.served / "evil.txt").write_text("a" * 60 + "!\n")
    started = time.monotonic()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        fine, said = await attacker.call("search_file_contents", path=".", query=query, regex=True)
        assert fine or "not valid" in said
        assert "b.txt:1" in (await attacker.call("search_file_contents", query="^ins.de$", regex=True))[1]
    assert time.monotonic() - started < 6


@in_turn
@scene
async def test_a_file_without_end_is_read_in_part(siege: Siege, revision: str, by_walking: bool) -> None:
    huge = siege.served / "huge.log"
    with huge.open("wb") as file:
        file.write(b"a line\n" * 40_000)
        file.truncate(1 << 42)
        file.seek((1 << 42) - 9)
        file.write(b"\nthe end\n")
    started = time.monotonic()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking, max_bytes=50_000)) as attacker:
        for tool, arguments in OPENING.items():
            if tool == "write_file":
                continue  # which may replace it
            fine, said = await attacker.call(tool, **arguments("huge.log"))
            assert len(said) < 60_000, tool
            assert fine == tool.startswith(("read_text", "read_file", "read_mult", "get_")), (tool, said)
        assert "the end" in (await attacker.call("read_text_file", path="huge.log", tail=1))[1]
        assert "a line" in (await attacker.call("read_text_file", path="huge.log", offset=30_000, limit=2))[1]
        assert "larger than" in (await attacker.call("search_file_contents", query="inside"))[1]
    assert time.monotonic() - started < 6
    assert huge.stat().st_size == 1 << 42


@in_turn
@scene
async def test_a_tree_that_is_deeper_than_a_path_may_be_is_walked_to_a_bound(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    folder = os.open(siege.served / "inner", os.O_RDONLY)
    for _ in range(150):
        os.mkdir("d" * 100, dir_fd=folder)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("bottom.txt", os.O_CREAT, dir_fd=folder))
    os.close(folder)
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in LISTERS.items():
            fine, said = await attacker.call(tool, **arguments("."))
            assert fine
            assert "bottom.txt" not in said
        assert (await attacker.call("search_file_contents", query="inside"))[0]
        fine, said = await attacker.call("move_file", source="inner", destination="outer")
        assert not fine
        assert "too large to be sure" in said


@in_turn
@scene
async def test_many_entries_are_cut_and_said_to_be(siege: Siege, revision: str, by_walking: bool) -> None:
    for number in range(700):
        (siege.served / "inner" / f"canary{number}").touch()
    policy = Policy(by_walking=by_walking, max_entries=500, max_bytes=20_000)
    async with siege.attack(revision, policy=policy) as attacker:
        for tool in (*LISTERS, "search_file_contents"):
            fine, said = await attacker.call(tool, **CALLS[tool]("inner"))
            assert fine
            assert "500 entries" in said or "larger than an answer" in said
            assert len(said) < 80_000


@in_turn
@scene
async def test_read_only_is_read_only_by_every_route(siege: Siege, revision: str, by_walking: bool) -> None:
    before = look(siege.served)
    for policy, writable in (
        (Policy(read_only=True, by_walking=by_walking), True),
        (Policy(by_walking=by_walking), False),
    ):
        folder = Directory(siege.served, writable=writable)
        async with siege.attack(revision, folder, policy=policy, roots=[siege.served.as_uri()]) as attacker:
            for path in ("a.txt", "new", "inner", f"{siege.served}/inner/b.txt", "inner/new"):
                for tool, arguments in WRITERS.items():
                    fine, said = await attacker.call(tool, **arguments(path))
                    assert not fine, (tool, said)
            _, listed = await attacker.ask("tools/list")
            assert writable == ("write_file" not in str(listed))
            assert (await attacker.call("read_text_file", path="a.txt"))[0]
    assert look(siege.served) == before


@in_turn
@scene
async def test_what_is_served_for_reading_is_not_written_from_beside(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    archive = siege.top / "archive"
    archive.mkdir()
    (archive / "old.txt").write_text("canary")
    siege.settle()
    inner = siege.served / "inner"
    for name, target in {"arch": archive, "old": archive / "old.txt", "rel": "../archive", "in": "inner"}.items():
        (siege.served / name).symlink_to(target)
    folders = [Directory(siege.served), Directory(archive, writable=False), Directory(inner, writable=False)]
    kept = look(inner)
    policy = Policy(by_walking=by_walking)
    for roots in (None, [siege.top.as_uri()], [siege.served.as_uri(), archive.as_uri()]):
        async with siege.attack(revision, *folders, policy=policy, roots=roots) as attacker:
            for path in (
                "arch/old.txt",
                "old",
                "rel/new",
                "inner/b.txt",
                "in/b.txt",
                "in/new",
                str(archive),
                "inner",
                "../archive/x",
            ):
                for tool, arguments in WRITERS.items():
                    if tool != "move_file from" or path != "old":
                        fine, said = await attacker.call(tool, **arguments(path))
                        assert not fine, (path, tool, said)
            assert "canary" in (await attacker.call("read_text_file", path="old"))[1]
            assert (await attacker.call("write_file", path="a.txt", content="fine"))[0]
    assert look(inner) == kept


WIDENING = [
    "file:///",
    "file://T",
    "file://T/outside",
    "file://S/../outside",
    "file://S/%2e%2e/outside",
    "file://S/dir",
]
MORE_WIDENING = [
    "file://S-evil",
    "file:///proc/self/root",
    "file://S/up",
    "file://elsewhere/T/outside",
    "file://S/a.txt",
    "file://S/%00",
]


@pytest.mark.parametrize("root", [*WIDENING, *MORE_WIDENING])
@in_turn
@scene
async def test_a_root_does_not_widen(siege: Siege, revision: str, by_walking: bool, root: str) -> None:
    (siege.served / "dir").symlink_to("../outside")
    (siege.served / "up").symlink_to("..")
    uri = root.replace("S", str(siege.served)).replace("T", str(siege.top))
    policy = Policy(by_walking=by_walking)
    for roots in ([uri], [(siege.served / "inner").as_uri(), uri]):
        async with siege.attack(revision, policy=policy, roots=roots) as attacker:
            for path in ("secret.txt", f"{siege.outside}/secret.txt", "dir/secret.txt"):
                for tool in ("read_text_file", "read_multiple_files", "search_file_contents"):
                    assert not (await attacker.call(tool, **READERS[tool](path)))[0]
            await attacker.call("write_file", path="../outside/new", content="x")
            await attacker.call("list_directory", path=str(siege.outside))
            _, said = await attacker.call("list_allowed_directories")
            allowed = [line.removesuffix(" (read-only)") for line in said.splitlines()[1:]] if "Allowed" in said else []
            assert all(each.startswith(str(siege.served)) and "evil" not in each for each in allowed)


@in_turn
@scene
async def test_roots_that_change_on_the_way_widen_nothing_and_narrow_at_once(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    async def can(path: str) -> bool:
        return (await attacker.call("read_text_file", path=path))[0]

    secret = f"{siege.outside}/secret.txt"
    inner = siege.served / "inner"
    policy = Policy(by_walking=by_walking)
    async with siege.attack(revision, policy=policy, roots=[siege.served.as_uri()]) as attacker:
        changes: list[tuple[list[str], Any]] = [
            ([siege.served.as_uri()], (True, True)),
            ([inner.as_uri()], (False, True)),
            ([siege.outside.as_uri()], (False, False)),
            (["file:///"], (True, True)),
            ([], (True, True)),
        ]
        for uris, expected in changes:
            attacker.roots[:] = uris
            if revision < "2026":
                attacker.client.wire.notify("notifications/roots/list_changed")
            assert (await can(f"{siege.served}/a.txt"), await can(f"{inner}/b.txt")) == expected
            assert not await can(secret)
        inner.rename(siege.served / "was")
        inner.symlink_to(siege.outside)
        attacker.roots[:] = [inner.as_uri()]
        if revision < "2026":
            attacker.client.wire.notify("notifications/roots/list_changed")
        assert not await can(f"{inner}/secret.txt")
        assert not await can("secret.txt")
    assert CANARY not in str(siege.said)
