"""`mcp-kernel registry`: the API that hosts with a private registry read, over real HTTP, and the search."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.console.conftest import COMMAND, Shell
from tests.house.source import ROOT
from tests.served import serve

from mcp_kernel.console.catalogue import OFFICIAL

Json = dict[str, Any]
Ask = Callable[..., httpx.Response]

SERVERS = sorted(path.parent.name for path in ROOT.glob("servers/*/server.json"))
NAMESPACE = "io.github.mcp-reference-servers"


def server(name: str, version: str, **more: object) -> Json:
    return {"server": {"name": name, "version": version, "description": f"What {name} does."}, **more}


MANY = [server(f"io.example/s{n:02}", "1.0.0") for n in range(35)]
VERSIONS = [server("io.example/x", version) for version in ("1.9.0", "1.10.0", "1.10.0rc1", "0.1")]


@pytest.fixture(scope="module")
def ours() -> Generator[Ask]:
    """The project's own catalogue, served."""
    with serving(ROOT / "registry.json") as ask:
        yield ask


@contextmanager
def serving(path: Path, *options: str) -> Generator[Ask]:
    """Serve a file; gives what asks for a path of it."""
    with (
        serve([*COMMAND, "registry", "serve", str(path)], options) as url,
        httpx.Client(base_url=url.removesuffix("/v0.1/servers"), timeout=10) as client,
    ):

        def ask(
            path: str, method: str = "GET", *, headers: dict[str, str] | None = None, params: Json | None = None
        ) -> httpx.Response:
            return client.request(method, path, headers=headers, params=params)

        yield ask


def write(path: Path, *servers: Json) -> Path:
    path.write_text(json.dumps({"servers": servers, "metadata": {"count": len(servers)}}))
    return path


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [each["server"]["name"].rpartition("/")[2] for each in response.json()["servers"]]


def test_the_list_is_that_of_the_file_with_what_the_registry_knows(ours: Ask) -> None:
    answer = ours("/v0.1/servers")
    assert answer.headers["content-type"] == "application/json"
    assert names(answer) == SERVERS
    assert answer.json()["metadata"] == {"count": len(SERVERS)}
    for each in answer.json()["servers"]:
        entry = (ROOT / "servers" / each["server"]["name"].rpartition("/")[2] / "server.json").read_text()
        assert each["server"] == json.loads(entry)
        official = each["_meta"][OFFICIAL]
        assert (official["status"], official["isLatest"]) == ("active", True)
        assert official["publishedAt"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=SQL", ["sqlite"]),
        ("search=GITHUB", SERVERS),  # which is a part of the names
        ("search=servers%2Fgit", ["git"]),
        ("search=nothing", []),
        ("version=latest&search=vector", ["vector"]),
        ("version=0.1.0&search=vector", ["vector"]),
        ("version=9.9.9", []),
        ("updated_since=2020-01-01T00:00:00Z&search=vector", ["vector"]),
        ("updated_since=2990-01-01T00:00:00%2B02:00", []),
    ],
)
def test_a_list_can_be_narrowed(ours: Ask, query: str, found: list[str]) -> None:
    assert names(ours(f"/v0.1/servers?{query}")) == found


def test_a_list_comes_in_pages(tmp_path: Path) -> None:
    with serving(write(tmp_path / "r.json", *reversed(MANY))) as ask:
        assert len(names(ask("/v0.1/servers"))) == 30
        seen: list[str] = []
        cursor: Json = {}
        while True:
            answer = ask("/v0.1/servers", params={"limit": 10, "search": "s", **cursor})
            seen += names(answer)
            metadata = answer.json()["metadata"]
            if "nextCursor" not in metadata:
                break
            cursor = {"cursor": metadata["nextCursor"]}
        assert seen == [f"s{n:02}" for n in range(35)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=²", "cursor=x", "updated_since=x"]
)
def test_a_question_that_makes_no_sense_is_refused(ours: Ask, query: str) -> None:
    answer = ours(f"/v0.1/servers?{query}")
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_versions_come_newest_first_and_the_last_one_is_the_latest(tmp_path: Path) -> None:
    with serving(write(tmp_path / "r.json", *VERSIONS)) as ask:
        answer = ask("/v0.1/servers/io.example%2Fx/versions").json()
        assert [each["server"]["version"] for each in answer["servers"]] == ["1.10.0", "1.10.0rc1", "1.9.0", "0.1"]
        assert [each["_meta"][OFFICIAL]["isLatest"] for each in answer["servers"]] == [True, False, False, False]
        for version, found in (("latest", "1.10.0"), ("1.9.0", "1.9.0")):
            answer = ask(f"/v0.1/servers/io.example%2Fx/versions/{version}").json()
            assert answer["server"]["version"] == found
        assert ask("/v0.1/servers/io.example/x/versions/latest").json()["server"]["version"] == "1.10.0"
        assert names(ask("/v0.1/servers?version=latest")) == ["x"]


def test_what_the_file_says_beside_an_entry_is_handed_on(tmp_path: Path) -> None:
    status = {"status": "deprecated"}
    with serving(write(tmp_path / "r.json", server("a/b", "1", _meta={OFFICIAL: status, "io.mine": {"x": 1}}))) as ask:
        assert ask("/v0.1/servers").json()["servers"][0]["_meta"] == {OFFICIAL: status, "io.mine": {"x": 1}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/v0.1/servers/{NAMESPACE}%2Fnone/versions", 404),
        ("GET", f"/v0.1/servers/{NAMESPACE}%2Fgit/versions/9.9.9", 404),
        ("GET", "/v0.1/servers/git/versions", 404),
        ("GET", "/", 404),
        ("GET", "/v0.1/servers/../../etc/passwd", 404),
        ("POST", "/v0.1/publish", 501),
        ("DELETE", f"/v0.1/servers/{NAMESPACE}%2Fgit/versions/0.1.0", 501),
        ("POST", "/v0.1/servers", 405),
        ("HEAD", "/v0.1/servers", 200),
        ("GET", "/v0.1/servers/", 200),
        ("GET", "/healthz", 200),
    ],
)
def test_every_other_request_has_its_status(ours: Ask, method: str, path: str, status: int) -> None:
    answer = ours(path, method)
    assert answer.status_code == status
    if status >= 400:
        assert list(answer.json()) == ["error"]


def test_a_name_that_is_not_this_machine_s_is_refused(ours: Ask) -> None:
    assert ours("/v0.1/servers", headers={"host": "rebound.example"}).status_code == 421


def test_only_pages_of_a_named_origin_may_read_it(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", *VERSIONS)
    with serving(path, "--allowed-origin", "https://app.example") as ask:
        shared = ask("/v0.1/servers", headers={"origin": "https://app.example"})
        assert shared.headers["access-control-allow-origin"] == "https://app.example"
        other = ask("/v0.1/servers", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_file_that_changes_is_read_again_and_a_broken_one_is_not_served(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", server("a/one", "1"))
    with serving(path) as ask:
        assert names(ask("/v0.1/servers")) == ["one"]
        write(path, server("a/one", "1"), server("a/two", "1"))
        assert names(ask("/v0.1/servers")) == ["one", "two"]
        path.write_text("{")
        assert names(ask("/v0.1/servers")) == ["one", "two"]
        path.unlink()
        assert names(ask("/v0.1/servers")) == ["one", "two"]
        write(path, server("a/three", "1"))
        assert names(ask("/v0.1/servers")) == ["three"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is no catalogue: "),
        ("[]", "it has no list of servers"),
        ('{"servers": [{}]}', "an entry of the list has no server"),
        ('{"servers": [{"server": {"name": "x", "version": "1"}}]}', "a server must have a name"),
        (json.dumps({"servers": [server("a/b", "1"), server("a/b", "1")]}), "a/b 1 stands there twice"),
    ],
)
def test_a_file_that_is_no_catalogue_is_not_served(shell: Shell, text: str, complaint: str) -> None:
    (shell.folder / "registry.json").write_text(text)
    done = shell.run("registry", "serve", "--port", "0")
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_word_finds_servers_in_a_file(shell: Shell) -> None:
    catalogue = str(ROOT / "registry.json")
    done = shell.run("registry", "search", "postgresql", "--registry", catalogue)
    assert (done.returncode, done.stdout.count("mcp-server-postgres")) == (0, 1)
    found = json.loads(shell.run("registry", "search", "READ-ONLY", "--registry", catalogue, "--json").stdout)
    assert {each["server"]["title"] for each in found["servers"]} >= {"SQLite", "PostgreSQL"}
    done = shell.run("registry", "search", "nothing", "--registry", catalogue)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_word_finds_servers_in_a_registry_however_many_pages_it_has(shell: Shell, tmp_path: Path) -> None:
    many = [server(f"io.example/s{n:03}", "1.0.0") for n in range(130)]
    with serve([*COMMAND, "registry", "serve", str(write(tmp_path / "r.json", *many, *VERSIONS))], ()) as url:
        found = json.loads(shell.run("registry", "search", "example/s", "--registry", url, "--json").stdout)
        base = url.removesuffix("/v0.1/servers")
        (one,) = json.loads(shell.run("registry", "search", "/X", "--registry", base, "--json").stdout)["servers"]
    assert found["metadata"]["count"] == 130
    assert one["server"]["version"] == "1.10.0"
    done = shell.run("registry", "search", "x", "--registry", base)
    assert done.returncode == 2
    assert "cannot be asked" in done.stderr
    assert os.linesep not in done.stdout
