"""The command line as a user meets it: usage, entries for hosts, directories that cannot be, and HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.served import serve
from tests.servers.vector.desk import SERVER
from tests.stage import scene
from tests.transports.host import PATIENCE, Host, surroundings, until
from tests.transports.worlds import in_a_world_without_watches

from mcp_kernel import Client
from mcp_server_vector import __version__

SCRIPT = [str(Path(sys.executable).with_name("mcp-server-vector"))]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, without a client and without a terminal."""
    return subprocess.run(
        [*SCRIPT, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=surroundings(**environment),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--embedder", "magic"], "'magic' is not an embedder: wordllama, onnx,"),
        (["--embedder-url", "http://127.0.0.1:9"], "--embedder-url is for openai and ollama"),
        (["--chroma-url", "localhost"], "'localhost' is not a URL such as http"),
        (["--chroma-url", "http://ada:secret@localhost:8000"], "--chroma-url: write scheme, host and port alone"),
        (["--chroma-url", "http://localhost:8000/chroma"], "--chroma-url: write scheme, host and port alone"),
        (["--watch", "/nowhere/at/all"], "'/nowhere/at/all' is no directory"),
        (["--read-only", "--watch", "/"], "leave out one of them"),
        (["--data-dir", ""], "an empty path"),
        (["--watch", "{folder}", "--data-dir", "{folder}/data"], "lies in the watched"),
    ],
)
def test_bad_usage_is_one_line_that_says_what_to_do(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*(each.replace("{folder}", str(tmp_path)) for each in arguments))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"mcp-server-vector {__version__}\n"


def test_an_entry_for_a_host_is_absolute_and_complete(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    command = [*SCRIPT, "--data-dir", "data", "--watch", "papers=notes", "--embedder", "ollama:tiny"]
    command += ["--print-config", "claude-desktop"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    (entry,) = json.loads(shown)["mcpServers"].values()
    words = entry["args"]
    assert words[words.index("--data-dir") + 1] == str(tmp_path / "data")
    assert words[words.index("--watch") + 1] == f"papers={tmp_path / 'notes'}"
    assert words[words.index("--embedder") + 1] == "ollama:tiny"


def test_a_tilde_behind_a_collection_s_name_is_the_home(tmp_path: Path) -> None:
    """Zsh and hosts pass it on as it stands."""
    (tmp_path / "notes").mkdir()
    done = run("--watch", "papers=~/notes", "--print-config", "claude-desktop", HOME=str(tmp_path))
    assert f"papers={tmp_path / 'notes'}" in done.stdout, done.stderr


def test_a_directory_that_cannot_be_is_said_at_each_call_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Host([*SERVER, "--data-dir", str(tmp_path / "file" / "data")]) as host:
        host.open()
        result = host.call("list_collections")
        assert result["isError"] is True
        assert "cannot be made: Not a directory" in result["content"][0]["text"]
        (tmp_path / "file").unlink()
        assert "isError" not in host.call("list_collections")


@pytest.mark.slow
@pytest.mark.parametrize("world", [list, in_a_world_without_watches])
def test_a_watched_directory_is_indexed_from_the_start(tmp_path: Path, world: Callable[[list[str]], list[str]]) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("Herons wade in shallow water.")
    command = [*SERVER, "--data-dir", str(tmp_path / "data"), "--watch", f"birds={tmp_path / 'notes'}"]
    with Host(world(command)) as host:
        host.open()

        def found() -> bool:
            result = host.call("semantic_search", query="herons", collection="birds")
            return "isError" not in result and bool(result["structuredContent"]["results"])

        until(found, 20)


@pytest.mark.slow
def test_http_serves_the_same(tmp_path: Path) -> None:
    @scene
    async def ask(url: str) -> None:
        async with Client(url) as client:
            assert (await client.call_tool("list_collections")).structured == {"collections": [], "filling": []}

    with serve([*SERVER, "--data-dir", str(tmp_path)]) as url:
        ask(url)
