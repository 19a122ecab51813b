"""Hostile repositories: none runs anything, in either era. Ground truth is a marker that a program would have left.

Where git itself would run the program, it is first seen to do so: an attack that works on nobody proves nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.servers.git.forge import Forge, Repo
from tests.stage import Connect, in_both_eras, scene

from mcp_kernel.testing.eras import Client
from mcp_server_git import fencing
from mcp_server_git.refusals import Refusal
from mcp_server_git.server import build

CANARY = "canary-58213"


@dataclass(frozen=True)
class Attack:
    """Configuration and attributes that name the program `%s`, and what makes git run it."""

    name: str
    config: str
    attributes: str = ""
    trigger: tuple[str, ...] = ("status",)


ATTACKS = [
    Attack("fsmonitor", "[core]\n\tfsmonitor = %s"),
    Attack("external diff", "[diff]\n\texternal = %s", trigger=("diff",)),
    Attack("diff driver", '[diff "evil"]\n\tcommand = %s', "* diff=evil", ("diff",)),
    Attack("textconv", '[diff "evil"]\n\ttextconv = %s', "* diff=evil", ("diff",)),
    Attack("clean filter", '[filter "evil"]\n\tclean = %s', "* filter=evil", ("add", ".")),
    Attack("smudge filter", '[filter "evil"]\n\tsmudge = %s', "* filter=evil", ("checkout", "old", "-f")),
    Attack("process filter", '[filter "evil"]\n\tprocess = %s\n\trequired = true', "* filter=evil", ("add", ".")),
    Attack("hooks path", "[core]\n\thooksPath = %s.d", trigger=("commit", "-qm", "x", "--allow-empty")),
    Attack("pager", "[core]\n\tpager = %s", trigger=("--paginate", "log")),
    Attack("alias", "[alias]\n\tstatus = !%s\n\tmine = !%s", trigger=("mine",)),
    Attack("editor", "[core]\n\teditor = %s\n[sequence]\n\teditor = %s", trigger=("commit", "--allow-empty")),
    Attack(
        "signing", "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = %s", trigger=("commit", "-qm", "x", "--allow-empty")
    ),
    Attack(
        "ssh signing",
        '[commit]\n\tgpgSign = true\n[gpg]\n\tformat = ssh\n[gpg "ssh"]\n\tprogram = %s\n[user]\n\tsigningKey = x',
        trigger=("commit", "-qm", "x", "--allow-empty"),
    ),
    Attack(
        "trailer", '[trailer "evil"]\n\tcmd = %s\n\tcommand = %s', trigger=("interpret-trailers", "--in-place", "a.txt")
    ),
    Attack("merge driver", '[merge "evil"]\n\tdriver = %s', "* merge=evil", ()),
    Attack("include", "[include]\n\tpath = evil.inc"),
    Attack("conditional include", '[includeIf "gitdir:**"]\n\tpath = evil.inc'),
    Attack("worktree configuration", "[extensions]\n\tworktreeConfig = true"),
    Attack(
        "promisor remote",
        "[core]\n\trepositoryformatversion = 1\n\tsshCommand = %s\n[extensions]\n\tpartialClone = evil\n"
        '[remote "evil"]\n\turl = ssh://evil.invalid/x\n\tpromisor = true',
        trigger=("show", "1" * 40),
    ),
    Attack(
        "ext transport",
        "[protocol]\n\tallow = always\n[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = evil\n"
        '[remote "evil"]\n\turl = ext::%s\n\tpromisor = true',
        trigger=("show", "1" * 40),
    ),
    Attack(
        "credential helper and askpass",
        "[credential]\n\thelper = !%s\n[core]\n\taskPass = %s\n\tgitProxy = %s\n\talternateRefsCommand = %s",
        trigger=(),
    ),
    Attack("upload pack", "[uploadpack]\n\tpackObjectsHook = %s\n[receive]\n\tprocReceiveRefs = x", trigger=()),
    Attack("interactive filter", "[interactive]\n\tdiffFilter = %s\n[pager]\n\tlog = %s\n\tdiff = %s", trigger=()),
]
EVERYTHING: list[tuple[str, dict[str, object]]] = [
    ("git_status", {}),
    ("git_diff_unstaged", {}),
    ("git_diff", {"target": "HEAD~1"}),
    ("git_diff", {"target": "1" * 40}),
    ("git_log", {"path": "a.txt"}),
    ("git_show", {"revision": "HEAD"}),
    ("git_show", {"revision": "HEAD:a.txt"}),
    ("git_branch", {"branch_type": "all", "contains": "HEAD"}),
    ("git_blame", {"path": "a.txt"}),
    ("git_grep", {"pattern": "o"}),
    ("git_add", {"files": ["."]}),
    ("git_diff_staged", {}),
    ("git_commit", {"message": "x"}),
    ("git_create_branch", {"branch_name": "made"}),
    ("git_checkout", {"branch_name": "old"}),
    ("git_reset", {}),
]


@pytest.fixture
def victim(repo: Repo) -> Repo:
    repo.write(".git/refs/heads/old", repo.git("rev-parse", "HEAD~1"))
    repo.write("a.txt", "one\ntwo\nthree\n")
    repo.write("new.txt")
    return repo


def arm(repo: Repo, attack: Attack) -> Path:
    """Plant the attack; gives the marker that its program leaves."""
    marker, program = repo.path.parent / "marker", repo.path.parent / "evil"
    script = f"#!/bin/sh\ntouch {marker}\n"
    hooks = repo.path.parent / "evil.d"
    hooks.mkdir()
    for place in (program, *(hooks / name for name in ("pre-commit", "post-checkout", "post-index-change"))):
        place.write_text(script)
        place.chmod(0o755)
    if attack.attributes:
        repo.write(".gitattributes", f"{attack.attributes}\n")
    with (repo.path / ".git" / "config").open("a") as file:
        file.write(attack.config.replace("%s", str(program)) + "\n")
    for name in ("evil.inc", "config.worktree"):
        repo.write(f".git/{name}", f"[core]\n\tfsmonitor = {program}\n")
    return marker


async def use_everything(client: Client) -> list[str]:
    """Call every tool and read a resource; gives all that was said."""
    said: list[str] = []
    for name, arguments in EVERYTHING:
        result = await client.call_tool(name, arguments)
        said.append(f"{name} {result}")
    return said


@pytest.fixture
def no_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without a fence of its own: what holds must hold without it."""
    monkeypatch.setattr(fencing, "supported", lambda: 0)


@in_both_eras
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.usefixtures("no_landlock")
@scene
async def test_a_hostile_configuration_runs_nothing(
    connect: Connect, forge: Forge, victim: Repo, attack: Attack, revision: str
) -> None:
    marker = arm(victim, attack)
    repositories = forge.serve(victim)
    async with connect(build(repositories), revision) as client:
        said = await use_everything(client)
    repositories.close()
    assert not marker.exists()
    assert "'new.txt'" in said[0], "an honest use is lost"
    assert not said[0].count("isError")


@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.trigger], ids=lambda attack: attack.name)
def test_git_itself_falls_for_the_attack(victim: Repo, attack: Attack) -> None:
    marker = arm(victim, attack)
    environment = {**victim.environment, "TERM": "xterm"}
    command = ["git", *attack.trigger]
    if attack.name == "pager":
        if shutil.which("script") is None:
            pytest.skip("nothing here makes a terminal")
        command = ["script", "--quiet", "--command", "git --paginate log", "/dev/null"]
    subprocess.run(
        command,
        cwd=victim.path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert marker.exists()


Plant = Callable[[Repo, Path], None]


def link_head(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "HEAD").unlink()
    (repo.path / ".git" / "HEAD").symlink_to(outside / "secret.txt")


def link_refs(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "refs" / "heads" / "evil").symlink_to(outside)


def link_index(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "index").rename(outside / "index")
    (repo.path / ".git" / "index").symlink_to(outside / "index")


def link_message(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "COMMIT_EDITMSG").unlink()
    (repo.path / ".git" / "COMMIT_EDITMSG").symlink_to(outside / "secret.txt")


def link_logs(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "logs" / "HEAD").unlink()
    (repo.path / ".git" / "logs" / "HEAD").symlink_to(outside / "secret.txt")


def link_exclude(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "info" / "exclude").unlink(missing_ok=True)
    (repo.path / ".git" / "info" / "exclude").symlink_to(outside / "secret.txt")


def link_objects(repo: Repo, outside: Path) -> None:
    (repo.path / ".git" / "objects").rename(outside / "objects")
    (repo.path / ".git" / "objects").symlink_to(outside / "objects")


def point_elsewhere(repo: Repo, outside: Path) -> None:
    (repo.path / ".git").rename(outside / "git")
    (repo.path / ".git").write_text(f"gitdir: {outside / 'git'}\n")


def borrow_objects(repo: Repo, outside: Path) -> None:
    repo.write(".git/objects/info/alternates", f"{outside / 'repo' / '.git' / 'objects'}\n")


def common_elsewhere(repo: Repo, outside: Path) -> None:
    repo.write(".git/commondir", f"{outside / 'repo' / '.git'}\n")


def traverse_head(repo: Repo, outside: Path) -> None:
    (outside / "hash").write_text("c" * 40 + "\n")
    (repo.path / ".git" / "HEAD").write_text("ref: refs/heads/../../../../outside/hash\n")


REFUSED = [
    traverse_head,
    link_head,
    link_refs,
    link_index,
    link_message,
    link_logs,
    link_exclude,
    link_objects,
    point_elsewhere,
    borrow_objects,
    common_elsewhere,
]


@pytest.fixture
def outside(forge: Forge) -> Path:
    """A place with a secret, and another repository with one."""
    other = forge.make("outside/repo")
    other.commit("hidden", secret_txt=f"{CANARY}\n")
    (forge.folder / "outside" / "secret.txt").write_text(f"{CANARY}\n")
    return forge.folder / "outside"


@in_both_eras
@pytest.mark.parametrize("plant", REFUSED, ids=lambda plant: plant.__name__)
@pytest.mark.usefixtures("no_landlock")
@scene
async def test_a_git_directory_that_leads_out_is_refused(
    connect: Connect, forge: Forge, victim: Repo, outside: Path, plant: Plant, revision: str
) -> None:
    plant(victim, outside)
    before = (outside / "secret.txt").read_bytes()
    repositories = forge.serve(victim)
    async with connect(build(repositories), revision) as client:
        said = await use_everything(client)
    repositories.close()
    assert CANARY not in "".join(said)
    assert "c" * 40 not in "".join(said)
    assert all("isError" in each for each in said if each.startswith(("git_status", "git_log", "git_commit")))
    assert (outside / "secret.txt").read_bytes() == before


@in_both_eras
@pytest.mark.usefixtures("no_landlock")
@scene
async def test_a_hostile_submodule_and_a_nested_repository_run_nothing(
    connect: Connect, forge: Forge, victim: Repo, outside: Path, revision: str
) -> None:
    victim.git("submodule", "--quiet", "add", str(outside / "repo"), "sub")
    victim.write(".gitmodules", '[submodule "sub"]\n\tpath = sub\n\turl = x\n\tignore = none\n')
    victim.commit("with a submodule")
    nested = forge.make("repo/nested")
    nested.commit("inner", x_txt="1")
    marker = arm(victim, Attack("none", ""))
    evil = f"[core]\n\tfsmonitor = {victim.path.parent / 'evil'}\n"
    for config in (victim.path / ".git" / "modules" / "sub" / "config", nested.path / ".git" / "config"):
        with config.open("a") as file:
            file.write(evil)
    victim.write("sub/changed.txt", "x")
    victim.write("new.txt", "changed")
    repositories = forge.serve(victim)
    async with connect(build(repositories), revision) as client:
        said = await use_everything(client)
    repositories.close()
    assert not marker.exists()
    assert "Submodules are not looked into" in said[0]
    assert not [each for each in said if "isError" in each and not each.startswith("git_diff {")], said
    await asyncio.to_thread(victim.git, "checkout", "--quiet", "--force", "main")
    await asyncio.to_thread(victim.git, "status")
    assert marker.exists(), "git itself would not have run it"


@in_both_eras
@pytest.mark.usefixtures("no_landlock")
@scene
async def test_a_directory_that_became_a_link_shows_nothing_from_outside(
    connect: Connect, forge: Forge, victim: Repo, outside: Path, revision: str
) -> None:
    victim.write("d/secret.txt", "harmless\n")
    victim.commit("with a directory")
    (victim.path / "d" / "secret.txt").unlink()
    (victim.path / "d").rmdir()
    (victim.path / "d").symlink_to(outside)
    repositories = forge.serve(victim)
    calls: list[tuple[str, dict[str, object]]] = [
        ("git_grep", {"pattern": "."}),
        ("git_blame", {"path": "d/secret.txt"}),
        ("git_diff_unstaged", {}),
        ("git_add", {"files": ["d/secret.txt"]}),
        ("git_diff_staged", {}),
    ]
    async with connect(build(repositories), revision) as client:
        said = [str(await client.call_tool(name, arguments)) for name, arguments in calls]
    repositories.close()
    assert CANARY not in "".join(said)
    assert "three" in said[0]


@pytest.mark.parametrize(
    "path",
    ["..", "../outside", "/", "/etc", "../outside/repo", "link", "../no/such/place", "a\0b", ""],
)
def test_a_path_outside_is_refused_alike_whether_it_is_there(
    forge: Forge, victim: Repo, outside: Path, path: str
) -> None:
    (victim.path / "link").symlink_to(outside / "repo")
    repositories = forge.serve(victim)
    with pytest.raises(Refusal, match="llowed"):
        repositories.find(path, repositories.ceiling)


def test_the_environment_of_the_server_does_not_reach_git(forge: Forge, victim: Repo, outside: Path) -> None:
    hostile = {
        "GIT_DIR": str(outside / "repo" / ".git"),
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": "false",
        "LD_PRELOAD": "evil.so",
    }
    repositories = forge.serve(victim)
    repositories = type(repositories)([victim.path], environment={**forge.environment, **hostile})
    runner, _ = repositories.find(None, repositories.ceiling).ready()
    assert runner.environment["GIT_DIR"] == str(victim.path / ".git")
    assert not {"GIT_EXTERNAL_DIFF", "GIT_CONFIG_COUNT", "LD_PRELOAD"} & set(runner.environment)
    assert os.environ["PATH"] != runner.environment["PATH"]
    repositories.close()
