"""What the Dockerfile builds, built by its own commands in a copy of the checkout; no engine is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.house.source import ROOT
from tests.sandbox import imagefile
from tests.sandbox.playground import NAMES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the engine would copy: the files that git has, without what `.dockerignore` names."""
    folder = tmp_path_factory.mktemp("context")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    left_out = set((ROOT / ".dockerignore").read_text("utf-8").splitlines())
    for name in filter(None, listed.split("\0")):
        if name.partition("/")[0] not in left_out and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def build(context: Path, app: Path, **given: str) -> None:
    """Run the commands of the first stage, with another place for /app."""
    arguments, stages = imagefile.read(imagefile.FILE.read_text("utf-8"))
    values = {**arguments, **imagefile.declared(stages[0]), **given}
    for name, text in values.items():  # each may name the ones before it
        values[name] = imagefile.expand(text, values)
    settings = dict(re.findall(r"(\w+)=(\S+)", " ".join(stages[0].said("ENV"))))
    del settings["UV_NO_CACHE"]  # of no use in an image, of much use here
    inherited = {name: text for name, text in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment = {**inherited, **settings, "UV_PROJECT_ENVIRONMENT": str(app)}
    (command,) = [text for text in stages[0].said("RUN") if "uv sync" in text]
    command = re.sub(r"/app\b", str(app), imagefile.expand(command, values))
    done = subprocess.run(
        ["sh", "-c", command], cwd=context, env=environment, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("server", NAMES)
def test_an_image_holds_its_server_compiled_and_nothing_of_the_others(
    server: str, context: Path, tmp_path: Path
) -> None:
    app = tmp_path / "app"
    build(context, app, SERVER=server)
    shutil.move(context, tmp_path / "away")  # what is installed needs nothing of it
    try:
        said = subprocess.run([app / "bin/serve", "--version"], capture_output=True, text=True, check=True).stdout
    finally:
        shutil.move(tmp_path / "away", context)
    assert said.startswith(f"mcp-server-{server} ")
    (packages,) = app.glob("lib/python*/site-packages")
    ours = {path.name for path in packages.iterdir() if path.name.startswith("mcp_server_") and "." not in path.name}
    assert ours == {f"mcp_server_{server}"}
    assert list((packages / f"mcp_server_{server}" / "__pycache__").glob("cli.*.pyc"))
    assert not {"pytest", "mcp", "ruff"} & {path.name for path in packages.iterdir()}


def test_the_image_of_the_front_holds_the_sandbox(context: Path, tmp_path: Path) -> None:
    build(context, tmp_path / "app", PACKAGE="mcp-sandbox", COMMAND="sandbox")
    said = subprocess.run([tmp_path / "app/bin/serve", "--help"], capture_output=True, text=True, check=True).stdout
    assert "usage: sandbox" in said
