"""Repositories to serve, and a desk to ask one at."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.git.ambush import Ground
from tests.servers.git.forge import Desk, Forge, Repo

from mcp_server_git import fencing

Opener = Callable[..., Desk]


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """A place to make repositories in."""
    return Forge(tmp_path / "forge")


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with two commits, made once, to be copied."""
    repo = Forge(tmp_path_factory.mktemp("pattern") / "forge").make()
    repo.commit("first", a_txt="one\n", b_txt="bee\n")
    repo.commit("second", a_txt="one\ntwo\n")
    return repo


@pytest.fixture
def repo(forge: Forge, pattern: Repo) -> Repo:
    """A repository with two commits."""
    shutil.copytree(pattern.path, forge.folder / "repo", symlinks=True)
    return Repo(forge.folder / "repo", forge.environment)


@pytest.fixture
def desk(forge: Forge) -> Iterator[Opener]:
    """Open desks that are closed after the test."""
    with asyncio.Runner() as runner:
        desks: list[Desk] = []

        def open_desk(*repos: Repo | Path, **policy: Any) -> Desk:
            desks.append(Desk(forge.serve(*repos, **policy), runner))
            return desks[-1]

        yield open_desk
        for each in desks:
            each.repositories.close()


@pytest.fixture(scope="session")
def battlefield(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A victim and its surroundings, made once, to be copied."""
    return Ground.prepare(Forge(tmp_path_factory.mktemp("battlefield") / "forge"))


@pytest.fixture
def ground(battlefield: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A victim to attack, on a kernel without Landlock: what holds must hold without it."""
    monkeypatch.setattr(fencing, "supported", lambda: 0)
    return battlefield.copy(tmp_path / "forge")
