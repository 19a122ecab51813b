"""The client with servers that others wrote, over each transport that they have."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.conformance.suite import Missing, fetch
from tests.stage import scene
from tests.transports.host import until

from mcp_kernel.client import Client, Elicitation, Reach, ServerRefused

HERE = Path(__file__).parent
PATIENCE = 30.0  # seconds
DOWNLOAD = 120.0  # seconds, the first time
ALONE = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, "--with"]
GIT = [*ALONE, "mcp-server-git==2026.10.19", "mcp-server-git"]
FIRST = [*ALONE, "mcp==1.30.0", "python", str(HERE / "served_by_sdk_1.py")]
SECOND = [sys.executable, str(HERE / "served_by_sdk_2.py")]

pytestmark = pytest.mark.slow


def need(program: str) -> None:
    """Skip where a program is not there, in CI fail."""
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), program
        pytest.skip(f"{program} is not on the PATH")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm packages that the lock file beside this test names."""
    need("node")
    try:
        return fetch(tmp_path_factory.mktemp("cache"), HERE)
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the servers of npm cannot be had: {missing}")


def over_stdio(command: list[str]) -> Client:
    """A client of a command."""
    reach = Reach(env=dict(os.environ))  # in which uv may find where its packages come from
    return Client(command, timeout=PATIENCE, elicit=fill_in, sample=lambda params: "Hi", reach=reach)


def fill_in(form: Elicitation) -> dict[str, object]:
    """Give the fields that have no default something to hold."""
    return {"name": "Ada"} if "name" in str(form.schema.get("properties")) else {}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    need("git")
    folder = tmp_path / "repository"
    folder.mkdir()
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "The first"]):
        subprocess.run(["git", *author, *words], cwd=folder, check=True, timeout=PATIENCE)
    return folder


@pytest.fixture(scope="module")
def git_server() -> list[str]:
    """The command, once uv has all that it needs."""
    need("uv")
    subprocess.run([*GIT, "--help"], stdout=subprocess.DEVNULL, check=True, timeout=DOWNLOAD)
    return GIT


@scene
async def test_the_public_git_server_is_used(repository: Path, git_server: list[str]) -> None:
    async with over_stdio([*git_server, "--repository", str(repository)]) as client:
        assert client.server.name == "mcp-git"
        assert "git_status" in [tool.name for tool in await client.list_tools()]
        log = await client.call_tool("git_log", {"repo_path": str(repository)})
        assert "The first" in log.text
        assert (await client.call_tool("git_log", {"repo_path": "/nowhere"})).is_error
        await client.ping()


@scene
async def test_the_public_filesystem_server_is_used(tmp_path: Path, packages: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("the text")
    program = packages / "node_modules" / "@modelcontextprotocol" / "server-filesystem" / "dist" / "index.js"
    async with over_stdio(["node", str(program), str(folder)]) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert {"read_text_file", "write_file", "list_directory"} <= set(tools)
        read = await client.call_tool("read_text_file", {"path": str(folder / "a.txt")})
        assert read.text == "the text"
        await client.call_tool("write_file", {"path": str(folder / "b.txt"), "content": "mine"})
        assert (folder / "b.txt").read_text() == "mine"
        assert (await client.call_tool("read_text_file", {"path": "/etc/passwd"})).is_error


@scene
async def test_the_public_everything_server_is_used(packages: Path) -> None:
    steps: list[float] = []

    def count(done: float, total: float | None, message: str | None) -> None:
        steps.append(done)

    program = packages / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
    async with over_stdio(["node", str(program), "stdio"]) as client:
        names = [tool.name for tool in await client.list_tools()]
        assert (await client.call_tool("echo", {"message": "hello"})).text == "Echo: hello"
        await client.call_tool("trigger-long-running-operation", {"duration": 0.4, "steps": 4}, on_progress=count)
        assert steps == [1, 2, 3, 4]
        sampled = await client.call_tool("trigger-sampling-request", {"prompt": "p", "maxTokens": 10})
        assert "Hi" in sampled.text
        assert "trigger-elicitation-request" in names
        prompts = [prompt.name for prompt in await client.list_prompts()]
        assert prompts
        resources = await client.list_resources()
        assert await client.read_resource(resources[0].uri)
        assert await client.list_resource_templates()


@contextmanager
def serve(command: list[str]) -> Generator[int]:
    """A server on a free port; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [str(port) if word == "PORT" else word for word in command]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    def listens() -> bool:
        assert process.poll() is None, "the server does not start"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    until(listens, DOWNLOAD)


@pytest.mark.parametrize(
    ("command", "path", "pinned", "revision"),
    [
        pytest.param([*SECOND, "PORT"], "/mcp", None, "2026-07-28", id="mcp-2.3-modern"),
        pytest.param([*SECOND, "PORT"], "/mcp", "2025-11-25", "2025-11-25", id="mcp-2.3-session"),
        pytest.param([*FIRST, "PORT", "streamable-http"], "/mcp", None, "2025-11-25", id="mcp-1.30"),
        pytest.param([*FIRST, "PORT", "sse"], "/sse", None, "2025-11-25", id="mcp-1.30-sse"),
    ],
)
def test_a_server_of_the_peer_is_used_over_http(
    command: list[str], path: str, pinned: str | None, revision: str
) -> None:
    need(command[0])
    steps: list[float] = []

    def count(done: float, total: float | None, message: str | None) -> None:
        steps.append(done)

    @scene
    async def use(port: int) -> None:
        async with Client(f"http://127.0.0.1:{port}{path}", revision=pinned, timeout=PATIENCE) as client:
            assert (client.server.revision, client.server.name) == (revision, "peer")
            assert [tool.name for tool in await client.list_tools()] == ["add", "count"]
            added = await client.call_tool("add", {"a": 2, "b": 3})
            assert (added.text, added.structured) == ("5", {"result": 5})
            assert (await client.call_tool("count", on_progress=count)).text == "counted"
            assert (await client.call_tool("add", {"a": "no number"})).is_error
            assert [resource.uri for resource in await client.list_resources()] == ["peer://text"]
            assert [part.text for part in await client.read_resource("peer://items/x")] == ["item x"]
            assert [each.uri_template for each in await client.list_resource_templates()] == ["peer://items/{name}"]
            filled = await client.get_prompt("greet", {"name": "Ada"})
            assert filled.messages[0]["content"] == {"type": "text", "text": "Greet Ada"}
            with pytest.raises(ServerRefused):
                await client.get_prompt("no-such-prompt")
            await client.ping()

    with serve(command) as port:
        use(port)
    assert steps == [0, 1, 2]
