"""The git server beside PyPI's `mcp-server-git`, on a generated repository of several thousand commits.

    uv run benchmarks/repositories.py [COMMITS]

Every call is made on one server and on the other in turn; the first is not counted.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from contest import Trial, compete, install_python

PACKAGE = "mcp-server-git==2026.10.19"
FILES = 400


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


def list_trials(folder: Path) -> list[Trial]:
    """The calls that both know."""
    here = {"repo_path": str(folder)}
    return [
        Trial("git_status", "git_status", here),
        Trial("git_diff_unstaged", "git_diff_unstaged", here),
        Trial("git_diff_staged", "git_diff_staged", here),
        Trial("git_diff main~20", "git_diff", {**here, "target": "main~20"}),
        Trial("git_log, 10", "git_log", {**here, "max_count": 10}),
        Trial("git_log, 200", "git_log", {**here, "max_count": 200}),
        Trial("git_show HEAD~3", "git_show", {**here, "revision": "HEAD~3"}),
        Trial("git_branch", "git_branch", {**here, "branch_type": "local"}),
    ]


def main(commits: int) -> None:
    """Make the repository, install the peer, compete."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "repository").resolve()
        folder.mkdir()
        make_repository(folder, commits)
        peer = install_python(Path(work, "peer"), PACKAGE)
        ours = [sys.executable, "-m", "mcp_server_git", "--max-output-bytes", "0", "--repository", str(folder)]
        theirs = [str(peer / "mcp-server-git"), "--repository", str(folder)]
        asyncio.run(compete(ours, theirs, list_trials(folder)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
