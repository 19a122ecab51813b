"""The sandbox as it runs: all seven servers on one port, each on data that it made."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.sandbox.playground import NAMES, PATIENCE
from tests.stage import in_both_eras, scene

from mcp_kernel import Client
from mcp_server_sqlite.sample import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sandbox.playground import Playground

COUNT = {"sql": "SELECT count(*) FROM orders"}
CALLS: dict[str, tuple[str, Mapping[str, object], str]] = {
    "sqlite": ("query", COUNT, "3000"),
    "postgres": ("query", COUNT, "3000"),
    "git": ("git_log", {"max_count": 1}, "The Guji of the new harvest"),
    "filesystem": ("read_text_file", {"path": "returns.md"}, "Thirty days from delivery"),
    "vector": ("list_collections", {}, ""),
    "ticketing": ("search_tickets", {}, "Cannot log in after password change"),
    "everything": ("greet", {"name": "Ada"}, "Hello, Ada!"),
}
SELLERS = "SELECT name, sold, revenue FROM best_sellers ORDER BY sold DESC, name"


def test_the_table_has_the_seven(playground: Playground) -> None:
    assert [each["name"] for each in playground.table["servers"]] == list(NAMES)
    assert playground.problems() == {}
    assert all(playground.url(name) == f"{playground.base}/{name}/mcp" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@in_both_eras
@scene
async def test_a_server_answers_a_real_call(playground: Playground, name: str, revision: str) -> None:
    tool, arguments, expected = CALLS[name]
    async with Client(playground.url(name), revision=revision) as client:
        result = await client.call_tool(tool, arguments)
        assert not result.is_error
        assert expected in result.text


@scene
async def test_both_databases_hold_the_same_shop(playground: Playground) -> None:
    found: list[list[tuple[str, int, float]]] = []
    for name in ("sqlite", "postgres"):
        async with Client(playground.url(name)) as client:
            rows: Any = (await client.call_tool("query", {"sql": SELLERS})).structured
            found.append([(product, int(sold), float(revenue)) for product, sold, revenue in rows["rows"]])
    assert found[0] == found[1]
    assert len(found[0]) == len(PRODUCTS)


@scene
async def test_the_reader_of_postgresql_may_not_write(playground: Playground) -> None:
    async with Client(playground.url("postgres")) as client:
        rights = "rolsuper, has_table_privilege('orders', 'INSERT, UPDATE, DELETE')"
        role = f"SELECT {rights} FROM pg_roles WHERE rolname = user"
        result: Any = (await client.call_tool("query", {"sql": role})).structured
        assert result["rows"] == [[False, False]]


def test_the_handbook_is_found_by_meaning(playground: Playground) -> None:
    async def search() -> None:
        question = {"query": "who pays for the parcel when I send something back?", "top_k": 2}
        async with Client(playground.url("vector")) as client, asyncio.timeout(PATIENCE):
            while "returns.md" not in (await client.call_tool("semantic_search", question)).text:
                await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.5)  # it is indexed meanwhile

    asyncio.run(search())


@in_both_eras
@scene
async def test_a_question_and_its_answer_pass_through_the_front(playground: Playground, revision: str) -> None:
    async def answer(*_: object) -> dict[str, object]:
        return {"username": "ada", "email": "ada@example.com"}

    async with Client(playground.url("everything"), revision=revision, elicit=answer) as client:  # pyright: ignore[reportArgumentType]  # a wider signature
        result = await client.call_tool("test_elicitation", {"message": "Who are you?"})
        assert "ada@example.com" in result.text


def test_the_page_lists_what_runs(playground: Playground) -> None:
    listed = httpx.get(f"{playground.base}/servers.json").json()
    assert [each["path"] for each in listed] == [f"/{name}/mcp" for name in NAMES]
    assert "<script" in httpx.get(f"{playground.base}/").text


@pytest.mark.parametrize("path", ["/", "/servers.json", "/healthz", "/sqlite/mcp", "/sqlite/healthz", "/nothing"])
def test_another_host_and_another_origin_are_refused_everywhere(playground: Playground, path: str) -> None:
    where = playground.base + path
    assert httpx.get(where, headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(where, headers={"origin": "http://evil.example"}).status_code == 403


def test_what_is_not_there_is_said_with_what_is(playground: Playground) -> None:
    answer = httpx.get(f"{playground.base}/nothing/mcp")
    assert answer.status_code == 404
    assert "/sqlite/mcp" in answer.text


def test_all_is_well_and_each_server_says_so(playground: Playground) -> None:
    for path in ("/healthz", *(f"/{name}/healthz" for name in NAMES)):
        answer = httpx.get(playground.base + path)
        assert (answer.status_code, answer.text) == (200, "ok"), path


def test_each_server_is_ready_and_so_is_the_front(playground: Playground) -> None:
    for path in ("/readyz", *(f"/{name}/readyz" for name in NAMES)):
        answer = httpx.get(playground.base + path)
        assert (answer.status_code, answer.text) == (200, "ready"), path


def test_a_body_that_is_too_large_is_refused_behind_the_front(playground: Playground) -> None:
    answer = httpx.post(
        playground.url("sqlite"), content=b" " * 5_000_000, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("POST /sqlite/mcp", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0", 400),
        ("POST /sqlite/mcp", "Content-Length: 2\r\nContent-Length: 3", 400),
        ("GET /sqlite/healthz", "Host: evil.example", 421),
        ("GET /sqlite/healthz", "X-A: a\x01b", 400),
        ("GET /sqlite/healthz", "Connection: host", 200),
        ("HEAD /sqlite/healthz", "Accept: */*", 200),
        ("GET /sqlite/mcp", "Connection: Upgrade\r\nUpgrade: websocket", 400),
        ("GET /sqlite/../git/healthz", "Accept: */*", 404),
        ("GET /sqlite/%2e%2e/git/healthz", "Accept: */*", 404),
        ("GET //sqlite/healthz", "Accept: */*", 404),
        ("GET /sqlite//evil.example/healthz", "Accept: */*", 404),
        ("GET /sqlite/\xff", "Accept: */*", 400),
        ("CONNECT evil.example:443", "Accept: */*", 400),
    ],
)
def test_an_odd_request_is_refused_and_the_next_is_served(
    playground: Playground, request_line: str, headers: str, status: int
) -> None:
    for line, more, expected in ((request_line, headers, status), ("GET /sqlite/healthz", "Accept: */*", 200)):
        with socket.create_connection(("127.0.0.1", httpx.URL(playground.base).port or 0), PATIENCE) as connection:
            head = f"{line} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n\r\n"
            connection.sendall(head.encode("latin-1"))
            assert connection.recv(4096).startswith(b"HTTP/1.1 %d " % expected), line


def test_no_server_listens_but_on_the_one_port(playground: Playground) -> None:
    """Of the sandbox's processes only its own has a socket that listens on a network, and one."""
    listening = _listening_sockets()
    found = [inode for each in playground.processes() for inode in _sockets(each.pid) if inode in listening]
    assert len(found) == 1


def _listening_sockets() -> set[str]:
    """The inodes of the TCP sockets that listen (state 0A)."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {words[9] for words in lines if words[3] == "0A"}


def _sockets(pid: int) -> list[str]:
    """The inodes of the sockets that a process holds."""
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return [link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")]
