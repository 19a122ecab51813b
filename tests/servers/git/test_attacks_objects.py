"""Objects that no honest git wrote, and what a checkout makes of them."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from tests.servers.git.ambush import CANARY, Call, Ground, failed, use
from tests.servers.git.conftest import Opener
from tests.servers.git.counterfeit import (
    BLOB,
    ONE,
    REFERENCE_DELTA,
    TWO,
    commit_tree,
    entry,
    number,
    write_object,
    write_pack,
)
from tests.servers.git.forge import Repo
from tests.stage import Connect, in_both_eras, scene

from mcp_server_git.area import Area
from mcp_server_git.layout import discover
from mcp_server_git.objects import Objects


def read_twice(ground: Ground, identity: bytes) -> tuple[str, bytes] | None:
    """Read an object in this process, within bounds of time and memory."""
    objects = Objects(discover(ground.repo.path, Area.of([ground.repo.path])))
    tracemalloc.start()
    begun = time.monotonic()
    try:
        found = asyncio.run(objects.read(identity.hex()))
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
        assert time.monotonic() - begun < 4, "it went on until it was stopped"
    finally:
        tracemalloc.stop()
        objects.close()
    return found


def copying(base: bytes, times: int, claim: int | None = None) -> bytes:
    """A delta that copies its base again and again."""
    target = len(base) * times if claim is None else claim
    return number(len(base)) + number(target) + (b"\xf0" + len(base).to_bytes(3, "little")) * times


def plant_circle(repo: Repo) -> bytes:
    delta = copying(b"x" * 5, 1)
    write_pack(repo, {ONE: entry(REFERENCE_DELTA, delta, TWO), TWO: entry(REFERENCE_DELTA, delta, ONE)})
    return ONE


def plant_bomb(repo: Repo, claim: int | None = None) -> bytes:
    base = bytes(100_000)
    delta = copying(base, 10_000, claim)
    write_pack(repo, {ONE: entry(BLOB, base), TWO: entry(REFERENCE_DELTA, delta, ONE)})
    return TWO


def plant_inflating(repo: Repo) -> bytes:
    write_pack(repo, {ONE: entry(BLOB, bytes(80_000_000), size=10)})
    return ONE


def plant_giant(repo: Repo) -> bytes:
    write_pack(repo, {ONE: entry(BLOB, bytes(80_000_000))})
    return ONE


def plant_offsets(repo: Repo) -> bytes:
    write_pack(repo, {ONE: entry(BLOB, b"x")}, offset=0x7FFFFFF0)
    return ONE


def plant_nothing(repo: Repo) -> bytes:
    write_pack(repo, {ONE: b"\xff" * 30})
    return ONE


PACKS: dict[str, Callable[[Repo], bytes]] = {
    "a circle of deltas": plant_circle,
    "a delta of a gigabyte": plant_bomb,
    "a delta that claims less than it makes": lambda repo: plant_bomb(repo, 10),
    "an object of eighty megabytes": plant_giant,
    "an index that points beyond the pack": plant_offsets,
    "an entry of no kind": plant_nothing,
}


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_that_no_git_wrote_gives_nothing_soon(ground: Ground, name: str) -> None:
    assert read_twice(ground, PACKS[name](ground.repo)) is None


def test_an_entry_gives_no_more_than_it_claims(ground: Ground) -> None:
    found = read_twice(ground, plant_inflating(ground.repo))
    assert found is None or len(found[1]) <= 10


def test_a_delta_is_applied(ground: Ground) -> None:
    base = b"0123456789"
    write_pack(ground.repo, {ONE: entry(BLOB, base), TWO: entry(REFERENCE_DELTA, copying(base, 3), ONE)})
    assert read_twice(ground, TWO) == ("blob", base * 3)


LOOSE = {
    "no compressed data": b"garbage",
    "nothing": b"",
    "cut": zlib.compress(b"blob 4\0one\n")[:-6],
    "a negative size": zlib.compress(b"blob -4\0one\n"),
    "a size too large": zlib.compress(b"blob 400000000\0one\n"),
    "no size": zlib.compress(b"blob\0one\n"),
    "another kind": zlib.compress(b"evil 4\0one\n"),
    "much more than it says": zlib.compress(b"blob 4\0" + bytes(100_000_000)),
}


@in_both_eras
@pytest.mark.parametrize("name", LOOSE)
@scene
async def test_a_damaged_object_is_a_clear_refusal(connect: Connect, ground: Ground, name: str, revision: str) -> None:
    sha = ground.repo.say("rev-parse", "HEAD:a.txt")
    path = ground.git / "objects" / sha[:2] / sha[2:]
    path.unlink()
    path.write_bytes(LOOSE[name])
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_show", {"revision": "HEAD:a.txt"})])
        await use(client, [("git_diff", {"target": "HEAD"})])  # where git makes something of it, so be it
        fine = await use(client, [("git_show", {"revision": "HEAD:b.txt"}), ("git_log", {})])
    assert failed(said) == said
    assert "nternal" not in "".join(said)
    assert failed(fine) == []


DAMAGED = {
    "a commit without a tree": b"author x\n\nm\n",
    "a commit with a tree that is no hash": b"tree " + b"z" * 40 + b"\nauthor x\n\nm\n",
    "a commit whose tree is a path": b"tree HEAD:../../outside\nauthor x\n\nm\n",
    "nothing at all": b"",
}


@in_both_eras
@pytest.mark.parametrize("name", DAMAGED)
@scene
async def test_a_damaged_commit_is_a_clear_refusal(connect: Connect, ground: Ground, name: str, revision: str) -> None:
    commit = write_object(ground.repo, "commit", DAMAGED[name])
    ground.repo.write(".git/refs/heads/main", f"{commit}\n")
    calls: list[Call] = [("git_show", {"revision": "HEAD:a.txt"}), ("git_show", {"revision": "HEAD"}), ("git_log", {})]
    async with ground.visit(connect, revision) as client:
        said = await use(client, calls)
        fine = await use(client, [("git_show", {"revision": "old:a.txt"}), ("git_branch", {"branch_type": "local"})])
    ground.check(said)
    assert failed(said) == said
    assert "nternal" not in "".join(said)
    assert failed(fine) == []


@in_both_eras
@pytest.mark.parametrize("tree", [b"100644 abc\0short", b"100644", b"\0\0", b"worse a\0" + ONE, b"100644 \0" + ONE])
@scene
async def test_a_damaged_tree_is_a_clear_refusal(connect: Connect, ground: Ground, tree: bytes, revision: str) -> None:
    sha = write_object(ground.repo, "tree", tree)
    commit_tree(ground.repo, ("40000", b"d", bytes.fromhex(sha)), head="refs/heads/evil")
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_show", {"revision": "evil:d"}), ("git_show", {"revision": "evil:d/abc"})])
        said += await use(client, [("git_checkout", {"branch_name": "evil"})])
    assert failed(said) == said
    assert "nternal" not in "".join(said)
    assert (ground.repo.path / "a.txt").read_text() == "one\ntwo\nthree\n"


@in_both_eras
@pytest.mark.parametrize("name", [b"../evil", b"..", b".git", b".GIT", b"/etc/evil", b"git~1", b".g\xe2\x80\x8cit"])
@scene
async def test_a_tree_with_evil_names_is_shown_and_never_checked_out(
    connect: Connect, ground: Ground, name: bytes, revision: str
) -> None:
    blob = bytes.fromhex(write_object(ground.repo, "blob", b"evil\n"))
    tree = bytes.fromhex(write_object(ground.repo, "tree", b"100755 post-checkout\0" + blob))
    is_git = b"g" in name.lower()
    commit = commit_tree(
        ground.repo, ("40000" if is_git else "100644", name, tree if is_git else blob), head="refs/heads/evil"
    )
    ground.repo.git("checkout", "--quiet", "--force", "main")
    (ground.repo.path / "new.txt").unlink()
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_checkout", {"branch_name": "evil"})])
        shown = await use(client, [("git_show", {"revision": f"{commit}:"}), ("git_status", {})])
    assert failed(said) == said, said
    assert failed(shown) == []
    assert not list(ground.git.rglob("post-checkout"))
    assert sorted(each.name for each in ground.repo.path.iterdir()) == [".git", "a.txt", "b.txt"]


@in_both_eras
@scene
async def test_the_file_of_submodules_may_be_a_link_and_tells_nothing(
    connect: Connect, ground: Ground, revision: str
) -> None:
    said: list[str] = []
    for target in ("secret.txt", "nothing"):
        (ground.repo.path / ".gitmodules").unlink(missing_ok=True)
        (ground.repo.path / ".gitmodules").symlink_to(ground.outside / target)
        async with ground.visit(connect, revision) as client:
            said += await use(client, [("git_status", {}), ("git_diff_unstaged", {})])
    ground.check(said)
    assert said[:2] == said[2:], "whether something is there shows"
    assert failed(said) == []


@in_both_eras
@scene
async def test_a_checkout_never_writes_through_a_link(connect: Connect, ground: Ground, revision: str) -> None:
    ground.repo.git("checkout", "--quiet", "--force", "-b", "folder")
    ground.repo.commit("a folder", **{"d/secret_txt": "evil\n"})
    ground.repo.git("checkout", "--quiet", "main")
    (ground.repo.path / "d").symlink_to(ground.outside)
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_checkout", {"branch_name": "folder"})])
    ground.check(said)
    assert CANARY in (ground.outside / "secret.txt").read_text()


@in_both_eras
@scene
async def test_a_link_is_stored_as_a_link_and_its_target_is_not_read(
    connect: Connect, ground: Ground, revision: str
) -> None:
    (ground.repo.path / "link.txt").symlink_to(ground.outside / "secret.txt")
    calls: list[Call] = [
        ("git_add", {"files": ["link.txt"]}),
        ("git_diff_staged", {}),
        ("git_commit", {"message": "x"}),
    ]
    calls += [
        ("git_show", {"revision": "HEAD:link.txt"}),
        ("git_grep", {"pattern": "canary"}),
        ("git_blame", {"path": "link.txt"}),
    ]
    async with ground.visit(connect, revision) as client:
        said = await use(client, calls)
    ground.check(said)
    assert "secret.txt" in said[3], "where the link leads is what is stored"
    assert Repo(ground.repo.path, ground.repo.environment).say("cat-file", "-p", "HEAD:link.txt").endswith("secret.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of another process")
@in_both_eras
@scene
async def test_a_pack_that_unfolds_to_a_gigabyte_does_not_get_it(
    connect: Connect, ground: Ground, revision: str
) -> None:
    plant_bomb(ground.repo)
    commit_tree(ground.repo, ("100644", b"bomb", TWO), head="refs/heads/evil")
    calls: list[Call] = [("git_show", {"revision": "evil:bomb"}), ("git_show", {"revision": "evil"})]
    calls += [("git_diff", {"target": "old..evil"}), ("git_grep", {"pattern": "x", "revision": "evil"})]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    async with ground.visit(connect, revision) as client:
        said = await use(client, calls)
    assert [each for each in said if "512 MiB of memory" in each] == said, said
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 560 * 1024)  # KiB


def test_an_honest_text_of_many_megabytes_is_compared(desk: Opener, repo: Repo) -> None:
    lines = [b"%d %s\n" % (number, b"abc" * 10) for number in range(900_000)]
    repo.commit("big", big_txt=b"".join(lines))
    lines[700_000] = b"another\n"
    repo.write("big.txt", b"".join(lines))
    opened = desk(repo)
    assert "+another" in opened.run(opened.repository.demand(["diff"])).data.decode()
