"""Trees and clients that would have a call take more than its share; and who may read what was written."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.servers.filesystem.siege import Siege, besiege, in_turn
from tests.stage import scene

from mcp_server_filesystem.sandbox import MOST_ROOTS, Directory, Policy


@pytest.fixture
def siege(served: Path) -> Generator[Siege]:
    with besiege(served) as siege:
        yield siege


BOMBS = {
    "alternatives": "{a,b}" * 7,
    "more than is compiled": "\n".join(f"build{number}*foo.o" for number in range(1_900)),
    "stars": "*a" * 400,
    "classes": "[a-z]*" * 150,
    "many lines": "x\n" * 100_000,
    "one line": "y" * 200_000,
}


@pytest.mark.parametrize("name", BOMBS)
@in_turn
@scene
async def test_a_gitignore_cannot_keep_a_tree_from_being_walked(
    siege: Siege, revision: str, by_walking: bool, name: str
) -> None:
    (siege.served / ".gitignore").write_text(f"*.log\n{BOMBS[name]}\n")
    (siege.served / "inner" / "noise.log").write_text("inside\n")
    (siege.served / "inner" / ("a" * 200)).touch()
    begun = time.process_time()  # and not by the clock, which a busy machine takes from
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in (
            ("directory_tree", {}),
            ("search_files", {"pattern": "**"}),
            ("search_file_contents", {"query": "inside"}),
        ):
            fine, said = await attacker.call(tool, path=".", **arguments)
            assert fine, said
            assert "b.txt" in said
            assert "noise" not in said
            assert ("patterns than are followed" in said) == (name in ("more than is compiled", "many lines"))
    assert time.process_time() - begun < 20


@in_turn
@scene
async def test_braces_in_a_gitignore_mean_themselves(siege: Siege, revision: str, by_walking: bool) -> None:
    (siege.served / ".gitignore").write_text("{one,two}*\n")
    for name in ("{one,two}.txt", "one.txt"):
        (siege.served / name).touch()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        _, said = await attacker.call("search_files", path=".", pattern="*.txt")
    assert "/one.txt" in said
    assert "{one,two}" not in said


@in_turn
@scene
async def test_a_client_cannot_have_all_descriptors_held_for_its_roots(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    folders = [siege.served / f"root{number}" for number in range(MOST_ROOTS + 1)]
    for folder in folders:
        folder.mkdir()
    roots = [folder.as_uri() for folder in folders]
    policy = Policy(by_walking=by_walking)
    async with siege.attack(revision, policy=policy, roots=roots) as attacker:
        fine, said = await attacker.call("list_allowed_directories")
        assert not fine
        assert "--roots ignore" in said
    async with siege.attack(revision, policy=policy, roots=roots[1:]) as attacker:
        fine, said = await attacker.call("list_allowed_directories")
        assert fine
        assert len(said.splitlines()) == 1 + MOST_ROOTS


USER_OBJECT, USER, GROUP_OBJECT, MASK, OTHER, NOBODY = 1, 2, 4, 16, 32, 0xFFFFFFFF
LIST, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
ENTRIES = (
    (USER_OBJECT, 6, NOBODY),
    (USER, 6, 4242),
    (GROUP_OBJECT, 0, NOBODY),
    (MASK, 6, NOBODY),
    (OTHER, 0, NOBODY),
)
FRIENDLY = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in ENTRIES)
"""An access list (acl(5)) by which user 4242 reads and writes, and the group does nothing."""


def read_list(path: Path) -> bytes | None:
    return os.getxattr(path, LIST) if LIST in os.listxattr(path) else None


@pytest.fixture
def friendly(siege: Siege) -> Path:
    """A directory whose new files are for user 4242 too, and in it a file that is not."""
    folder = siege.served / "friendly"
    folder.mkdir()
    private = folder / "private.txt"
    private.write_text("one\n")
    private.chmod(0o640)
    try:
        os.setxattr(folder, DEFAULT, FRIENDLY)
    except OSError:
        pytest.skip("this file system has no access lists")
    return folder


WRITES: list[tuple[str, dict[str, object]]] = [
    ("write_file", {"content": "two"}),
    ("write_file", {"content": "two", "mode": "append"}),
    ("edit_file", {"edits": [{"oldText": "one", "newText": "two"}]}),
]


@pytest.mark.parametrize("listed", [False, True], ids=["no list", "a list"])
@pytest.mark.parametrize("write", WRITES, ids=["write", "append", "edit"])
@in_turn
@scene
async def test_a_file_that_is_replaced_is_for_those_who_could_read_it(
    siege: Siege, friendly: Path, write: tuple[str, dict[str, object]], listed: bool, revision: str, by_walking: bool
) -> None:
    path = friendly / "private.txt"
    if listed:
        os.setxattr(path, LIST, FRIENDLY)
    before, inode = (path.stat().st_mode, read_list(path)), path.stat().st_ino
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        fine, said = await attacker.call(write[0], path=str(path), **write[1])
    assert fine, said
    assert path.stat().st_ino != inode
    assert (path.stat().st_mode, read_list(path)) == before


@pytest.mark.parametrize("listed", [False, True], ids=["no list", "a list"])
@in_turn
@scene
async def test_what_is_moved_to_another_device_is_for_those_who_could_read_it(
    siege: Siege, elsewhere: Path, listed: bool, revision: str, by_walking: bool
) -> None:
    source, folder = siege.served / "a.txt", elsewhere / "friendly"
    folder.mkdir()
    source.chmod(0o640)
    try:
        os.setxattr(folder, DEFAULT, FRIENDLY)
        if listed:
            os.setxattr(source, LIST, FRIENDLY)
    except OSError:
        pytest.skip("one of the file systems has no access lists")
    before = source.stat().st_mode, read_list(source)
    policy = Policy(by_walking=by_walking)
    async with siege.attack(revision, Directory(siege.served), Directory(elsewhere), policy=policy) as attacker:
        fine, said = await attacker.call("move_file", source=str(source), destination=str(folder / "a.txt"))
    assert fine, said
    assert ((folder / "a.txt").stat().st_mode, read_list(folder / "a.txt")) == before


@in_turn
@scene
async def test_a_list_that_cannot_be_kept_gives_the_group_nothing(
    siege: Siege, friendly: Path, monkeypatch: pytest.MonkeyPatch, revision: str, by_walking: bool
) -> None:
    path = friendly / "private.txt"
    os.setxattr(path, LIST, FRIENDLY)
    set_attribute = os.setxattr

    def refuse(place: int, name: str, value: bytes) -> None:
        if name == LIST:
            raise OSError(errno.ENOTSUP, "no lists here")
        set_attribute(place, name, value)

    monkeypatch.setattr(os, "setxattr", refuse)
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        assert (await attacker.call("write_file", path=str(path), content="two"))[0]
    assert path.stat().st_mode & 0o777 == 0o600
