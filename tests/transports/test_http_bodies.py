"""What is sent to the endpoint: types, limits, slowness, broken JSON; and the connection after a refusal."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.stage import scene, scene_out_of_time
from tests.transports.guests import Hall, Modern, visiting
from tests.transports.host import META, MODERN
from tests.transports.listening import Connection, Listening, head

from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from collections.abc import Generator

LIMIT = 4 * 1024 * 1024
MODERN_HEADERS: dict[str, str | list[str] | None] = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}


# --- the type ---


@pytest.mark.parametrize(
    "kind", ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", " application/json ;x=y"]
)
@scene
async def test_json_is_taken_whatever_its_parameters(kind: str) -> None:
    async with visiting(Hall().server) as site:
        headers = {**MODERN_HEADERS, "content-type": kind, "content-encoding": "Identity"}
        assert "result" in await site.post(LIST, headers).json()


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "text/json", "application/jsonp", "application/json, text/plain", "application/x-json"],
)
@scene
async def test_every_other_type_is_refused_with_415(kind: str | None) -> None:
    async with visiting(Hall().server) as site:
        visit = site.post(LIST, {**MODERN_HEADERS, "content-type": kind})
        assert "application/json" in str(await visit.json())
        assert visit.status == 415


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, deflate"])
@scene
async def test_a_body_that_is_compressed_is_refused_with_what_to_do(coding: str) -> None:
    async with visiting(Hall().server) as site:
        visit = site.post(LIST, {**MODERN_HEADERS, "content-encoding": coding})
        assert "send it without Content-Encoding" in str(await visit.json())
        assert visit.status == 415


# --- the size ---


@scene
async def test_an_announced_body_beyond_the_limit_is_refused_unread() -> None:
    async with visiting(Hall().server) as site:
        visit = site.open("POST", headers={"content-length": str(LIMIT + 1)})
        assert await visit.started() == 413
        assert str(LIMIT) in str(await visit.json())


@pytest.mark.parametrize("announced", [None, "10", "-1", "x", "\xb2"])
@scene
async def test_a_body_that_grows_beyond_the_limit_is_refused_whatever_was_announced(announced: str | None) -> None:
    async with visiting(Hall().server, HttpOptions(body_limit=1000)) as site:
        visit = site.open("POST", headers={"content-length": announced})
        visit.feed(b"[" * 600, more=True)
        for _ in range(20):
            await asyncio.sleep(0)
        assert visit.status is None
        visit.feed(b"[" * 401, more=True)
        assert await visit.started() == 413


@pytest.mark.parametrize("more", [0, 1])
@scene
async def test_the_limit_is_exact(more: int) -> None:
    async with visiting(Hall().server, HttpOptions(body_limit=1000)) as site:
        body = json.dumps(LIST).encode().ljust(1000 + more)
        visit = site.post(body, MODERN_HEADERS)
        assert await visit.started() == (413 if more else 200)


@scene
async def test_a_body_in_pieces_is_put_together() -> None:
    async with Site(Hall().server.asgi()) as site:
        visit = site.open("POST", headers=MODERN_HEADERS)
        data = json.dumps(LIST).encode()
        for index in range(len(data)):
            visit.feed(data[index : index + 1], more=True)
        visit.feed(b"")
        await visit.whole()
        assert b'"result"' in visit.body


# --- slowness ---


@pytest.mark.parametrize("pieces", [0, 1, 7])
@scene_out_of_time
async def test_a_body_that_is_not_whole_in_time_is_refused(pieces: int) -> None:
    app = Hall().server.asgi()
    async with Site(app, patience=100) as site:
        loop = asyncio.get_running_loop()
        visit = site.open("POST", headers=MODERN_HEADERS)
        for _ in range(pieces):
            visit.feed(b"{", more=True)
            await asyncio.wait([loop.create_future()], timeout=1.2)
        assert await visit.started() == 408
        assert loop.time() == pytest.approx(10, abs=0.1)  # pyright: ignore[reportUnknownMemberType]  # pytest has no types for it


@scene
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_not_answered() -> None:
    async with visiting(Hall().server) as site:
        visit = site.open("POST", headers=MODERN_HEADERS)
        visit.feed(b"{", more=True)
        visit.hang_up()
        await visit.over()
        assert visit.status is None


# --- broken JSON ---


BROKEN = [
    b"",
    b" ",
    b"{",
    b"nonsense",
    b"\xff\xfe{}",
    b'{"jsonrpc":"2.0","id":1,"method":"p\xffng"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}',
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"jsonrpc":"2.0","id":' + b"9" * 100_000 + b',"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\\ud800"}}',
    b"null",
    b"7",
    b'"x"',
    b"{}",
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":7}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
]


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
@scene
async def test_what_is_no_message_is_refused_with_400(body: bytes, modern: bool) -> None:
    async with visiting(Hall().server) as site:
        visit = site.post(body, MODERN_HEADERS if modern else {}, malformed=True)
        answer = await visit.json()
        assert visit.status == 400
        assert "error" in answer
        assert answer.get("id", 1) == 1
        assert "result" in await Modern(site, 50).ask("tools/list").json()


@scene
async def test_a_doubled_mirrored_header_is_refused_even_where_it_reads_like_the_argument() -> None:
    async with visiting(Hall().server) as site:
        guest = Modern(site)
        params = {"name": "route", "arguments": {"region": "a, b"}}
        assert "a, b" in str(await guest.ask("tools/call", params, {"mcp-param-region": "a, b"}).json())
        for name, values in (("mcp-param-region", ["a", "b"]), ("mcp-name", ["route", "route"])):
            headers = {"mcp-param-region": "a, b", name: values}
            visit = guest.ask("tools/call", params, headers)
            assert "-32020" in str(await visit.json())
            assert visit.status == 400


# --- the connection afterwards ---


@pytest.fixture(scope="module")
def server() -> Generator[Listening]:
    with Listening() as listening:
        yield listening


REFUSED = {
    "a wrong type": (head("POST", "/mcp", {"Host": "localhost", "Content-Length": "4"}) + b"null", 415),
    "broken JSON": (
        head("POST", "/mcp", {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "1"}) + b"{",
        400,
    ),
    "a wrong path": (head("POST", "/x", {"Host": "localhost", "Content-Length": "4"}) + b"null", 404),
    "a wrong method": (head("PUT", "/mcp", {"Host": "localhost", "Content-Length": "4"}) + b"null", 405),
    "no session": (head("GET", "/mcp", {"Host": "localhost"}), 400),
    "a foreign host": (head("POST", "/mcp", {"Host": "evil", "Content-Length": "4"}) + b"null", 421),
    "a foreign origin": (
        head("POST", "/mcp", {"Host": "localhost", "Origin": "https://evil", "Content-Length": "4"}) + b"null",
        403,
    ),
    "an announced giant": (
        head("POST", "/mcp", {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "5000000"})
        + bytes(5_000_000),
        413,
    ),
    "a chunked giant": (
        head("POST", "/mcp", {"Host": "localhost", "Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        + b"10000\r\n%b\r\n" % bytes(65536) * 80
        + b"0\r\n\r\n",
        413,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_after_a_refusal_the_connection_is_fit_for_the_next_request_or_closed(server: Listening, case: str) -> None:
    data, status = REFUSED[case]
    with server.connect() as connection:
        connection.send(data)
        assert connection.read_answer()[0] == status
        if connection.headers.get("connection") == "close":
            assert connection.is_closed()
        else:
            assert "result" in connection.ask("tools/list").read_message()


def test_requests_in_a_row_are_answered_in_their_order(server: Listening) -> None:
    with server.connect() as connection:
        for number in range(20):
            connection.ask("tools/list", id=number)
        assert [connection.read_message()["id"] for _ in range(20)] == list(range(20))


def test_a_connection_serves_both_eras_by_turns(server: Listening) -> None:
    with server.connect() as connection:
        session = server.open_session(connection)
        for number in range(1, 4):
            assert connection.ask("tools/list", id=number).read_message()["id"] == number
            legacy = {"jsonrpc": "2.0", "id": number, "method": "ping"}
            assert connection.post(legacy, session).read_message() == {"jsonrpc": "2.0", "id": number, "result": {}}


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(server: Listening) -> None:
    with server.connect() as connection:
        body = json.dumps(LIST).encode()
        headers = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body))}
        mirrored = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list", "Expect": "100-continue"}
        connection.send(head("POST", "/mcp", {**headers, **mirrored}))
        assert connection.read_head()[0] == 100
        connection.judge.observe("client", body, malformed=False)
        assert "result" in connection.send(body).read_message()


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked\r\nContent-Length: 4",
        "Content-Length: +4",
        "Content-Length: 4 4",
        "Content-Length : 4",
        "X: a\r\n folded\r\nContent-Length: -4",
        "X\x00Y: 1",
        "X: a\x00b",
        "X: a\rb",
        ": empty",
    ],
)
def test_framing_that_two_readers_could_read_differently_is_refused(server: Listening, lines: str) -> None:
    request = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lines}\r\n\r\nnull"
    smuggled = head("GET", "/healthz", {"Host": "localhost"})
    with server.connect() as connection:
        connection.send(request.encode("latin-1") + smuggled)
        assert connection.read_answer()[0] == 400
        assert connection.is_closed()
    server.check_alive()


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/healthz", "localhost", 421),
        ("HTTP://evil.example:80/healthz", "localhost", 421),
        ("http://localhost@evil.example/healthz", "localhost", 421),
        ("http://localhost/healthz", "evil.example", 200),
        ("http://localhost:80/healthz", "localhost", 200),
        ("/healthz", "evil.example", 421),
    ],
)
def test_of_a_target_that_is_a_whole_url_the_host_counts(
    server: Listening, target: str, host: str, status: int
) -> None:
    with server.connect() as connection:
        connection.send(head("GET", target, {"Host": host}))
        assert connection.read_answer()[0] == status
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        connection.post(body, {"Host": host}, path=target.replace("healthz", "mcp"))
        assert connection.read_answer()[0] == (400 if status == 200 else status)  # a session is missing


@pytest.mark.parametrize(
    "line", [b"GET /\xff HTTP/1.1", b"GET /%ff%00 HTTP/1.1", b"GET http://[/mcp HTTP/1.1", b"\x16\x03\x01"]
)
def test_a_request_line_that_says_nothing_is_refused(server: Listening, line: bytes) -> None:
    with server.connect() as connection:
        connection.send(line + b"\r\nHost: localhost\r\n\r\n")
        assert connection.read_answer()[0] in (400, 404)
    assert "Traceback" not in server.log()


def test_who_asks_for_another_protocol_is_answered_in_this_one(server: Listening) -> None:
    with server.connect() as connection:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "x",
            "Sec-WebSocket-Version": "13",
        }
        connection.send(head("GET", "/mcp", {"Host": "localhost", **upgrade}))
        assert connection.read_answer()[0] == 400
    server.check_alive()


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_body_behind_an_offer_of_http_2_is_read(server: Listening, is_chunked: bool, in_parts: bool) -> None:
    """As Java's client sends each request (RFC 9110, 7.8)."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}
    body = json.dumps(LIST).encode()
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    frame = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(len(body))}
    plain = {"Host": "localhost", "Content-Type": "application/json", "MCP-Protocol-Version": MODERN}
    request = head("POST", "/mcp", {**plain, "Mcp-Method": "tools/list", **offer, **frame})
    with server.connect() as connection:
        connection.judge.observe("client", body, malformed=False)
        if in_parts:
            connection.send(request)
            for place in range(0, len(framed), 40):
                connection.send(framed[place : place + 40])
        else:
            connection.send(request + framed + head("GET", "/healthz", {"Host": "localhost"}) + b"\xff")
        status, answer = connection.read_answer()
        assert (status, b'"tools"' in answer) == (200, True)
        assert connection.is_closed()  # what came behind it was not read
    server.check_alive()


@pytest.mark.parametrize("frame", [{}, {"Transfer-Encoding": "identity"}, {"Transfer-Encoding": "chunked"}], ids=str)
def test_a_body_behind_an_offer_that_has_no_end_of_its_own_is_refused_at_once(
    server: Listening, frame: dict[str, str]
) -> None:
    with server.connect() as connection:
        offer = {"Host": "localhost", "Connection": "Upgrade", "Upgrade": "h2c", "Content-Type": "application/json"}
        connection.send(head("POST", "/mcp", {**offer, **frame}) + b"no such chunk")
        assert connection.read_answer()[0] == 400
        assert connection.is_closed()
    server.check_alive()
    assert "Traceback" not in server.log()


def test_what_a_client_sends_never_becomes_a_header(server: Listening) -> None:
    with server.connect() as connection:
        headers = {"Host": "localhost", "Origin": "https://a\tb", "Access-Control-Request-Headers": "x\tInjected: 1"}
        connection.send(head("OPTIONS", "/mcp", headers))
        connection.read_answer()
        assert "injected" not in connection.headers


def is_refused(connection: Connection) -> bool:
    """The server answers with an error, or closes."""
    try:
        return connection.read_answer()[0] >= 400 or connection.is_closed()
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "data", [b"GET /" + b"a" * 300_000, b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 60_000]
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(server: Listening, data: bytes) -> None:
    with server.connect() as connection:
        try:
            connection.send(data)
        except ConnectionError:
            return
        assert is_refused(connection)
    server.check_alive()
