"""Repositories that reach for what lies outside, that never answer, and whose objects are no objects.

`REFUSED` must be refused altogether; what `TAKEN` plants is data, or not looked at, and the repository can be used.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable

import pytest
from tests.servers.git.ambush import HIDDEN, TOUR, Call, Ground, failed, tour, use
from tests.stage import Connect, in_both_eras, scene

Plant = Callable[[Ground], object]


def alternates(text: str) -> Plant:
    def plant(ground: Ground) -> None:
        other = ground.outside / "repo" / ".git" / "objects"
        ground.repo.write(".git/objects/info/alternates", text.replace("OTHER", str(other)) + "\n")
        ground.repo.write(".git/HEAD", f"{ground.secret_commit}\n")

    return plant


def lead(name: str) -> Plant:
    """Put a link to the secret in the place of a file of the git directory."""
    return lambda ground: ground.replace(name, ground.outside / "secret.txt")


def lead_folder(name: str) -> Plant:
    def plant(ground: Ground) -> None:
        shutil.rmtree(ground.git / name, ignore_errors=True)
        ground.replace(name, ground.outside / "repo" / ".git" / name)

    return plant


def lead_loose_object(ground: Ground) -> None:
    sha = ground.repo.say("rev-parse", "HEAD:a.txt")
    ground.replace(f"objects/{sha[:2]}/{sha[2:]}", ground.outside / "secret.txt")


def lead_git_directory(ground: Ground) -> None:
    shutil.rmtree(ground.git)
    ground.git.symlink_to(ground.outside / "repo" / ".git")


def point(text: str) -> Plant:
    """Make `.git` a file that says this."""

    def plant(ground: Ground) -> None:
        shutil.rmtree(ground.git)
        ground.git.write_text(text.replace("OTHER", str(ground.outside / "repo" / ".git")))

    return plant


def head(text: str) -> Plant:
    return lambda ground: ground.repo.write(".git/HEAD", text)


REFUSED: dict[str, Plant] = {
    "alternates": alternates("OTHER"),
    "alternates, relative": alternates("../../../outside/repo/.git/objects"),
    "alternates in odd quotes": alternates(
        '"../../../outside/repo/.git/objects"/../../../../repo/.git/none"',
    ),
    "alternates in escapes": alternates(r'"\056\056/\056\056/../outside/repo/.git/objects"'),
    "alternates, quoted over two lines": alternates('"OTHER\n"'),
    "alternates behind a comment": alternates("# nothing\nOTHER"),
    "a link for alternates": lead("objects/info/alternates"),
    "a git file": point("gitdir: OTHER\n"),
    "a relative git file": point("gitdir: ../outside/repo/.git\n"),
    "a git file with more lines": point("gitdir: OTHER\n\n\n"),
    "a link for .git": lead_git_directory,
    "a common directory": lambda ground: ground.repo.write(".git/commondir", str(ground.outside / "repo" / ".git")),
    "a link for commondir": lead("commondir"),
    "a link for the configuration": lead("config"),
    "a link for config.worktree": lead("config.worktree"),
    "a link for packed-refs": lead("packed-refs"),
    "a link for shallow": lead("shallow"),
    "a link for the index": lead("index"),
    "a link for a shared index": lead("sharedindex.1111111111111111111111111111111111111111"),
    "a link for index.lock": lead("index.lock"),
    "a link for HEAD": lead("HEAD"),
    "a link for ORIG_HEAD": lead("ORIG_HEAD"),
    "a link for FETCH_HEAD": lead("FETCH_HEAD"),
    "a link for MERGE_MSG": lead("MERGE_MSG"),
    "a link for COMMIT_EDITMSG": lead("COMMIT_EDITMSG"),
    "a link for a branch": lead("refs/heads/evil"),
    "a link for a log": lead("logs/refs/heads/evil"),
    "a link for info/attributes": lead("info/attributes"),
    "a link for info/sparse-checkout": lead("info/sparse-checkout"),
    "a link for info/grafts": lead("info/grafts"),
    "a link for the commit graph": lead("objects/info/commit-graph"),
    "a link for a pack": lead("objects/pack/pack-1111111111111111111111111111111111111111.pack"),
    "a link for a loose object": lead_loose_object,
    "a link for refs": lead_folder("refs"),
    "a link for refs/heads": lead_folder("refs/heads"),
    "a link for logs": lead_folder("logs"),
    "a link for objects": lead_folder("objects"),
    "a link for objects/pack": lead_folder("objects/pack"),
    "a format of the future": lambda ground: ground.configure("[core]\n\trepositoryFormatVersion = 7"),
    "an unknown extension": lambda ground: ground.configure(
        "[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tevil = 1"
    ),
    "a configuration of a mebibyte": lambda ground: ground.configure("# " + "x" * 1_100_000),
    "a configuration that is broken": lambda ground: ground.configure("[core\n\teditor = x"),
}


ALIKE = {
    *(f"a link for {each}" for each in ("packed-refs", "shallow", "a shared index", "ORIG_HEAD", "FETCH_HEAD", "refs")),
    *(f"a link for {each}" for each in ("a log", "info/sparse-checkout", "info/grafts", "the commit graph", "logs")),
    *("a git file with more lines", "a link for MERGE_MSG", "a link for objects/pack", "alternates behind a comment"),
}
"""Those that the same lines of the server stop as others."""

HEADS: dict[str, Plant] = {
    "HEAD that climbs": head("ref: refs/heads/../../../../outside/hash\n"),
    "HEAD that is a path": head("ref: /etc/passwd\n"),
    "HEAD that climbs without a space": head("ref:refs/heads/../../../../outside/hash\n"),
    "HEAD that climbs from elsewhere": head("ref: refs/../../../outside/hash\n"),
    "HEAD that is long": head("ref: refs/heads/" + "x" * 5_000),
}


@in_both_eras
@pytest.mark.parametrize("name", HEADS)
@scene
async def test_a_head_that_leads_out_is_no_head(connect: Connect, ground: Ground, name: str, revision: str) -> None:
    HEADS[name](ground)
    async with ground.visit(connect, revision) as client:
        said = await use(client, [each for each in TOUR if each[0] != "git_checkout"])
    ground.check(said)
    refused = {each.split()[0] for each in failed(said)}
    assert refused >= {"git_show", "git_diff", "git_blame", "git_commit", "git_create_branch"}


@in_both_eras
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in REFUSED]
)
@scene
async def test_a_repository_that_leads_out_is_refused(
    connect: Connect, ground: Ground, name: str, revision: str
) -> None:
    REFUSED[name](ground)
    tools = ("git_status", "git_log", "git_show", "git_blame", "git_commit")
    calls: list[Call] = [each for each in TOUR if each[0] in tools]
    calls += [("git_show", {"revision": "HEAD:secret.txt"}), ("git_show", {"revision": ground.secret_commit})]
    async with ground.visit(connect, revision) as client:
        said = await use(client, calls)
    ground.check(said)
    assert len(failed(said)) == len(calls), said


def graft(ground: Ground) -> None:
    ground.repo.write(".git/info/grafts", f"{ground.repo.say('rev-parse', 'HEAD')} {HIDDEN}\n")


def embed(ground: Ground) -> None:
    """A bare repository among the files of the work tree, as a clone may bring one along."""
    shutil.copytree(ground.outside / "repo" / ".git", ground.repo.path / "bare")
    (ground.repo.path / "bare" / "refs" / "heads" / "main").unlink()
    (ground.repo.path / "bare" / "config").write_text(
        f"[core]\n\tbare = true\n\tfsmonitor = {ground.program('bare')}\n"
    )


def number_submodules(ground: Ground) -> None:
    """Submodules with every odd thing that their file may say."""
    sha = ground.repo.say("rev-parse", "HEAD")
    modules = ""
    for at, url in enumerate(
        ("ext::sh -c touch% x", "-u./evil", "--upload-pack=evil", "file:///etc", "../outside/repo")
    ):
        name = ("../../../outside", "-x", "a\\nb", "..", "fine")[at]
        modules += f'[submodule "{name}"]\n\tpath = m{at}\n\turl = {url}\n\n'
        modules += "\tignore = none\n\tfetchRecurseSubmodules = true\n\tbranch = ../../evil\n"
        ground.repo.git("update-index", "--add", "--cacheinfo", f"160000,{sha},m{at}")
        (ground.repo.path / f"m{at}").mkdir()
    ground.repo.write(".gitmodules", modules)
    (ground.repo.path / "m4" / ".git").write_text(f"gitdir: {ground.outside / 'repo' / '.git'}\n")


def loop_includes(ground: Ground) -> None:
    ground.configure('[include]\n\tpath = config\n\tpath = ../.git/config\n[includeIf "gitdir:**"]\n\tpath = config')


def repeat_settings(ground: Ground) -> None:
    ground.configure(
        "".join(f'[branch "b{number}"]\n\tremote = .\n\tmerge = refs/heads/x\n' for number in range(5_000))
    )


def borrow_by_other_rules(text: str) -> Plant:
    """Lines that git takes for a place that is not there, and other readers for one outside."""
    return lambda ground: ground.repo.write(
        ".git/objects/info/alternates", text.replace("OTHER", str(ground.outside / "repo" / ".git" / "objects")) + "\n"
    )


def place_devices(ground: Ground) -> None:
    os.mkfifo(ground.repo.path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(ground.repo.path / "socket"))


def link_files(ground: Ground) -> None:
    for name in (".mailmap", "link.txt"):
        (ground.repo.path / name).symlink_to(ground.outside / "secret.txt")
    (ground.repo.path / "folder").symlink_to(ground.outside)


TAKEN: dict[str, Plant] = {
    "grafts": graft,
    "a replaced object": lambda ground: ground.repo.git("replace", "HEAD:a.txt", "HEAD:b.txt"),
    "core.worktree outside": lambda ground: ground.configure(f"[core]\n\tworktree = {ground.outside}"),
    "core.bare": lambda ground: ground.configure("[core]\n\tbare = true"),
    "alternates behind a blank": borrow_by_other_rules("  OTHER"),
    "alternates seen from the server's directory": borrow_by_other_rules("outside/repo/.git/objects"),
    "http-alternates": lambda ground: ground.repo.write(
        ".git/objects/info/http-alternates", "http://127.0.0.1:9/evil\n"
    ),
    "a bare repository among the files": embed,
    "submodules with odd addresses": number_submodules,
    "includes in a circle": loop_includes,
    "a great many branches configured": repeat_settings,
    "a FIFO and a socket among the files": place_devices,
    "links among the files": link_files,
    "a link for the hooks": lead_folder("hooks"),
    "a branch that is a link inside": lambda ground: ground.replace("refs/heads/same", ground.git / "refs/heads/main"),
}


@in_both_eras
@pytest.mark.parametrize("name", TAKEN)
@scene
async def test_a_repository_with_odd_things_in_it_can_be_used(
    connect: Connect, ground: Ground, name: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ground.forge.folder)
    TAKEN[name](ground)
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
        found = await use(client, [("git_show", {"revision": f"{ground.secret_commit}:secret.txt"})])
    ground.check([*said, *found])
    assert failed(said) == []
    assert failed(found) == found


@in_both_eras
@pytest.mark.parametrize("text", ["  OTHER", "outside/repo/.git/objects"])
@scene
async def test_no_reader_of_objects_borrows_by_rules_of_its_own(
    connect: Connect, ground: Ground, text: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ground.forge.folder)
    alternates(text)(ground)  # and HEAD is the commit outside, so that no git is asked who it is
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_show", {"revision": "HEAD:secret.txt"}), ("git_log", {})])
    ground.check(said)
    assert failed(said) == said


@in_both_eras
@scene
async def test_objects_are_borrowed_from_inside(connect: Connect, ground: Ground, revision: str) -> None:
    sibling = ground.forge.make("sibling")
    commit = sibling.commit("lent", lent_txt="lent\n")
    sibling.git("repack", "-a", "-d", "-q")
    ground.repo.write(".git/objects/info/alternates", '# lent\n"../../../sib\\154ing/.git/objects"\n')
    async with ground.visit(connect, revision, sibling) as client:
        here = {"repo_path": str(ground.repo.path)}
        said = await use(client, [("git_show", {"revision": f"{commit}:lent.txt", **here}), ("git_status", here)])
    assert failed(said) == []
    assert "lent" in said[0]


@in_both_eras
@scene
async def test_a_link_is_seen_even_if_the_time_of_its_directory_was_set_back(
    connect: Connect, ground: Ground, revision: str
) -> None:
    logs = ground.git / "logs"
    async with ground.visit(connect, revision) as client:
        fine: list[str] = []
        begun = time.monotonic()
        while time.monotonic() - begun < 0.3:  # until what was seen of the directory is remembered
            fine = await use(client, [("git_status", {})])
        before = logs.stat()
        ground.replace("logs/HEAD", ground.outside / "secret.txt")
        os.utime(logs, ns=(before.st_atime_ns, before.st_mtime_ns))
        said = await use(client, [("git_status", {}), ("git_commit", {"message": "x"})])
    assert failed(fine) == []
    assert failed(said) == said


@in_both_eras
@scene
async def test_a_repository_cannot_write_to_its_neighbour(connect: Connect, ground: Ground, revision: str) -> None:
    neighbour = ground.forge.make("neighbour")
    neighbour.commit("first", a_txt="one\n")
    hook = neighbour.write(".git/hooks/pre-commit", "#!/bin/sh\ntrue\n")
    (ground.git / "index").unlink()
    ground.repo.write(".git/commondir", str(neighbour.path / ".git"))
    ground.replace("COMMIT_EDITMSG", hook)
    async with ground.visit(connect, revision, neighbour) as client:
        here = {"repo_path": str(ground.repo.path)}
        said = await use(client, [("git_add", {"files": ["."], **here}), ("git_commit", {"message": "evil", **here})])
        fine = await use(client, [("git_log", {"repo_path": str(neighbour.path)})])
    assert failed(said) == said
    assert failed(fine) == []
    assert hook.read_text() == "#!/bin/sh\ntrue\n"


READ_HERE = ("config", "objects/info/alternates", "commondir")
READ_BY_GIT = ("OBJECT", "index")
READ_BY_GIT_TOO = (
    "HEAD",
    "packed-refs",
    "refs/heads/main",
    "shallow",
    "info/exclude",
    "../.gitignore",
    "../.gitattributes",
)


@in_both_eras
@pytest.mark.parametrize(
    "name", [*READ_HERE, *READ_BY_GIT, *(pytest.param(each, marks=pytest.mark.slow) for each in READ_BY_GIT_TOO)]
)
@scene
async def test_a_pipe_that_never_answers_holds_up_nothing(
    connect: Connect, ground: Ground, name: str, revision: str
) -> None:
    sha = ground.repo.say("rev-parse", "HEAD:a.txt")
    path = ground.git / (f"objects/{sha[:2]}/{sha[2:]}" if name == "OBJECT" else name)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    honest = ground.forge.make("honest")
    honest.commit("first", a_txt="one\n")
    begun = time.monotonic()
    async with ground.visit(connect, revision, honest, call_seconds=0.3, resolve_seconds=0.3) as client:
        here = {"repo_path": str(ground.repo.path)}
        said = await use(client, [("git_status", here), ("git_show", {"revision": "HEAD:a.txt", **here})])
        fine = await use(client, [("git_status", {"repo_path": str(honest.path)})])
    assert failed(said), said
    assert any("did not finish" in each for each in said) == (name not in READ_HERE)
    assert failed(fine) == []
    assert time.monotonic() - begun < 5
