"""A directory that is served, with a neighbour that is not; and the domain without a server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers.filesystem.desk import SERVER, Desk
from tests.transports.host import Host

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox

CANARY = "canary-4711"
Serve = Callable[..., "Desk"]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A directory to serve; beside it lies `outside`, which holds the canary."""
    folder = tmp_path / "served"
    folder.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(CANARY)
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "inner").mkdir()
    (folder / "inner" / "b.txt").write_text("inside\n")
    return folder


@pytest.fixture
def elsewhere(served: Path) -> Generator[Path]:
    """A directory on another device."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == served.stat().st_dev:
        pytest.skip("there is no second device")
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)


@pytest.fixture(params=["legacy", "modern"])
def desk(served: Path, request: pytest.FixtureRequest) -> Generator[Desk]:
    """A server of that directory, in each era."""
    with Host([*SERVER, str(served)]) as host:
        yield Desk(host.open(), request.param)


@contextmanager
def open_scope(*folders: Path, policy: Policy | None = None, roots: list[str] | None = None) -> Generator[Scope]:
    """The directories as one call has them."""
    sandbox = Sandbox([Directory(folder) for folder in folders], policy or Policy())
    try:
        with sandbox.scope(roots) as scope:
            yield scope
    finally:
        sandbox.close()


@pytest.fixture(params=["openat2", "walk"])
def scope(served: Path, request: pytest.FixtureRequest) -> Generator[Scope]:
    """The served directory, by either way of opening a path."""
    with open_scope(served, policy=Policy(by_walking=request.param == "walk")) as scope:
        yield scope
