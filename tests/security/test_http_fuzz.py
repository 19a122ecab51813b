"""Whatever bytes come over HTTP, the server lives, serves the next client, and says nothing that is not HTTP."""

from __future__ import annotations

import json
import random
import re
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tests.security.test_wire_fuzz import MAKERS, valid
from tests.transports.host import line
from tests.transports.listening import Listening

from mcp_server_sqlite.sample import create_sample

Json = dict[str, Any]
Pairs = list[tuple[bytes, bytes]]

VERBS: Final = [b"POST", b"GET", b"DELETE", b"OPTIONS", b"PUT", b"PRI", b"post", b"", b"CONNECT", b"\xff"]
PATHS: Final = [
    b"/mcp", b"/mcp/", b"/", b"/healthz", b"/readyz", b"/metrics", b"/mcp?x=1", b"//mcp", b"/mcp/../mcp", b"/%2e%2e/",
    b"*", b"http://127.0.0.1/mcp", b"/" + b"x" * 3000, b"/\xff", b"/%00", b"", b"/mcp#x", b"mcp",
]  # fmt: skip
NAMES: Final = [
    b"Host", b"Origin", b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Accept", b"Connection", b"Expect",
    b"MCP-Protocol-Version", b"Mcp-Method", b"Mcp-Name", b"Mcp-Session-Id", b"Mcp-Param-X", b"Last-Event-ID",
    b"Authorization", b"X-API-Key", b"Upgrade", b"Content-Encoding", b"Trailer", b"", b"a b", b"X\xff",
]  # fmt: skip
VALUES: Final = [
    b"", b"127.0.0.1", b"localhost:1", b"evil.example", b"null", b"application/json", b"text/plain", b"0", b"-1", b"5",
    b"1, 1", b"99999999999999999999", b"0x10", b"chunked", b"gzip, chunked", b"identity", b"close", b"upgrade",
    b"100-continue", b"2026-07-28", b"2025-11-25", b"tools/call", b"=?base64?!!?=", b"\xff\xfe", b"a\tb", b"x" * 5000,
    b"0-0", b"h2c", b"Bearer \x7f",
]  # fmt: skip


def listed(chance: random.Random, body: bytes, session: bytes) -> Pairs:
    """The headers of an honest request: of a session, or those that repeat what the body says."""
    pairs = [(b"Host", b"127.0.0.1"), (b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
    if (b"io.modelcontextprotocol/protocolVersion" in body) == (chance.random() < 0.1):
        return [*pairs, (b"Mcp-Session-Id", session)]
    found = list(re.finditer(rb'"(method|name|uri)": "([ -~]*?)"', body))
    said = {each[1]: each[2] for each in reversed(found)}  # the first of each
    named = said.get(b"uri" if said.get(b"method") == b"resources/read" else b"name", b"query")
    return [
        *pairs,
        (b"MCP-Protocol-Version", b"2026-07-28"),
        (b"Mcp-Method", said.get(b"method", b"tools/list")),
        (b"Mcp-Name", named),
    ]


def spoil(chance: random.Random, pairs: Pairs) -> None:
    """Drop, double, replace or add a header."""
    place = chance.randrange(len(pairs))
    match chance.randrange(5):
        case 0:
            del pairs[place]
        case 1:
            pairs.insert(place, pairs[place])
        case 2:
            pairs[place] = (pairs[place][0], chance.choice(VALUES))
        case _:
            pairs.insert(place, (chance.choice(NAMES), chance.choice(VALUES)))


def chunked(chance: random.Random, body: bytes) -> bytes:
    """A body in chunks, whose sizes do not always say the truth."""
    sizes = [
        b"%x" % len(body),
        b"0%x" % len(body),
        b"-1",
        b"%x;a=b" % len(body),
        b"f" * 20,
        b"",
        b"%x" % (len(body) + 3),
    ]
    end = chance.choice([b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nContent-Length: 3\r\n\r\n", b"", b"0\r\n"])
    return chance.choice(sizes[:1] * 6 + sizes) + b"\r\n" + body + b"\r\n" + end


def make_request(chance: random.Random, maker: Callable[[random.Random], bytes], session: bytes) -> bytes:
    body = maker(chance) if chance.random() < 0.6 else line(valid(chance))
    pairs = listed(chance, body, session)
    for _ in range(chance.choice([0, 0, 0, 1, 2, 4])):
        if pairs:
            spoil(chance, pairs)
    if chance.random() < 0.15:
        body = chunked(chance, body)
        pairs = [pair for pair in pairs if pair[0] != b"Content-Length"] + [(b"Transfer-Encoding", b"chunked")]
    verb = b"POST" if chance.random() < 0.8 else chance.choice(VERBS)
    path = b"/mcp" if chance.random() < 0.8 else chance.choice(PATHS)
    version = (
        b"HTTP/1.1" if chance.random() < 0.95 else chance.choice([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 ", b"", b"X"])
    )
    head = b"\r\n".join([b"%b %b %b" % (verb, path, version), *(b"%b: %b" % pair for pair in pairs), b"", b""])
    request = bytearray(head + body)
    for _ in range(chance.choice([0] * 8 + [1, 3])):
        request[chance.randrange(len(request))] = chance.randrange(256)
    return bytes(request)


def split_answers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The status and the body of each answer on a connection; the last may be cut off, since the client hung up."""
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.split(b"\r\n")
        found = re.fullmatch(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*", first)
        assert found, head
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if headers.get(b"transfer-encoding") == b"chunked":
            body, data = join_chunks(data)
        else:
            size = int(headers.get(b"content-length", b"0"))
            body, data = data[:size], data[size:]
        yield int(found[1]), body if headers.get(b"content-type") == b"application/json" else b""


def join_chunks(data: bytes) -> tuple[bytes, bytes]:
    """A body that came in chunks, and what follows it."""
    parts: list[bytes] = []
    while data:
        size, _, rest = data.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        data = rest[int(size, 16) + 2 :]
        if int(size, 16) == 0:
            break
    return b"".join(parts), data


def check_answers(data: bytes, asked: bytes) -> None:
    for status, body in split_answers(data):
        assert status < 500 or status == 501, (asked, data)
        with suppress(json.JSONDecodeError):  # cut off
            said = json.loads(body or b"[]")
            for each in cast("list[Json]", said if isinstance(said, list) else [said]):
                assert each["jsonrpc"] == "2.0", (asked, data)
                assert each.get("id", "") is not None, (asked, data)


def talk(address: tuple[str, int], data: bytes) -> bytes:
    """Send bytes, hang up when nothing more comes for a moment; returns all that came."""
    received = bytearray()
    with socket.create_connection(address, timeout=20) as connection, suppress(ConnectionError):
        connection.sendall(data)
        while select.select([connection], [], [], 0.02)[0] and (part := connection.recv(65536)):
            received += part
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            received += part
    return bytes(received)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Listening]:
    create_sample(tmp_path / "x.db")
    command = [sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(tmp_path / "x.db"), "--query-timeout", "2"]
    with Listening(command=command) as server:
        yield server


def torment(server: Listening, maker: Callable[[random.Random], bytes], seed: int, rounds: int) -> None:
    """Open connection after connection, each with a few requests behind one another; honest ones are served besides."""
    chance, served = random.Random(seed), 0
    with server.connect() as connection:
        session = server.open_session(connection)["Mcp-Session-Id"].encode()
    for number in range(rounds):
        asked = b"".join(make_request(chance, maker, session) for _ in range(chance.choice([1, 1, 2, 5])))
        answers = talk(cast("tuple[str, int]", server.address), asked)
        check_answers(answers, asked)
        served += answers.count(b"HTTP/1.1 200")
        if number % 20 == 0:
            with server.connect() as connection:
                assert "result" in connection.ask("tools/list").read_message()
    assert "Traceback" not in server.log(), server.log()
    assert served, "nothing got far enough to do harm"


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_no_bytes_over_http_bring_the_server_down(server: Listening, maker: Callable[[random.Random], bytes]) -> None:
    torment(server, maker, seed=11, rounds=60)
    assert server.descriptors() < 40


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_over_http_bring_the_server_down_for_long(server: Listening, seed: int) -> None:
    for maker in MAKERS:
        torment(server, maker, seed, rounds=500)
    assert server.memory() < 150 * 1024 * 1024
    assert server.descriptors() < 40
