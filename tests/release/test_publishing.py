"""What docs/publishing.md says, done word by word: each way to our servers, in an empty cache."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.house.source import ROOT
from tests.transports.host import until

from mcp_release.index import build_index
from mcp_release.workspace import find_servers

Json = dict[str, Any]

PAGE = (ROOT / "docs" / "publishing.md").read_text("utf-8")
PATIENCE = 300.0
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "dist", "tests", "benchmarks", "docs", ".*cache*", "__pycache__", "node_modules"
)
CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
CALLS: list[Json] = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
]


def commands(title: str) -> list[str]:
    """The commands of a section of the page, in order."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.+)\n```", section)


class Checkout:
    """A copy of the checkout, and a cache of uv in which there is nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)
        kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        # `uv run` takes this environment, which has the commands of the developers; `uvx` does not know of it.
        ours = {"UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_NO_SYNC": "1"}
        self.environment = {**kept, **ours, "UV_CACHE_DIR": str(folder / "cache")}

    def run(self, command: str, *, calls: list[Json] | None = None) -> list[Json]:
        said = "".join(json.dumps(call) + "\n" for call in calls or ())
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()] if calls else []

    def talk(self, command: str) -> None:
        """Start what must be our server, and no other of that name."""
        opened, listed = self.run(command, calls=CALLS)
        assert opened["result"]["serverInfo"] == {"name": "mcp-server-sqlite", "version": "0.1.0", "title": "SQLite"}
        assert "explain_query" in [tool["name"] for tool in listed["result"]["tools"]]

    def install(self, command: str) -> str:
        """Put a server into a host's file, and return the command that stands there, to be started from elsewhere."""
        file = self.folder / "mcp.json"
        self.run(f'{sys.executable} -m mcp_kernel install "$(echo {command})" --host cursor --file {file} --yes')
        entry = json.loads(file.read_text())["mcpServers"].pop("sqlite")
        return f"cd / && PATH=/usr/bin:/bin exec {shlex.join([entry['command'], *entry['args']])}"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if shutil.which("uvx") is None:
        pytest.skip("uv is not on the PATH")
    return Checkout(tmp_path)


@contextmanager
def serving(command: str, checkout: Checkout, port: int) -> Generator[None]:
    """Run the command that serves an index, until it answers and as long as it is needed."""
    with subprocess.Popen(command.split(), cwd=checkout.folder, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _answers(port))
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_checkout_is_enough(checkout: Checkout) -> None:
    (command,) = commands("From a checkout")
    checkout.talk(command)
    checkout.talk(checkout.install(command))


@pytest.mark.slow
def test_built_wheels_and_an_index_of_them_are_enough(checkout: Checkout) -> None:
    build, start = commands("From built wheels")
    checkout.run(build)
    checkout.talk(start)
    checkout.talk(checkout.install(start))
    index, serve, start = commands("From an index of one's own")
    checkout.run(index)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(serve.replace("8000", str(port)), checkout, port):
        checkout.talk(start.replace("8000", str(port)))
        checkout.talk(checkout.install(start.replace("8000", str(port))))


def test_every_readme_says_how_its_own_server_is_started() -> None:
    for package in find_servers():
        text = (package.folder / "README.md").read_text("utf-8")
        assert f"`--from ./servers/{package.name}`" in text, package.name
        assert "docs/publishing.md" in text, package.name


def test_the_readme_shows_the_commands_of_the_page() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for title in ("From a checkout", "From built wheels", "From an index of one's own"):
        command = commands(title)[-1]
        assert re.search(rf"^{re.escape(command)}( +#.*)?$", readme, re.MULTILINE), command


def wheel(folder: Path, name: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\nRequires-Python: >=3.11\n")


def test_an_index_has_a_page_for_each_of_our_packages_and_for_no_other(tmp_path: Path) -> None:
    for name in ("mcp_kernel", "mcp_server_x", "mcp_release"):
        wheel(tmp_path, name)
    found = build_index(tmp_path, tmp_path / "index", ["mcp-kernel", "mcp-server-x"])
    assert found == {
        name: [f"{name.replace('-', '_')}-1.0-py3-none-any.whl"] for name in ("mcp-kernel", "mcp-server-x")
    }
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["index.html", "mcp-kernel", "mcp-server-x"]
    page = (tmp_path / "index/mcp-server-x/index.html").read_text()
    (name, digest) = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', page)[0]
    assert (tmp_path / "index/mcp-server-x" / name).is_file()
    assert len(digest) == 64
    assert 'data-requires-python="&gt;=3.11"' in page
    assert (tmp_path / "index/mcp-server-x" / f"{name}.metadata").read_text().startswith("Name: mcp_server_x")
