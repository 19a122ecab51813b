"""What a repository shares with the outside without a link that shows it: packs by name, second names, nested ones."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.git.ambush import Call, Ground, failed, use
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Forge, Repo
from tests.stage import Connect, in_both_eras, scene

from mcp_server_git.changes import add
from mcp_server_git.references import References
from mcp_server_git.showing import read_revision

HEAD_BYTES, ROW_BYTES = 12, 12  # of a multi-pack-index, and of a row of its table (gitformat-pack)


def rename_packs(index: bytes, name: Callable[[str], str]) -> bytes:
    """Write a multi-pack-index anew with other names for its packs."""
    rows = [struct.unpack_from(">4sQ", index, HEAD_BYTES + ROW_BYTES * at) for at in range(index[6] + 1)]
    chunks = {kind: index[start : rows[at + 1][1]] for at, (kind, start) in enumerate(rows[:-1])}
    names = "".join(name(each) + "\0" for each in chunks[b"PNAM"].decode().split("\0") if each).encode()
    chunks[b"PNAM"] = names + b"\0" * (-len(names) % 4)
    table, body = b"", b""
    for kind, _ in rows:
        table += struct.pack(">4sQ", kind, HEAD_BYTES + ROW_BYTES * len(rows) + len(body))
        body += chunks.get(kind, b"")
    made = index[:HEAD_BYTES] + table + body
    return made + hashlib.sha1(made, usedforsecurity=False).digest()


def borrow_packs(ground: Ground) -> None:
    """Have the victim's multi-pack-index name the packs of the repository outside."""
    outside = Repo(ground.outside / "repo", ground.repo.environment)
    outside.git("repack", "-adq")
    outside.git("multi-pack-index", "write")
    packs = outside.path / ".git" / "objects" / "pack"
    away = os.path.relpath(packs, ground.git / "objects" / "pack")
    index = rename_packs((packs / "multi-pack-index").read_bytes(), lambda name: f"{away}/{name}")
    ground.repo.write(".git/objects/pack/multi-pack-index", index)


@in_both_eras
@scene
async def test_an_index_of_packs_borrows_none_from_outside(connect: Connect, ground: Ground, revision: str) -> None:
    borrow_packs(ground)
    secret = ground.secret_commit
    calls: list[Call] = [("git_show", {"revision": text}) for text in (secret, f"{secret}:secret.txt", secret[:10])]
    calls += [("git_diff", {"target": f"HEAD..{secret}"}), ("git_grep", {"pattern": "canary", "revision": secret})]
    calls += [("git_create_branch", {"branch_name": "taken", "base_branch": secret})]
    async with ground.visit(connect, revision) as client:
        said = await use(client, calls)
        fine = await use(client, [("git_show", {"revision": "HEAD"})])
    ground.check(said)
    assert failed(said) == said
    assert failed(fine) == []


def test_git_itself_borrows_packs_by_such_an_index(ground: Ground) -> None:
    borrow_packs(ground)
    assert "canary" in ground.repo.say("show", ground.secret_commit)


@in_both_eras
@pytest.mark.parametrize("name", ["COMMIT_EDITMSG", "logs/HEAD", "logs/refs/heads/main", "logs/refs/heads/made"])
@scene
async def test_a_file_with_a_second_name_outside_keeps_what_it_held(
    connect: Connect, ground: Ground, name: str, revision: str
) -> None:
    precious = ground.outside / "profile"
    precious.write_text("precious\n")
    (ground.git / name).parent.mkdir(parents=True, exist_ok=True)
    (ground.git / name).unlink(missing_ok=True)
    os.link(precious, ground.git / name)
    changes: list[Call] = [
        ("git_add", {"files": ["."]}),
        ("git_commit", {"message": "evil"}),
        ("git_create_branch", {"branch_name": "made"}),
        ("git_checkout", {"branch_name": "old"}),
        ("git_reset", {}),
    ]
    async with ground.visit(connect, revision) as client:
        said = await use(client, changes)
    assert failed(said) == []
    assert precious.read_text() == "precious\n"
    assert name.startswith("logs") == (ground.git / name).read_text().startswith("precious\n")  # the log goes on
    assert ground.repo.say("log", "-1", "--format=%s", "main") == "evil"


def borrow_again(ground: Ground, lines: int) -> None:
    """Places that borrow from each other, in a chain, by the same line over and over."""
    chain = ["objects", "one", "two", "three", "four"]
    for place, following in itertools.pairwise(chain):
        ground.repo.write(f".git/{place}/info/alternates", f"../{following}\n" * lines)
    (ground.git / "four").mkdir()


def borrow_widely(ground: Ground) -> None:
    """Many places, each with lines of its own."""
    for number in range(20):
        names = (f"../place{number * 20 + line}\n" for line in range(1, 21))
        ground.repo.write(f".git/{'objects' if not number else f'place{number}'}/info/alternates", "".join(names))


@in_both_eras
@pytest.mark.parametrize("lines", [40, 10_000, 0], ids=["again and again", "a long file", "many places"])
@scene
async def test_places_to_borrow_from_are_looked_at_once_and_not_without_end(
    connect: Connect, ground: Ground, lines: int, revision: str
) -> None:
    borrow_again(ground, lines) if lines else borrow_widely(ground)
    begun = time.monotonic()
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_status", {}), ("git_show", {"revision": "HEAD"})])
    assert time.monotonic() - begun < 10
    assert failed(said) == ([] if lines == 40 else said)


def nest_by_file(ground: Ground) -> None:
    ground.repo.write("nest/.git", f"gitdir: {ground.outside / 'repo' / '.git'}\n")


def nest_by_link(ground: Ground) -> None:
    (ground.repo.path / "nest").mkdir()
    (ground.repo.path / "nest" / ".git").symlink_to(ground.outside / "repo" / ".git")


def nest_by_head(ground: Ground) -> None:
    """A repository in its place, of which one ref is a link to what looks like a hash."""
    shutil.copytree(ground.git, ground.repo.path / "nest" / ".git")
    (ground.repo.path / "nest" / ".git" / "refs" / "heads" / "main").unlink()
    (ground.repo.path / "nest" / ".git" / "refs" / "heads" / "main").symlink_to(ground.outside / "hash")


def nest_by_common_directory(ground: Ground) -> None:
    shutil.copytree(ground.git, ground.repo.path / "nest" / ".git")
    ground.repo.write("nest/.git/commondir", f"{ground.outside / 'repo' / '.git'}\n")


NESTS = {
    "a .git file": nest_by_file,
    "a .git link": nest_by_link,
    "a ref that is a link": nest_by_head,
    "commondir": nest_by_common_directory,
}


@in_both_eras
@pytest.mark.parametrize("tracked", [False, True], ids=["new", "tracked"])
@pytest.mark.parametrize("name", NESTS)
@scene
async def test_no_commit_of_a_repository_outside_is_staged(
    connect: Connect, ground: Ground, name: str, tracked: bool, revision: str
) -> None:
    head = ground.repo.say("rev-parse", "HEAD")
    if tracked:
        ground.repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},nest")
    NESTS[name](ground)
    calls: list[Call] = [("git_status", {}), ("git_add", {"files": ["."]}), ("git_add", {"files": ["nest"]})]
    async with ground.visit(connect, revision) as client:
        said = await use(client, [*calls, ("git_diff_staged", {}), ("git_diff_unstaged", {})])
        fine = await use(client, [("git_add", {"files": ["a.txt"]})])
    ground.check(said)
    assert ground.secret_commit not in "".join(said) + ground.repo.say("ls-files", "--stage")
    assert failed(said) == said[2:3]
    assert "Left out: nest" in said[1]
    assert "new.txt" in said[1]
    assert failed(fine) == []


def test_a_repository_inside_is_staged_as_git_does(desk: Opener, repo: Repo) -> None:
    shutil.copytree(repo.path / ".git", repo.path / "nest" / ".git")
    opened = desk(repo)
    assert opened.run(add(opened.repository, ["."])).files == ["nest/"]
    assert f"160000 {repo.say('rev-parse', 'HEAD')} 0\tnest" in repo.say("ls-files", "--stage")


READER = """\
import asyncio, os, sys
from pathlib import Path
from mcp_server_git.repository import Repositories
from mcp_server_git.changes import add
from mcp_server_git.references import References
from mcp_server_git.showing import read_revision

async def main(top, pack):
    repositories = Repositories([Path(top)])
    repository = repositories.find(None, repositories.ceiling)
    print(len((await read_revision(repository, "HEAD:f0", None)).text))
    os.truncate(pack, 2_000)
    for number in range(40):
        try:
            await read_revision(repository, f"HEAD:f{number}", None)
        except Exception as refusal:
            print(type(refusal).__name__)
            break
    repositories.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_pack_that_is_cut_off_while_it_is_read_does_not_end_the_server(forge: Forge) -> None:
    repo = forge.make()
    for number in range(40):
        repo.write(f"f{number}", os.urandom(3_000).hex())
    repo.commit("noise")
    repo.git("repack", "-adq")
    (pack,) = (repo.path / ".git" / "objects" / "pack").glob("*.pack")
    pack.chmod(0o600)
    command = [sys.executable, "-c", READER, str(repo.path), str(pack)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["6000", "NothingThere"]), done.stderr


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_a_replaced_object_is_shown_as_git_shows_it(desk: Opener, repo: Repo, packed: bool) -> None:
    first, second = repo.say("rev-parse", "HEAD~1"), repo.say("rev-parse", "HEAD")
    repo.git("replace", first, second)
    repo.git("replace", f"{second}:a.txt", f"{second}:b.txt")
    if packed:
        repo.git("pack-refs", "--all")
        repo.git("repack", "-adq")
    opened = desk(repo)
    for name in (f"{first}:a.txt", "HEAD:a.txt", "HEAD:b.txt"):
        assert opened.run(read_revision(opened.repository, name, None)).text == repo.git("show", name).decode()


@in_both_eras
@scene
async def test_a_list_of_very_many_branches_holds_up_no_other_call(
    connect: Connect, ground: Ground, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, read = threading.Event(), References.list

    def read_slowly(self: References, prefix: str) -> dict[str, str | None]:
        assert answered.wait(5), "the other call was not answered meanwhile"
        return read(self, prefix)

    monkeypatch.setattr(References, "list", read_slowly)
    async with ground.visit(connect, revision) as client:
        branches = client.request("tools/call", {"name": "git_branch", "arguments": {"branch_type": "local"}})
        fine = await use(client, [("git_show", {"revision": "HEAD"})])
        answered.set()
        listed = await client.wire.answer(branches)
    assert failed(fine) == []
    assert "main" in str(listed["result"])


@pytest.mark.parametrize("name", [":/fir", ":/second", ":/!-second"])
def test_a_commit_is_found_by_its_message(desk: Opener, repo: Repo, name: str) -> None:
    opened = desk(repo)
    assert opened.run(read_revision(opened.repository, name, None)).hash == repo.say("rev-parse", name)


def test_a_message_that_nobody_wrote_finds_nothing(desk: Opener, repo: Repo) -> None:
    opened = desk(repo)
    assert "no revision" in opened.refusal(read_revision(opened.repository, ":/nowhere", None))


CONDITIONS = (
    "hasconfig:remote.*.url:git@work.example:*/**",
    "hasconfig:remote.*.url:git@work.example:*",
    "hasconfig:remote.*.url:https://**",
    "hasconfig:remote.*.url:git@*.example:**/",
    "onbranch:main",
    "onbranch:ma*",
    "onbranch:m?i[a-n]",
    "onbranch:[!m]ain",
    "onbranch:main/",
    "onbranch:**/main",
    "gitdir:**/repo/.git",
    "gitdir:repo/",
    "gitdir:*/repo/",
    "gitdir/i:REPO/",
    "gitdir:other/",
    "gitdir:/*/.git",
)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_whose_commit_it_is_goes_by_conditions_as_git_has_them(
    desk: Opener, forge: Forge, repo: Repo, condition: str, tmp_path: Path
) -> None:
    repo.git("remote", "add", "origin", "git@work.example:team/x.git")
    (tmp_path / "more").write_text("[user]\n\temail = ada@work.example\n")
    with forge.config.open("a") as file:
        file.write(f'[includeIf "{condition}"]\n\tpath = {tmp_path / "more"}\n')
    assert desk(repo).repository.manner.author.email == repo.say("config", "user.email")


def test_whose_commit_it_is_changes_with_the_branch(desk: Opener, forge: Forge, repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("[user]\n\temail = ada@work.example\n")
    with forge.config.open("a") as file:
        file.write(f'[includeIf "onbranch:work/"]\n\tpath = {tmp_path / "more"}\n')
    opened = desk(repo)
    assert opened.repository.manner.author.email == "ada@example.org"
    repo.git("switch", "--quiet", "--create", "work/one")
    assert opened.repository.manner.author.email == "ada@work.example"
