"""The fences of one run of git: time, bytes, its process group, and the kernel's own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.git.conftest import Opener
from tests.servers.git.forge import Repo
from tests.transports.host import is_alive, until

from mcp_server_git import changes, fencing
from mcp_server_git.changes import add, commit
from mcp_server_git.status import read_status

SLOW_HOOK = "#!/bin/sh\nsleep 600 &\necho $! > {pids}.new\nmv {pids}.new {pids}\nsleep 600\n"

fenced = pytest.mark.skipif(fencing.supported() < fencing.OLDEST, reason="this kernel has no Landlock")


def test_a_call_that_takes_too_long_is_stopped(
    desk: Opener, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "HOOK_SECONDS", 0.5)
    repo.write(".git/hooks/pre-commit", SLOW_HOOK.format(pids=tmp_path / "pids")).chmod(0o755)
    repo.write("a.txt", "changed\n")
    repo.git("add", "--all")
    opened = desk(repo, run_hooks=True)
    assert "did not finish within 0.5 s" in opened.refusal(commit(opened.repository, "x"))
    assert desk(repo).run(read_status(desk(repo).repository)).branch == "main"


def test_a_cancelled_commit_takes_its_hooks_along_and_leaves_no_lock(desk: Opener, repo: Repo, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    repo.write(".git/hooks/pre-commit", SLOW_HOOK.format(pids=pids)).chmod(0o755)
    repo.write("a.txt", "changed\n")
    opened = desk(repo, run_hooks=True)
    opened.run(add(opened.repository, ["a.txt"]))

    async def cancel() -> None:
        task = asyncio.create_task(commit(opened.repository, "x"))
        await asyncio.to_thread(until, pids.exists)
        task.cancel()
        await asyncio.wait([task])

    opened.run(cancel())
    until(lambda: not is_alive(int(pids.read_text())))
    until(lambda: not (repo.path / ".git" / "index.lock").exists())
    repo.write(".git/hooks/pre-commit", "#!/bin/sh\n")
    assert opened.run(commit(opened.repository, "y")).summary.startswith("1 file changed")


def test_calls_at_once_are_answered_while_the_configuration_changes(desk: Opener, repo: Repo) -> None:
    opened = desk(repo)

    async def ask_all() -> list[str | None]:
        first = [asyncio.create_task(read_status(opened.find())) for _ in range(12)]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(repo.git, "config", "core.autocrlf", "input")
        then = [asyncio.create_task(read_status(opened.find())) for _ in range(12)]
        return [each.branch for each in await asyncio.gather(*first, *then)]

    assert opened.run(ask_all()) == ["main"] * 24


def test_a_long_output_is_cut_and_git_stopped(desk: Opener, repo: Repo) -> None:
    repo.commit("big", big_txt=b"x" * 5_000_000)
    opened = desk(repo)
    output = opened.run(opened.repository.run(["cat-file", "blob", "HEAD:big.txt"], limit=1_000))
    assert (output.data, output.cut) == (b"x" * 1_000, True)
    rest = opened.run(opened.repository.run(["cat-file", "blob", "HEAD:big.txt"], skip=4_999_990))
    assert (rest.data, rest.cut, rest.code) == (b"x" * 10, False, 0)


ATTEMPTS = {
    "execute a program": "os.execv('/bin/true', ['true'])",
    "read outside": "open('/etc/hostname').read()",
    "list outside": "os.listdir('/root')",
    "write outside": "open('/tmp/written-by-a-test', 'w')",
    "connect": "socket.create_connection(('127.0.0.1', 9), 1)",
}


@fenced
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_inside_the_kernel_s_fence_nothing_else_can_be_done(attempt: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    program = (
        "import os, socket, sys\nfrom mcp_server_git.fencing import Fence\n"
        f"Fence((), ('/usr',), ({str(inside)!r},)).close()\n"
        f"open({str(inside / 'file')!r}, 'w').write('fine')\n"
        f"try:\n    {ATTEMPTS[attempt]}\nexcept PermissionError:\n    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False, env=os.environ
    )
    assert done.stdout == "refused\n", done.stderr
    assert (inside / "file").read_text() == "fine"


@fenced
def test_a_read_only_server_cannot_write_even_if_it_tried(desk: Opener, repo: Repo) -> None:
    repo.write("a.txt", "changed\n")
    opened = desk(repo, read_only=True)
    assert opened.run(read_status(opened.repository)).unstaged
    assert "Permission denied" in opened.refusal(add(opened.repository, ["a.txt"]))


@fenced
def test_this_installation_of_git_works_inside_the_fence(desk: Opener, repo: Repo) -> None:
    assert desk(repo).repositories.start().program.fenced
