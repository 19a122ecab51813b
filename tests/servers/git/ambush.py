"""What the attacks share: a victim, programs that leave marks, a secret outside, and a client that uses everything."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.servers.git.forge import Forge, Repo
from tests.stage import Connect

from mcp_kernel.testing.eras import Client
from mcp_kernel.testing.memory import Refused
from mcp_server_git.server import build

Call = tuple[str, Mapping[str, object]]
"""The name of a tool, and the arguments."""
CANARY: Final = "canary-77041"
HIDDEN: Final = "c0ffee" * 6 + "c0de"
"""What a file outside holds that looks like the hash of a commit."""
TOUR: Final[list[Call]] = [
    ("git_status", {}),
    ("git_diff_unstaged", {}),
    ("git_diff", {"target": "HEAD~1"}),
    ("git_log", {"path": "a.txt", "author": "ada"}),
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
"""One call of every tool, in an order in which all of them succeed."""


@dataclass
class Ground:
    """A repository to attack, and around it what must stay as it is."""

    forge: Forge
    repo: Repo
    secret_commit: str
    _before: dict[Path, bytes] = field(default_factory=dict[Path, bytes])

    @classmethod
    def prepare(cls, forge: Forge) -> Ground:
        """Lay out a victim with changes of every kind, and a place outside that holds the canary."""
        repo = forge.make()
        old = repo.commit("first", a_txt="one\n", b_txt="bee\n")
        repo.commit("second", a_txt="one\ntwo\n")
        repo.write(".git/refs/heads/old", f"{old}\n")
        repo.write("a.txt", "one\ntwo\nthree\n")
        repo.write("new.txt")
        secret = forge.make("outside/repo").commit("hidden", secret_txt=f"{CANARY}\n")
        ground = cls(forge, repo, secret)
        ground.marks.mkdir()
        (ground.outside / "secret.txt").write_text(f"{CANARY}\n")
        (ground.outside / "hash").write_text(f"{HIDDEN}\n")
        return ground

    def copy(self, folder: Path) -> Ground:
        """Lay out the same in another folder."""
        shutil.copytree(self.forge.folder, folder, symlinks=True)
        forge = Forge(folder)
        return Ground(forge, Repo(folder / self.repo.path.name, forge.environment), self.secret_commit)

    @property
    def marks(self) -> Path:
        """Where programs leave their marks."""
        return self.forge.folder / "marks"

    @property
    def outside(self) -> Path:
        """What lies beside the victim, and is none of its business."""
        return self.forge.folder / "outside"

    @property
    def git(self) -> Path:
        """The git directory of the victim."""
        return self.repo.path / ".git"

    def program(self, name: str, folder: Path | None = None) -> Path:
        """Write a program that leaves a mark when it is run."""
        path = (folder or self.forge.folder / "programs") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n: > '{self.marks / name}'\n")
        path.chmod(0o755)
        return path

    def configure(self, text: str) -> None:
        """Add to the victim's configuration."""
        with (self.git / "config").open("a") as file:
            file.write(text + "\n")

    def replace(self, name: str, target: Path) -> None:
        """Put a symbolic link in the place of what lies in the git directory."""
        path = self.git / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def remember(self) -> None:
        """Look at everything outside of the victim."""
        self._before = self._look()

    def _look(self) -> dict[Path, bytes]:
        inside = (self.repo.path, self.forge.folder / "home")
        found = [each for each in self.forge.folder.rglob("*") if not any(top in each.parents for top in inside)]
        return {each: each.read_bytes() for each in found if each.is_file() and not each.is_symlink()}

    def check(self, said: list[str]) -> None:
        """Fail if a program was run, something outside was changed, or the canary was said."""
        assert sorted(each.name for each in self.marks.iterdir()) == []
        assert self._look() == self._before
        told = "".join(said)
        assert CANARY not in told
        assert HIDDEN not in told

    @asynccontextmanager
    async def visit(self, connect: Connect, revision: str, *more: Repo, **policy: Any) -> AsyncGenerator[Client]:
        """Serve the victim (and more) to a client; afterwards nothing may have happened outside."""
        self.remember()
        repositories = self.forge.serve(self.repo, *more, **policy)
        try:
            async with connect(build(repositories), revision) as client:
                yield client
        finally:
            repositories.close()
        self.check([])


async def use(client: Client, calls: Sequence[Call]) -> list[str]:
    """Call tools one after the other; gives what each said, a refusal of the protocol too."""
    said: list[str] = []
    for name, arguments in calls:
        try:
            result = await client.call_tool(name, arguments)
        except Refused as refusal:
            said.append(f"{name} isError {refusal}")
            continue
        said.append(f"{name} {'isError ' if result.get('isError') else ''}{result}")
    return said


async def tour(client: Client) -> list[str]:
    """Use every tool, and read a file of the repository."""
    said = await use(client, TOUR)
    try:
        said.append(f"resource {await client.call('resources/read', {'uri': 'git://repo/old/a.txt'})}")
    except Refused as refusal:
        said.append(f"resource isError {refusal}")
    return said


def failed(said: list[str]) -> list[str]:
    """The answers that are errors."""
    return [each for each in said if "isError" in each[:40]]
