"""No entry is published while the public index has somebody else under the package's name: asked over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import pytest

from mcp_release import names
from mcp_release.names import find_obstacle
from mcp_release.workspace import find_servers

(GIT,) = [package for package in find_servers() if package.name == "git"]
MARK = f"<!-- mcp-name: {GIT.registered} -->"


class Index(BaseHTTPRequestHandler):
    """Answers as PyPI's JSON API does, with the descriptions that it is given by path."""

    def __init__(self, pages: dict[str, str], *arguments: object) -> None:
        self.pages = pages
        super().__init__(*arguments)  # pyright: ignore[reportArgumentType]  # as the server passes them

    def do_GET(self) -> None:
        text = self.pages.get(self.path)
        body = text if text is None or text == "broken" else json.dumps({"info": {"description": text}})
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> dict[str, str]:
    """The descriptions of the index, to be filled in."""
    return {}


@pytest.fixture
def index(pages: dict[str, str]) -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, pages)) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


VERSION = f"/mcp-server-git/{GIT.version}/json"
LATEST = "/mcp-server-git/json"


@pytest.mark.parametrize(
    ("held", "obstacle"),
    [
        ({}, "mcp-server-git is not published"),
        ({LATEST: "Git for others."}, "the name mcp-server-git belongs to others"),
        ({LATEST: MARK}, f"mcp-server-git {GIT.version} is not published yet"),
        ({VERSION: "Git for others.", LATEST: MARK}, f"mcp-server-git {GIT.version} in the index is not ours"),
        ({VERSION: f"mcp-name: {GIT.registered}-evil"}, f"mcp-server-git {GIT.version} in the index is not ours"),
        ({VERSION: "mcp-name: io.github.evil/git"}, f"mcp-server-git {GIT.version} in the index is not ours"),
        ({VERSION: f"# Git\n\n{MARK}\n"}, None),
        ({VERSION: f"mcp-name: {GIT.registered}"}, None),
    ],
)
def test_only_a_package_that_names_the_server_is_ours(
    held: dict[str, str], obstacle: str | None, pages: dict[str, str], index: str
) -> None:
    pages |= held
    assert find_obstacle(GIT, index) == obstacle


def test_an_index_that_answers_nonsense_or_nothing_is_no_proof(pages: dict[str, str], index: str) -> None:
    pages[VERSION] = "broken"
    with pytest.raises(URLError):
        find_obstacle(GIT, index)
    with pytest.raises(URLError):
        find_obstacle(GIT, "http://127.0.0.1:1")


@pytest.mark.parametrize(("held", "code"), [({VERSION: MARK}, 0), ({LATEST: "x"}, 1), ({VERSION: "broken"}, 1)])
def test_the_command_forbids_with_its_exit_code(
    held: dict[str, str],
    code: int,
    pages: dict[str, str],
    index: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages |= held
    monkeypatch.setattr("sys.argv", ["check-names", "mcp-server-git", "--index", index])
    with pytest.raises(SystemExit) as ended:
        names.main()
    assert ended.value.code == code
    assert capsys.readouterr().out.startswith(f"{GIT.registered}: ")


def test_a_package_that_there_is_not_is_bad_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["check-names", "mcp-server-none"])
    with pytest.raises(SystemExit) as ended:
        names.main()
    assert ended.value.code == 2
