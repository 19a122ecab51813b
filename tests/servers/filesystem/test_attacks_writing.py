"""What a write leaves behind: links, rights, full disks, killed processes, and others who write at the same time."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.servers.filesystem.conftest import CANARY
from tests.servers.filesystem.desk import SERVER, Desk
from tests.servers.filesystem.siege import Siege, besiege, in_turn, on_every_front
from tests.stage import Json, scene
from tests.transports.host import Host

from mcp_server_filesystem.sandbox import Directory, Policy

if sys.platform != "win32":
    import resource

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


@pytest.fixture
def siege(served: Path) -> Generator[Siege]:
    with besiege(served) as siege:
        yield siege


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@on_every_front
@scene
async def test_a_second_name_outside_keeps_what_it_held(siege: Siege, revision: str, by_walking: bool) -> None:
    calls: list[tuple[str, Json]] = [
        ("write_file", {"content": "new"}),
        ("write_file", {"content": "new", "mode": "append"}),
        ("edit_file", {"edits": [{"oldText": "shared", "newText": "new"}]}),
    ]
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for number, (tool, arguments) in enumerate(calls):
            twin = siege.outside / f"twin{number}"
            twin.write_text("shared")
            (siege.served / "twin").unlink(missing_ok=True)
            (siege.served / "twin").hardlink_to(twin)
            assert (await attacker.call(tool, path="twin", **arguments))[0]
            assert twin.read_text() == "shared"
            assert "new" in (siege.served / "twin").read_text()
            twin.unlink()


@in_turn
@scene
async def test_new_content_is_not_given_a_program_s_rights(siege: Siege, revision: str, by_walking: bool) -> None:
    program = siege.served / "program"
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in (
            ("write_file", {"content": "evil"}),
            ("write_file", {"content": "evil", "mode": "append"}),
            ("edit_file", {"edits": [{"oldText": "good", "newText": "evil"}]}),
        ):
            program.write_text("good")
            program.chmod(0o6755)
            assert (await attacker.call(tool, path="program", **arguments))[0]
            assert program.stat().st_mode & 0o7777 == 0o755


@in_turn
@scene
async def test_of_those_who_write_at_once_with_one_etag_one_wins(siege: Siege, revision: str, by_walking: bool) -> None:
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        said = (await attacker.call("read_text_file", path="a.txt"))[1]
        etag = said.partition("etag ")[2][:16]
        outcomes = await attacker.call_at_once(
            *(("write_file", {"path": "a.txt", "content": f"writer {n}", "ifMatch": etag}) for n in range(12)),
            *(
                ("edit_file", {"path": "a.txt", "edits": [{"oldText": "one", "newText": f"{n}"}], "ifMatch": etag})
                for n in range(4)
            ),
        )
        assert sum(outcomes) == 1
        created = await attacker.call_at_once(
            *(("write_file", {"path": "new", "content": f"{n}", "mode": "create"}) for n in range(12))
        )
        assert sum(created) == 1
    (winner,) = [number for number, fine in enumerate(created) if fine]
    assert (siege.served / "new").read_text() == str(winner)
    assert names(siege.served) == ["a.txt", "inner", "new"]


@in_turn
@scene
async def test_no_append_is_lost_that_was_said_to_be_made(siege: Siege, revision: str, by_walking: bool) -> None:
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for path in ("new1", "new2", "a.txt"):
            outcomes = await attacker.call_at_once(
                *(("write_file", {"path": path, "content": f"<{n}>", "mode": "append"}) for n in range(12))
            )
            text = (siege.served / path).read_text()
            made = [number for number, fine in enumerate(outcomes) if fine]
            assert made
            assert (
                sorted(int(each) for each in text.replace("<", " ").replace(">", " ").split() if each.isdigit()) == made
            )


@in_turn
@scene
async def test_of_those_who_move_at_once_to_one_place_one_wins(siege: Siege, revision: str, by_walking: bool) -> None:
    for number in range(8):
        (siege.served / f"from{number}").write_text(str(number))
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        outcomes = await attacker.call_at_once(
            *(("move_file", {"source": f"from{n}", "destination": "to"}) for n in range(8))
        )
    (winner,) = [number for number, fine in enumerate(outcomes) if fine]
    assert (siege.served / "to").read_text() == str(winner)
    assert len(names(siege.served)) == 10


@in_turn
@scene
async def test_a_move_to_another_device_takes_no_link_s_target_and_replaces_nothing(
    siege: Siege, elsewhere: Path, revision: str, by_walking: bool
) -> None:
    inner = siege.served / "inner"
    (inner / "link").symlink_to(siege.outside / "secret.txt")
    (inner / "dir").symlink_to(siege.outside)
    os.mkfifo(siege.served / "fifo")
    (elsewhere / "taken").write_text("old")
    folders = [Directory(siege.served), Directory(elsewhere)]
    async with siege.attack(revision, *folders, policy=Policy(by_walking=by_walking)) as attacker:
        for source, name in (("a.txt", "taken"), ("inner", "taken"), ("fifo", "pipe"), ("absent", "x")):
            assert not (await attacker.call("move_file", source=source, destination=f"{elsewhere}/{name}"))[0]
        assert names(elsewhere) == ["taken"]
        assert (await attacker.call("move_file", source="inner", destination=f"{elsewhere}/there"))[0]
        assert not (await attacker.call("read_text_file", path=f"{elsewhere}/there/link"))[0]
    assert (elsewhere / "there" / "link").readlink() == siege.outside / "secret.txt"
    assert names(siege.served) == ["a.txt", "fifo"]


@in_turn
@scene
async def test_an_edit_that_names_no_place_is_refused_before_long(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    """Though every line of a large file is a little like it."""
    some = random.Random(1)
    lines = ["".join(some.choices("abcdef ", k=190)) for _ in range(6000)]
    (siege.served / "log").write_text("\n".join(lines))
    started = time.monotonic()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        fine, said = await attacker.call("edit_file", path="log", edits=[{"oldText": lines[0][::-1], "newText": ""}])
        assert not fine
        assert "exact match" in said
        near = f"{lines[3][:180]}-{lines[3][181:]}"
        fine, said = await attacker.call("edit_file", path="log", edits=[{"oldText": near, "newText": ""}])
        assert "line 4" in said
    assert time.monotonic() - started < 6


@ERAS
def test_a_full_disk_leaves_everything_as_it_was(siege: Siege, elsewhere: Path, era: str) -> None:
    """By a limit on the size of files, which fails in the same places as a full disk."""
    big = "x" * 200_000
    (siege.served / "old.txt").write_text("old")
    (siege.served / "big.txt").write_text(big)
    (siege.served / "inner" / "big.txt").write_text(big)
    with Host([*SERVER, str(siege.served), str(elsewhere)]) as host:
        desk = Desk(host.open(), era)
        desk.text("read_text_file", path="old.txt")
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        for tool, arguments in (
            ("write_file", {"path": "old.txt", "content": big}),
            ("write_file", {"path": "new.txt", "content": big}),
            ("write_file", {"path": "old.txt", "content": big, "mode": "append"}),
            ("edit_file", {"path": "old.txt", "edits": [{"oldText": "old", "newText": big}]}),
            ("edit_file", {"path": "big.txt", "edits": [{"oldText": big, "newText": big + "y"}]}),
            ("move_file", {"source": "big.txt", "destination": f"{elsewhere}/big.txt"}),
            ("move_file", {"source": "inner", "destination": f"{elsewhere}/inner"}),
        ):
            assert "untouched" in desk.refusal(tool, **arguments)
        assert names(siege.served) == ["a.txt", "big.txt", "inner", "old.txt"]
        assert names(siege.served / "inner") == ["b.txt", "big.txt"]
        assert names(elsewhere) == []
        assert (siege.served / "old.txt").read_text() == "old"
        desk.text("write_file", path="old.txt", content="new")
    assert (siege.served / "old.txt").read_text() == "new"


@pytest.mark.slow
@ERAS
def test_a_full_tmpfs_leaves_the_old_file_whole(siege: Siege, era: str) -> None:
    small = siege.served / "small"
    small.mkdir()
    mount = shutil.which("mount")
    words = ["-t", "tmpfs", "-o", "size=64k", "none", str(small)]
    if mount is None or subprocess.run([mount, *words], capture_output=True, timeout=10, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        with Host([*SERVER, str(siege.served)]) as host:
            desk = Desk(host.open(), era)
            desk.text("write_file", path="small/f", content="o" * 30_000)
            for path in ("small/f", "small/g"):
                assert "disk is full" in desk.refusal("write_file", path=path, content="x" * 90_000)
            (siege.served / "big").write_text("x" * 90_000)
            assert "disk is full" in desk.refusal("move_file", source="big", destination="small/big")
            assert names(small) == ["f"]
            assert (small / "f").read_text() == "o" * 30_000
            desk.text("write_file", path="small/f", content="fits")
    finally:
        subprocess.run(["umount", str(small)], timeout=10, check=True)


@pytest.mark.slow
@ERAS
def test_a_killed_server_leaves_whole_files_and_what_it_left_is_in_nobody_s_way(siege: Siege, era: str) -> None:
    """It is killed as soon as the temporary file of a write is there."""
    old, size = siege.served / "f", 2_000_000
    old.write_text("0" * size)
    for rounds in range(1, 7):
        known = names(siege.served)
        with Host([*SERVER, str(siege.served)]) as host:
            desk = Desk(host.open(), era)
            for number in range(rounds):
                desk.text("write_file", path="f", content=str(number % 10) * size)
            host.ask("tools/call", name="write_file", arguments={"path": "f", "content": "9" * size}, **desk.extra)
            deadline = time.monotonic() + 10
            while names(siege.served) == known and time.monotonic() < deadline:
                pass
            host.process.send_signal(signal.SIGKILL)
            host.process.wait(10)
        text = old.read_text()
        assert len(text) == size
        assert len(set(text)) == 1
    left = [name for name in names(siege.served) if name not in ("a.txt", "inner", "f")]
    assert left, "none was killed in the middle of a write"
    assert all(name.startswith(".f.") and name.endswith(".tmp") for name in left)
    with Host([*SERVER, str(siege.served)]) as host:
        desk = Desk(host.open(), era)
        desk.text("write_file", path="f", content="new")
        assert desk.text("read_text_file", path="f") == "new"


def test_a_write_that_fails_half_way_leaves_no_temporary_file(siege: Siege, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of the system calls of a write in turn, over the whole of the domain."""
    from mcp_server_filesystem.refusals import Refusal
    from mcp_server_filesystem.sandbox import Sandbox
    from mcp_server_filesystem.writing import write_text

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "")

    sandbox = Sandbox([Directory(siege.served)], Policy())
    for name in ("write", "fchmod", "fsync", "replace"):
        with monkeypatch.context() as patch, sandbox.scope() as scope:
            patch.setattr(f"mcp_server_filesystem.replacing.os.{name}", fail)
            with pytest.raises(Refusal, match="disk is full"):
                write_text(sandbox, scope, "a.txt", "new", ("overwrite", None))
        assert names(siege.served) == ["a.txt", "inner"]
        assert (siege.served / "a.txt").read_text() == "one\ntwo\nthree\n"
    sandbox.close()
    assert CANARY not in str(siege.said)
