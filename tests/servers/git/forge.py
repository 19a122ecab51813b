"""A forge of repositories for tests: made with git itself, in a home of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mcp_server_git.policy import Policy
from mcp_server_git.refusals import Refusal
from mcp_server_git.repository import Repositories, Repository

T = TypeVar("T")
CONFIG = """\
[user]
	name = Ada
	email = ada@example.org
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
"""


@dataclass
class Repo:
    """A repository on disk, and git in it."""

    path: Path
    environment: dict[str, str]

    def git(self, *arguments: str | bytes, stdin: bytes = b"", **variables: str) -> bytes:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**self.environment, **variables},
            input=stdin,
            capture_output=True,
            timeout=30,
            check=True,
        ).stdout

    def say(self, *arguments: str) -> str:
        return self.git(*arguments).decode().strip()

    def write(self, name: str | bytes, text: str | bytes = "x\n") -> Path:
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def commit(self, message: str = "change", **files: str | bytes) -> str:
        """Write files (`a_txt="…"` is a.txt), stage everything and commit."""
        for name, text in files.items():
            self.write(name.replace("_", "."), text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.say("rev-parse", "HEAD")


@dataclass
class Forge:
    """Makes repositories in one folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        (home / ".gitconfig").write_text(CONFIG)
        self.environment = {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "TZ": "UTC"}

    @property
    def config(self) -> Path:
        """The user's own configuration."""
        return self.folder / "home" / ".gitconfig"

    def make(self, name: str = "repo", *options: str) -> Repo:
        path = self.folder / name
        path.mkdir(parents=True)
        repo = Repo(path, self.environment)
        repo.git("init", "--quiet", *options)
        return repo

    def serve(self, *repos: Repo | Path, **policy: Any) -> Repositories:
        paths = [each if isinstance(each, Path) else each.path for each in repos]
        return Repositories(paths, Policy(**policy), self.environment)


@dataclass
class Desk:
    """Asks one repository, on an event loop that lasts as long as the desk."""

    repositories: Repositories
    runner: asyncio.Runner

    @property
    def repository(self) -> Repository:
        return self.find()

    def find(self, path: str | None = None) -> Repository:
        return self.repositories.find(path, self.repositories.ceiling)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, 60))  # a fence that is down must fail a test, not hang it

    def refusal(self, work: Coroutine[Any, Any, object]) -> str:
        try:
            answer = self.run(work)
        except Refusal as refusal:
            return str(refusal)
        raise AssertionError(f"not refused: {answer}")
