"""The git server beside PyPI's `mcp-server-git`, on a generated repository of several thousand commits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic_core import to_json

from .installing import install_python
from .rows import Aim
from .trials import PEER, Contest, Program, Trial, same

PACKAGE: Final = "mcp-server-git"
VERSION: Final = "2026.10.19"
COMMITS: Final = 5_000
QUICK_COMMITS: Final = 500
FILES: Final = 400
PROCESS: Final = (Aim(1.25, PEER),)
"""Status and diff are mostly git's own process, which the peer starts too."""


@contextmanager
def prepare(work: Path, *, quick: bool) -> Generator[Contest]:
    """Make the repository."""
    folder = (work / "repository").resolve()
    folder.mkdir()
    commits = QUICK_COMMITS if quick else COMMITS
    make_repository(folder, commits)
    ours = [sys.executable, "-m", "mcp_server_git", "--max-output-bytes", "0", "--repository", str(folder)]
    about = (
        f"A generated repository of {commits:,} commits, `mcp-server-git` beside PyPI's of the same name, {VERSION}. "
        "Floor: the process of the `git` binary and its text as JSON."
    )
    yield Contest("Repositories", about, Program(ours), {PEER: lambda: find_peer(folder)}, list_trials(folder, commits))


def find_peer(folder: Path) -> Program:
    """PyPI's."""
    scripts = install_python(f"{PACKAGE}-{VERSION}", [f"{PACKAGE}=={VERSION}"])
    return Program([str(scripts / PACKAGE), "--repository", str(folder)])


def write_history(commits: int) -> Iterator[bytes]:
    """A stream for `git fast-import`: each commit changes three of the files."""
    for number in range(commits):
        yield b"commit refs/heads/main\ncommitter A U Thor <a@example.org> %d +0000\n" % (1_600_000_000 + number * 600)
        yield _data(b"Change number %d\n\nWith a body.\n" % number)
        for index in {number % FILES, number * 7 % FILES, number * 13 % FILES}:
            lines = b"".join(b"line %d of %d\n" % (line, number if line % 9 == 0 else index) for line in range(60))
            yield b"M 100644 inline src/part%d/file%d.txt\n" % (index % 20, index) + _data(lines)
    yield b"done\n"


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def make_repository(folder: Path, commits: int) -> None:
    """The same repository every time, with changes staged, unstaged and untracked."""
    run = ["git", "-C", str(folder)]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    history = b"".join(write_history(commits))
    subprocess.run([*run, "fast-import", "--quiet", "--done"], input=history, check=True)
    subprocess.run([*run, "reset", "--quiet", "--hard", "main"], check=True)
    for index in range(20):
        (folder / "src" / f"part{index}" / f"file{index}.txt").write_text("changed\n" * 40)
    subprocess.run([*run, "add", *(f"src/part{index}" for index in range(10))], check=True)
    (folder / "new.txt").write_text("untracked\n")
    subprocess.run([*run, "branch", "topic", "main~50"], check=True)


def list_trials(folder: Path, commits: int) -> list[Trial]:
    """The calls that both know."""
    here = {"repo_path": str(folder)}

    def trial(
        title: str, arguments: dict[str, object], words: Sequence[str], holds: str, aims: tuple[Aim, ...] = PROCESS
    ) -> Trial:
        tool = title.partition(",")[0].partition(" ")[0]
        command = ["git", "-C", str(folder), *words]
        quick = title in ("git_status", "git_log, 10")
        return Trial(title, same(tool, {**here, **arguments}), lambda _: run(command), holds, 6, aims, quick)

    at_most = (Aim(1.0, PEER),)
    last, third = f"Change number {commits - 1}", f"Change number {commits - 4}"
    local: dict[str, object] = {"branch_type": "local"}
    return [
        trial("git_status", {}, ["status", "--porcelain=v2", "--branch"], "new.txt"),
        trial("git_diff_unstaged", {}, ["diff"], "+changed"),
        trial("git_diff_staged", {}, ["diff", "--cached"], "+changed"),
        trial("git_diff main~20", {"target": "main~20"}, ["diff", "main~20"], "+changed"),
        trial("git_log, 10", {"max_count": 10}, ["log", "-n10"], last, at_most),
        trial("git_log, 200", {"max_count": 200}, ["log", "-n200"], last, at_most),
        trial("git_show HEAD~3", {"revision": "HEAD~3"}, ["show", "HEAD~3"], third, at_most),
        trial("git_branch", local, ["branch", "--list"], "topic", at_most),
    ]


def run(command: Sequence[str]) -> bytes:
    """What a process says, as JSON."""
    return to_json({"text": subprocess.run(command, capture_output=True, text=True, check=True).stdout})
