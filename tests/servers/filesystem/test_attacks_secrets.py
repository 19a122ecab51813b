"""Secrets, and what git would run, by every route: directly, through links, by other names, by roots, by what moves."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.servers.filesystem.conftest import CANARY
from tests.servers.filesystem.siege import CALLS, FRONTS, LISTERS, READERS, Siege, besiege, in_turn, look
from tests.stage import Json, scene

from mcp_server_filesystem.denial import Denial, runs_programs
from mcp_server_filesystem.sandbox import Directory, Policy

SECRETS = [
    ".env",
    ".ENV",
    ".env~",
    "deep/er/.env.local",
    "id_rsa",
    "server.PEM",
    ".ssh/config",
    ".aws/credentials",
    ".config/gcloud/creds.db",
    ".docker/config.json",
    "state.tfstate",
]


QUICK = ("read_text_file", "read_media_file", "get_file_info", "write_file", "edit_file", "move_file from")
"""One of each kind, for routes that differ only in how they are resolved."""


@pytest.fixture
def siege(served: Path) -> Generator[Siege]:
    with besiege(served) as siege:
        yield siege


def hide(siege: Siege, name: str) -> Path:
    """Put a secret into the served directory, with links to it in all their forms."""
    secret = siege.served / name
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text(CANARY)
    (siege.served / "notes.txt").symlink_to(name)
    (siege.served / "chain.txt").symlink_to("notes.txt")
    (siege.served / "whole.txt").symlink_to(secret)
    (siege.served / "inner" / "up").symlink_to("..")
    (siege.served / "folder").symlink_to(secret.parent)
    return secret


def routes(siege: Siege, name: str) -> list[str]:
    last = name.rpartition("/")[2]
    return [
        name,
        f"./inner/..//{name}",
        f"{siege.served}/{name}",
        f"inner/up/{name}",
        f"inner/up/inner/up/{name}",
        f"folder/{last}",
        "notes.txt",
        "chain.txt",
        "whole.txt",
        "inner/up/notes.txt",
    ]


@pytest.mark.parametrize("name", SECRETS)
@in_turn
@scene
async def test_a_secret_is_not_had_by_any_route(siege: Siege, revision: str, by_walking: bool, name: str) -> None:
    secret = hide(siege, name)
    (siege.served / "open.txt").write_text("an honest canary")
    before = look(siege.served)
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for number, path in enumerate(routes(siege, name)):
            for tool, arguments in CALLS.items():
                if number and tool not in QUICK:
                    continue
                if tool == "move_file from" and (siege.served / path).is_symlink():
                    continue  # the link is no secret
                fine, said = await attacker.call(tool, **arguments(path))
                assert not fine or (tool == "get_file_info" and "etag" not in said), (tool, said)
            fine, _ = await attacker.ask("resources/read", uri=f"file://{siege.served}/{path.lstrip('/')}")
            assert not fine
        for tool, arguments in (READERS | LISTERS).items():
            if tool.startswith(("list_", "directory_", "search_")):
                fine, said = await attacker.call(tool, **arguments("."))
                assert fine
                assert ("honest canary" in said) == tool.startswith("search_file_contents")
        assert name not in str(await attacker.complete(f"{secret.parent}/"))
    assert look(siege.served) == before


@in_turn
@scene
async def test_nothing_is_renamed_so_that_it_is_a_secret_no_more(siege: Siege, revision: str, by_walking: bool) -> None:
    hide(siege, ".config/gcloud/creds.db")
    hide_too = siege.served / ".ssh"
    hide_too.mkdir()
    (hide_too / "id").write_text(CANARY)
    (siege.served / "conf").symlink_to(".config")
    moves = [
        (".config/gcloud", "gcloud"),
        (".config", "config"),
        ("conf/gcloud", "gcloud"),
        (".config/gcloud/creds.db", "x"),
        ("folder/creds.db", "x"),
        (".ssh", "ssh"),
        (".ssh/id", "id"),
        ("a.txt", ".ssh/id"),
        ("a.txt", ".ssh/new"),
        ("inner", ".ssh/inner"),
        ("a.txt", ".env"),
    ]
    before = look(siege.served)
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for source, destination in moves:
            fine, said = await attacker.call("move_file", source=source, destination=destination)
            assert not fine, said
        assert look(siege.served) == before
        for source, destination in ((".config", "inner/.config"), ("inner", "outer")):
            assert (await attacker.call("move_file", source=source, destination=destination))[0]
        assert not (await attacker.call("read_text_file", path="outer/.config/gcloud/creds.db"))[0]


@in_turn
@scene
async def test_a_root_inside_does_not_lift_a_denial(siege: Siege, revision: str, by_walking: bool) -> None:
    hide(siege, ".config/gcloud/creds.db")
    inside = {".config/gcloud": "creds.db", ".config": "gcloud/creds.db", "folder": "creds.db", "inner": "up/folder"}
    for name, relative in inside.items():
        root = siege.served / name
        policy = Policy(by_walking=by_walking)
        async with siege.attack(revision, policy=policy, roots=[root.as_uri()]) as attacker:
            for path in (relative, str(siege.served / ".config/gcloud/creds.db")):
                for tool in ("read_text_file", "read_media_file", "write_file", "edit_file", "search_file_contents"):
                    fine, said = await attacker.call(tool, **CALLS[tool](path))
                    assert not fine, said


@in_turn
@scene
async def test_a_directory_inside_another_does_not_lift_a_denial_of_a_name(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    hide(siege, "inner/.env")
    folders = [Directory(siege.served), Directory(siege.served / "inner")]
    async with siege.attack(revision, *folders, policy=Policy(by_walking=by_walking)) as attacker:
        for path in ("inner/.env", f"{siege.served}/inner/.env", "notes.txt"):
            for tool in READERS.keys() - {"get_file_info"}:
                assert not (await attacker.call(tool, **READERS[tool](path)))[0]
        assert (await attacker.call("read_text_file", path="inner/b.txt"))[0]


@pytest.mark.parametrize(
    "path",
    [
        *(
            ".\u017fsh/id",
            ".SSH/id",
            "x/.\u017f\u017fh",
            "ID_R\u017fA",
            "x.\u212aey",
            ".enV",
            ".config/GCLOUD/x",
            "S.PFX",
        ),
        *(".e\u200cnv", "\ufeff.env", ".s\u00adsh/id", ".config/g\u2060cloud/x", "x.\u200dpem", "a.tf\ufb06ate"),
    ],
)
def test_a_name_that_a_file_system_without_case_takes_for_a_secret_s_is_one(path: str) -> None:
    assert Denial().denies(path)


@pytest.mark.parametrize("glob", ["Schlu\u0308ssel*", "Schl\u00fcssel*", "a/SCHL\u00dcSSEL"])
def test_an_accent_that_is_written_apart_does_not_lift_a_denial(glob: str) -> None:
    for name in ("schl\u00fcssel", "SCHLU\u0308SSEL"):
        assert Denial([glob]).denies(f"a/{name}")
        assert not Denial([glob]).denies("a/schlussel")


@pytest.mark.parametrize("path", [".g\u200cit/config", ".GIT/h\u200dooks/x", ".git\ufeff/config.", "a/.\u202agit"])
def test_a_name_that_a_file_system_takes_for_git_s_is_not_written(path: str) -> None:
    assert runs_programs(path)


EVIL = '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = "touch {mark}; false"\n\thooksPath = {evil}\n'
write = "write_file"


def call(tool: str, **arguments: object) -> tuple[str, Json]:
    return tool, arguments


# Each plants configuration or a hook; CONFIG is the text of a configuration that runs a program.
PLANTS: dict[str, list[tuple[str, Json]]] = {
    "the configuration": [call(write, path=".git/config", content="CONFIG")],
    "appended": [call(write, path=".git/config", content="CONFIG", mode="append")],
    "edited": [call("edit_file", path=".git/config", edits=[{"oldText": "[core]", "newText": "CONFIG"}])],
    "through a link to it": [call(write, path="cfg", content="CONFIG")],
    "through a link to the directory": [call(write, path="g/config", content="CONFIG")],
    "by dots": [call(write, path=".git/info/../config", content="CONFIG")],
    "a hook": [call(write, path=".git/hooks/pre-commit", content="#!/bin/sh\ntouch MARK")],
    "a hook through a link": [call(write, path="g/hooks/pre-commit", content="#!/bin/sh\ntouch MARK")],
    "a hook by moving": [call("move_file", source="evil/pre-commit", destination=".git/hooks/post-commit")],
    "hooks by moving": [
        call("move_file", source=".git/hooks", destination="old"),
        call("move_file", source="evil", destination=".git/hooks"),
    ],
    "configuration by moving": [
        call("move_file", source=".git/config", destination="old"),
        call("move_file", source="evil/config", destination=".git/config"),
    ],
    "the repository there and back": [
        call("move_file", source=".git", destination="plain"),
        call(write, path="plain/config", content="CONFIG"),
        call("move_file", source="plain", destination=".git"),
    ],
    "a common directory": [call(write, path=".git/commondir", content="../meta\n")],
    "a common directory by moving": [
        call(write, path="inner/c", content="../meta\n"),
        call("move_file", source="inner/c", destination=".git/commondir"),
    ],
    "a file that names a repository": [call(write, path="inner/.git", content="gitdir: ../meta\n")],
    "such a file by moving": [
        call(write, path="inner/x", content="gitdir: ../meta\n"),
        call("move_file", source="inner/x", destination="inner/.git"),
    ],
    "such a file of a submodule": [call(write, path="sub/.git", content="gitdir: ../meta\n")],
    "such a file of a submodule, edited": [
        call("edit_file", path="sub/.git", edits=[{"oldText": "gitdir: ", "newText": "gitdir: ../meta\n"}])
    ],
    "a link that names a repository": [call("move_file", source="to-meta", destination="inner/.git")],
    "a whole repository": [call("move_file", source="meta", destination="inner/.git")],
    "a submodule's configuration": [call(write, path=".git/modules/m/config", content="CONFIG")],
    "a submodule there and back": [
        call("move_file", source=".git/modules/m", destination="m"),
        call(write, path="m/config", content="CONFIG"),
        call("move_file", source="m", destination=".git/modules/m"),
    ],
    "a submodule replaced": [
        call("move_file", source=".git/modules/m", destination="m"),
        call("move_file", source="meta", destination=".git/modules/m"),
    ],
    "a submodule replaced by a link": [
        call("move_file", source=".git/modules/m", destination="m"),
        call("move_file", source="to-meta", destination=".git/modules/m"),
    ],
    "all submodules there and back": [
        call("move_file", source=".git/modules", destination="all"),
        call(write, path="all/m/config", content="CONFIG"),
        call("move_file", source="all", destination=".git/modules"),
    ],
    "a repository made by hand": [
        call("create_directory", path="inner/.git"),
        call(write, path="inner/.git/HEAD", content="ref: refs/heads/main\n"),
        call("create_directory", path="inner/.git/objects"),
        call("create_directory", path="inner/.git/refs"),
        call(write, path="inner/.git/config", content="CONFIG"),
    ],
    "a worktree's configuration": [call(write, path=".git/config.worktree", content="CONFIG")],
}


def git(folder: Path, *words: str) -> None:
    settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": os.environ["PATH"]}
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=folder, env=settings, capture_output=True, timeout=10, check=False)


@pytest.fixture
def repository(siege: Siege, template: Path) -> Path:
    """A repository with a submodule, beside the parts that an attack needs."""
    shutil.copytree(template, siege.served, dirs_exist_ok=True, symlinks=True)
    mark = siege.top / "mark"
    for place in ("meta/config", "evil/config"):
        (siege.served / place).write_text(EVIL.format(mark=mark, evil=siege.served / "evil"))
    hook = siege.served / "evil" / "pre-commit"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    return siege.served


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not on the path")
    top = tmp_path_factory.mktemp("template")
    git(top, "init", "--template=")
    (top / ".git" / "modules").mkdir()
    (top / ".git" / "info").mkdir()
    git(top, "init", "--template=", "--separate-git-dir=.git/modules/m", "sub")
    (top / "sub" / ".git").write_text("gitdir: ../.git/modules/m\n")
    (top / ".git" / "hooks").mkdir(exist_ok=True)
    (top / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\n")
    (top / ".git" / "hooks" / "pre-commit").chmod(0o755)
    git(top, "init", "--template=", "--bare", "meta")
    (top / "evil").mkdir()
    (top / "inner").mkdir()
    for name, target in {"cfg": ".git/config", "g": ".git", "to-meta": "meta"}.items():
        (top / name).symlink_to(target)
    return top


def use(repository: Path) -> None:
    """What a user does next, in the repository and in those inside it."""
    git(repository, "commit", "--allow-empty", "-m", "x")
    for folder in (repository, repository / "sub", repository / "inner"):
        git(folder, "status")


def aim(tool: str, arguments: Json, config: str, mark: str) -> Json:
    """Put the real configuration and the mark into a call."""
    given: Json = {
        name: each.replace("CONFIG", config).replace("MARK", mark) if isinstance(each, str) else each
        for name, each in arguments.items()
    }
    if tool == "edit_file":
        given["edits"] = [{**edit, "newText": edit["newText"].replace("CONFIG", config)} for edit in given["edits"]]
    return given


@pytest.mark.parametrize("plant", PLANTS)
@scene
async def test_git_runs_nothing_that_was_planted(siege: Siege, repository: Path, plant: str) -> None:
    config, mark = (repository / "evil" / "config").read_text(), str(siege.top / "mark")
    for revision, by_walking in FRONTS:
        async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
            outcomes = [
                (await attacker.call(tool, **aim(tool, arguments, config, mark)))[0]
                for tool, arguments in PLANTS[plant]
            ]
            assert not all(outcomes), "it was planted"
            assert (await attacker.call("write_file", path="sub/x.txt", content="x"))[0]
            assert (await attacker.call("write_file", path=".git/info/exclude", content="*.log\n"))[0]
            assert (await attacker.call("read_text_file", path=".git/config"))[0]
    use(repository)


@pytest.mark.parametrize("place", [".git/config", ".git/modules/m/config"])
def test_what_was_planted_by_hand_is_run(siege: Siege, repository: Path, place: str) -> None:
    """So that the absence of the mark proves something."""
    shutil.copy(repository / "evil" / "config", repository / place)
    use(repository)
    assert (siege.top / "mark").exists()
    (siege.top / "mark").unlink()
