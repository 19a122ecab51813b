"""Arguments that would be options, other places, other revisions or other commands, where they are taken for what
they are not. The incidents that are publicly known have their names here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.servers.git.ambush import CANARY, Call, Ground, failed, tour, use
from tests.servers.git.forge import Repo
from tests.stage import Connect, in_both_eras, scene, text_of

from mcp_kernel import Client
from mcp_kernel.client import Reach
from mcp_kernel.testing.memory import Refused

SLOTS: list[tuple[str, str, dict[str, object]]] = [
    ("git_diff", "target", {}),
    ("git_show", "revision", {}),
    ("git_checkout", "branch_name", {}),
    ("git_create_branch", "branch_name", {}),
    ("git_create_branch", "base_branch", {"branch_name": "made"}),
    ("git_branch", "contains", {"branch_type": "all"}),
    ("git_branch", "not_contains", {"branch_type": "all"}),
    ("git_grep", "revision", {"pattern": "o"}),
    ("git_log", "start_timestamp", {}),
    ("git_log", "end_timestamp", {}),
    ("git_log", "cursor", {}),
    ("git_blame", "path", {}),
    ("git_log", "path", {}),
    ("git_log", "author", {}),
    ("git_grep", "pattern", {}),
    ("git_add", "files", {}),
]
FREE = ("path", "author", "pattern", "files")
"""Where any text means something: a name of a file, a part of a name, an expression."""
OPTIONS = [
    "--output={mark}",
    "--outp={mark}",
    "-o{mark}",
    "-O{program}",
    "--open-files-in-pager={program}",
    "--ext-diff",
    "--no-index",
    "--upload-pack={program}",
    "--upload-pa={program}",
    "-u{program}",
    "--exec={program}",
    "--contents={secret}",
    "--file={secret}",
    "--pathspec-from-file={secret}",
    "-c",
    "--",
]
ODD = [
    "ext::sh -c touch% {mark}",
    "../../../outside/hash",
    "HEAD:../../outside/secret.txt",
    "HEAD\n--output={mark}",
    "$(touch {mark})",
    "`touch {mark}`",
    "; touch {mark}",
    "x | touch {mark}",
    "{secret}",
    "../outside/secret.txt",
    "refs/heads/../../../outside/hash",
    "@{{-1}}",
    "@{{upstream}}",
    ":/hidden",
    ":(top,glob)**",
    ":!a.txt",
    "HEAD:{secret}",
    "{other}",
    "HEAD..--output={mark}",
    "--output={mark}..HEAD",
    "a\0b",
    "\ud800",
    "\u2028" + "1" * 40 + " commit 1\u2028",
    "x" * 5_000,
    "%s%n%x00",
    "",
]


def slowly(texts: list[str]) -> list[ParameterSet]:
    return [pytest.param(each, marks=pytest.mark.slow) for each in texts]


def fill(ground: Ground, text: str) -> str:
    return text.format(
        mark=ground.marks / "mark",
        program=ground.program("program"),
        secret=ground.outside / "secret.txt",
        other=ground.outside / "repo",
    )


def calls_with(text: str) -> list[tuple[str, Call]]:
    """One call for every slot, with the name of the slot."""
    made: list[tuple[str, Call]] = []
    for tool, slot, more in SLOTS:
        value: object = [text] if slot == "files" else text
        made.append((slot, (tool, {**more, slot: value})))
    return made


@in_both_eras
@pytest.mark.parametrize("text", [*OPTIONS[:6], *slowly(OPTIONS[6:])])
@scene
async def test_an_option_is_no_argument(connect: Connect, ground: Ground, text: str, revision: str) -> None:
    text = fill(ground, text)
    calls = calls_with(text)
    async with ground.visit(connect, revision) as client:
        said = await use(client, [each for _, each in calls])
        fine = await use(client, [("git_status", {})])
    ground.check([*said, *fine])
    passed = [slot for (slot, _), answer in zip(calls, said, strict=True) if not failed([answer])]
    assert set(passed) <= set(FREE)
    assert failed(fine) == []
    assert not (ground.repo.path / "--output").exists()


@in_both_eras
@pytest.mark.parametrize("text", [*ODD[:4], *slowly(ODD[4:])])
@scene
async def test_an_odd_argument_reaches_nothing(connect: Connect, ground: Ground, text: str, revision: str) -> None:
    calls = [each for _, each in calls_with(fill(ground, text))]
    calls += [("git_status", {"repo_path": fill(ground, text)})]
    async with ground.visit(connect, revision) as client:
        said = await use(client, calls)
        for uri in (f"git://repo/HEAD/{text}", f"git://repo/{text}/a.txt", f"git://{text}/HEAD/a.txt"):
            try:
                said.append(str(await client.call("resources/read", {"uri": fill(ground, uri)})))
            except Refused as refusal:
                said.append(str(refusal))
        fine = await use(client, [("git_diff", {"target": "main"}), ("git_add", {"files": ["new.txt"]})])
    ground.check([*said, *fine])
    assert failed(fine) == []


@in_both_eras
@scene
async def test_every_name_that_a_file_can_have_is_a_name(connect: Connect, ground: Ground, revision: str) -> None:
    names = ["--output=x", "-c", ":(top)a", ":!a.txt", "a\nb", "a b ", "*.txt", "$(touch x)", "\u2028", "ä", "@{-1}"]
    names += ["HEAD", "old"]
    for name in names:
        ground.repo.write(name, f"{name!r}\n")
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_add", {"files": [name]}) for name in names])
        said += await use(client, [("git_commit", {"message": "--amend\n\n-F/etc/passwd\n"})])
        said += await use(client, [("git_blame", {"path": name}) for name in names])
        said += await use(client, [("git_log", {"path": name}) for name in names])
        said += await use(client, [("git_show", {"revision": f"HEAD:{name}"}) for name in names if "\n" not in name])
    ground.check(said)
    assert failed(said) == []
    stored = ground.repo.git("ls-tree", "-r", "-z", "--name-only", "HEAD").decode().split("\0")
    assert set(stored) == {*names, "a.txt", "b.txt", ""}
    assert ground.repo.say("log", "-1", "--format=%B", "main", "--") == "--amend\n\n-F/etc/passwd"
    assert ground.repo.say("rev-list", "--count", "HEAD", "--") == "3"


@in_both_eras
@scene
async def test_a_name_cannot_be_the_answer_about_itself(connect: Connect, ground: Ground, revision: str) -> None:
    tree = ground.repo.say("rev-parse", "HEAD^{tree}")
    names = [f"{tree} commit 12\u2028", f"x\u2028{tree} commit 12"]
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_diff", {"target": name}) for name in names])
        fine = await use(client, [("git_create_branch", {"branch_name": "a\u2028b"})])
        fine += await use(client, [("git_branch", {"branch_type": "all", "contains": "HEAD"}) for _ in "12"])
        fine += await use(client, [("git_checkout", {"branch_name": "a\u2028b"})])
    assert failed(said) == said
    assert failed(fine) == []
    ground.repo.git("pack-refs", "--all")
    async with ground.visit(connect, revision) as client:
        listed = text_of(await client.call_tool("git_branch", {"branch_type": "local"}))
    assert listed.split("\n") == ["* a\u2028b", "  main", "  old"]


# --- what is publicly known ---

KNOWN = {
    "CVE-2022-24439": ["ext::sh -c touch% MARK"],
    "CVE-2023-40267": ["--upload-pack=PROGRAM", "--receive-pack=PROGRAM", "--config=core.fsmonitor=PROGRAM"],
    "CVE-2026-42215 GHSA-rpm5-65cw-6hj4": ["--upload_pack=PROGRAM", "--Output=MARK", "- -output=MARK"],
    "GHSA-2f96-g7mh-g2hx": ["--upload-p=PROGRAM", "--outpu=MARK", "--ou=MARK", "--exe=PROGRAM"],
    "GHSA-r9mr-m37c-5fr3": ["-uPROGRAM", "-oMARK", "-cfoo=PROGRAM", "-OPROGRAM"],
    "GHSA-fjr4-x663-mwxc": ["--output=MARK", "--output", "HEAD --output=MARK"],
    "GHSA-v87r-6q3f-2j67": ["x\n[core]\n\tfsmonitor = PROGRAM", "x\r[core]", 'x"]\n'],
    "GHSA-7545-fcxq-7j24": ["../../../outside/hash", "refs/../../../outside/hash", "heads/../../x"],
    "GHSA-x2qx-6953-8485": ["main --upload-pack=PROGRAM", "main\t-uPROGRAM", "'--exec' 'PROGRAM'"],
    "GHSA-956x-8gvw-wg5v": ["--remote=ext::PROGRAM", "--exec=PROGRAM", "--output=MARK"],
    "GHSA-3f7w-8rr8-f37f": ["--prefix=../outside/", "--temp", "--stdin"],
}


@in_both_eras
@scene
async def test_cve_2025_68143_no_repository_is_made_anywhere(connect: Connect, ground: Ground, revision: str) -> None:
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_init", {"repo_path": str(ground.outside / "made")})])
        names = [tool["name"] for tool in await client.list_all("tools/list", "tools")]
    assert failed(said) == said
    assert "git_init" not in names
    assert "git_status" in names


@in_both_eras
@scene
async def test_cve_2025_68144_a_target_is_no_option(connect: Connect, ground: Ground, revision: str) -> None:
    evil = f"--output={ground.marks / 'mark'}"
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_diff", {"target": evil}), ("git_checkout", {"branch_name": evil})])
        fine = await use(client, [("git_diff", {"target": "old"}), ("git_create_branch", {"branch_name": "output"})])
    ground.check(said)
    assert failed(said) == said
    assert failed(fine) == []


@in_both_eras
@pytest.mark.parametrize(
    "path", ["OUTSIDE", "../outside/repo", "../repo/../outside/repo", "link", "/", "../outside/none"]
)
@scene
async def test_cve_2025_68145_a_repository_is_an_allowed_one(
    connect: Connect, ground: Ground, path: str, revision: str
) -> None:
    (ground.repo.path / "link").symlink_to(ground.outside / "repo")
    text = path.replace("OUTSIDE", str(ground.outside / "repo"))
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_log", {"repo_path": text}), ("git_status", {"repo_path": text})])
        fine = await use(client, [("git_log", {"repo_path": str(ground.repo.path)})])
    ground.check(said)
    assert failed(said) == said
    assert "hidden" not in "".join(said)
    assert failed(fine) == []


@in_both_eras
@pytest.mark.parametrize(
    "file", ["../outside/secret.txt", "OUTSIDE", "a/../../outside/secret.txt", "link/secret.txt", ".git/config"]
)
@scene
async def test_cve_2026_27735_nothing_outside_is_staged(
    connect: Connect, ground: Ground, file: str, revision: str
) -> None:
    (ground.repo.path / "link").symlink_to(ground.outside)
    text = file.replace("OUTSIDE", str(ground.outside / "secret.txt"))
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_add", {"files": ["new.txt", text]}), ("git_diff_staged", {})])
        fine = await use(client, [("git_add", {"files": [str(ground.repo.path / "new.txt")]})])
    ground.check(said)
    assert failed(said) == said[:1]
    assert "new.txt" not in said[1], "a part of it was staged"
    assert failed(fine) == []


@in_both_eras
@pytest.mark.parametrize("known", KNOWN)
@scene
async def test_what_broke_gitpython_breaks_nothing(connect: Connect, ground: Ground, known: str, revision: str) -> None:
    program, mark = str(ground.program("program")), str(ground.marks / "mark")
    head = (ground.git / "config").read_bytes()
    said: list[str] = []
    async with ground.visit(connect, revision) as client:
        for name in KNOWN[known]:
            text = name.replace("PROGRAM", program).replace("MARK", mark)
            said += await use(client, [(tool, {slot: text}) for tool, slot, _ in SLOTS[:4]])
        fine = await use(client, [("git_create_branch", {"branch_name": "feature/x-1"}), ("git_status", {})])
    ground.check([*said, *fine])
    assert failed(said) == said
    assert failed(fine) == []
    assert (ground.git / "config").read_bytes() == head
    assert sorted(each.name for each in (ground.git / "refs" / "heads").iterdir()) == ["feature", "main", "old"]


@in_both_eras
@pytest.mark.parametrize("name", ["refs/heads/evil", "packed-refs", "HEAD"])
@scene
async def test_cve_2023_41040_a_ref_leads_to_no_file_outside(
    connect: Connect, ground: Ground, name: str, revision: str
) -> None:
    line = "ref: refs/heads/../../../outside/hash\n"
    if name == "packed-refs":
        line = f"{ground.repo.say('rev-parse', 'HEAD')} refs/heads/../../../outside/hash\n"
    ground.repo.write(f".git/{name}", line)
    names = ("evil", "../../../outside/hash", "refs/heads/../../../outside/hash", "heads/../../../outside/hash")
    async with ground.visit(connect, revision) as client:
        said = await use(client, [("git_show", {"revision": each}) for each in names])
        said += await use(client, [("git_branch", {"branch_type": "all"}), ("git_checkout", {"branch_name": names[1]})])
    ground.check(said)
    assert len(failed(said)) >= 5


@in_both_eras
@pytest.mark.parametrize("name", ["x\n[core]\n\tfsmonitor = PROGRAM", 'x"y', 'x"]\n[core]\n\tfsmonitor = PROGRAM'])
@scene
async def test_ghsa_v87r_no_value_writes_a_line_of_configuration(
    connect: Connect, ground: Ground, name: str, revision: str
) -> None:
    evil = name.replace("PROGRAM", str(ground.program("program")))
    quoted = evil.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    ground.configure(f'[user]\n\tname = "{quoted}"\n[branch "{quoted}"]\n\tremote = .\n\tmerge = "{quoted}"')
    ground.configure(f'[branch "main"]\n\tremote = "{quoted}"\n\tmerge = "{quoted}"')
    ground.configure(f'[remote "origin"]\n\tfetch = "{quoted}"')
    ground.forge.environment["GIT_COMMITTER_NAME"] = evil
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
    ground.check(said)
    assert failed(said) == []


@in_both_eras
@pytest.mark.parametrize("path", [".:{path}", ":{path}", "{here}:."], ids=["dot", "empty", "git is the first there"])
@scene
async def test_cve_2023_40590_and_cve_2024_22190_no_program_of_the_work_tree_is_run(
    ground: Ground, revision: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("git", "git.exe", "git.cmd", "sh", "bash", "bash.exe", "cat", "false", "less", "ssh"):
        ground.program(name, ground.repo.path)
    here = f"{_find_git().parent}:{os.environ['PATH']}"
    said = await serve_and_ask(ground.repo, path.format(path=os.environ["PATH"], here=here), revision)
    assert "two" in said
    assert sorted(each.name for each in ground.marks.iterdir()) == []


def _find_git() -> Path:
    """The program itself, whatever links lead to it."""
    found = [Path(each, "git") for each in os.environ["PATH"].split(":") if os.access(f"{each}/git", os.X_OK)]
    return found[0].resolve()


async def serve_and_ask(repo: Repo, path: str, revision: str) -> str:
    """Start the server in the work tree, as a host does, and read a file of HEAD."""
    command = [sys.executable, "-m", "mcp_server_git", "--repository", "."]
    reach = Reach(env={**repo.environment, "PATH": path}, cwd=repo.path)
    async with Client(command, revision=revision, reach=reach) as client:
        return (await client.call_tool("git_show", {"revision": "HEAD:a.txt"})).text


def test_the_canary_is_worth_something(ground: Ground) -> None:
    assert CANARY in (ground.outside / "secret.txt").read_text()
    ground.remember()
    ground.program("program").chmod(0o755)
    subprocess.run([str(ground.forge.folder / "programs" / "program")], check=True, timeout=10)
    with pytest.raises(AssertionError):
        ground.check([])
