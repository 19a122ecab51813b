"""HTTP as servers, and what stands before them, really speak it."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from tests.client.origin import (
    DISCOVERY,
    MODERN,
    NOTHING,
    TEXT,
    Asked,
    Origin,
    Reply,
    modern,
    saying,
    session,
)
from tests.client.puppet import play
from tests.stage import scene

from mcp_kernel.client import (
    CannotStart,
    Client,
    ClientError,
    HttpRefused,
    InvalidAnswer,
    NotConnected,
    Reach,
    Resilience,
    ServerRefused,
)

Json = dict[str, Any]
QUICK = Resilience(base=0.001, cap=0.001)


@scene
async def test_a_connection_is_used_again_after_answers_of_either_kind() -> None:
    async def stream(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        await reply.event_result(TEXT)
        await reply.end()

    async with Origin(modern(tools_call=stream, tools_list=NOTHING)) as origin:
        async with Client(origin.url) as client:
            for _ in range(3):
                await client.call_tool("x")
                await client.list_tools()
        assert (origin.connections, len(origin.asked)) == (1, 7)


@scene
async def test_a_stream_that_stays_open_after_its_answer_keeps_nobody_waiting() -> None:
    async def linger(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        await reply.event_result(TEXT)
        await asked.gone.wait()

    async with Origin(modern(tools_call=linger)) as origin, Client(origin.url) as client:
        async with asyncio.timeout(2):
            assert (await client.call_tool("x")).text == "done"
        async with asyncio.timeout(2):
            await origin.find("tools/call")[0].gone.wait()


@scene
async def test_what_is_told_on_the_way_is_heard_before_the_answer() -> None:
    order: list[object] = []

    async def tell(asked: Asked, reply: Reply) -> None:
        token = asked.body["params"]["_meta"]["progressToken"]
        told = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
        await reply.stream()
        await reply.part(b": a comment\r\n\r\nevent: ping\ndata: {}\n\nevent: message\n")
        await reply.part(b"data: " + json.dumps(told).encode() + b"\n\n")
        await reply.event_result(TEXT)
        await reply.end()

    def hear(done: float, total: float | None, message: str | None) -> None:
        order.append(done)

    async with Origin(modern(tools_call=tell)) as origin, Client(origin.url) as client:
        order.append((await client.call_tool("x", on_progress=hear)).text)
        assert order == [1, "done"]


@scene
async def test_to_give_up_is_to_hang_up() -> None:
    async def hang(asked: Asked, reply: Reply) -> None:
        await asked.gone.wait()

    async with Origin(modern(tools_call=hang)) as origin, Client(origin.url) as client:
        calling = asyncio.ensure_future(client.call_tool("x"))
        asked = await origin.hear("tools/call")
        calling.cancel()
        await asked.gone.wait()
        assert origin.find("notifications/cancelled") == []


@scene
async def test_a_session_is_told_that_a_call_was_given_up() -> None:
    async def hang(asked: Asked, reply: Reply) -> None:
        await asked.gone.wait()

    async with Origin(session(tools_call=hang)) as origin, Client(origin.url) as client:
        calling = asyncio.ensure_future(client.call_tool("x"))
        asked = await origin.hear("tools/call")
        calling.cancel()
        told = await origin.hear("notifications/cancelled")
        assert told.body["params"]["requestId"] == asked.body["id"]


# --- what stands in between ---


@pytest.mark.parametrize("status", [307, 308])
@scene
async def test_a_redirect_within_the_origin_is_followed_and_remembered(status: int) -> None:
    async def play(asked: Asked, reply: Reply) -> None:
        if asked.path == "/mcp":
            await reply.whole(status, location="/mcp/")
        else:
            await modern(tools_list=NOTHING)(asked, reply)

    async with Origin(play) as origin, Client(origin.url) as client:
        await client.list_tools()
        assert [asked.path for asked in origin.asked] == ["/mcp", "/mcp/", "/mcp/"]
        assert origin.asked[1].body == origin.asked[0].body


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("http://127.0.0.1:9/mcp", r"http://127\.0\.0\.1:9/mcp\. Give that URL instead"),
        ("https://example.com/mcp?token=x", r"https://example\.com/mcp\. Give"),
        ("http://[", "no URL"),
        ("http://127.0.0.1:99999/", "no URL"),
        ("file:///etc/passwd", "no URL"),
        ("/mcp", "status 307"),
    ],
)
@scene
async def test_a_redirect_to_elsewhere_takes_no_secret_along(location: str, match: str) -> None:
    reach = Reach(headers={"authorization": "Bearer secret"})
    async with Origin(saying(307, location=location)) as origin:
        with pytest.raises(HttpRefused, match=match) as caught:
            await Client(origin.url, reach=reach).connect()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["text/html", "", "application/octet-stream", "application/json-seq"])
@scene
async def test_a_body_of_another_type_is_no_answer(kind: str) -> None:
    page = saying(200, b"<html>login</html>", kind)
    async with Origin(modern(tools_list=page)) as origin, Client(origin.url) as client:
        with pytest.raises(InvalidAnswer, match="where JSON or an event stream belongs"):
            await client.list_tools()


@pytest.mark.contrary
@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no answer"),
        (b"{", "no answer"),
        (b"[]", "no answer"),
        (b'{"jsonrpc":"2.0","id":999,"result":{}}', "no answer"),
        (b'{"jsonrpc":"2.0","method":"x"}', "no answer"),
        (b'{"jsonrpc":"2.0","id":2,"result":7}', "object"),
        (b'{"jsonrpc":"2.0","id":2}', "no answer"),
    ],
)
@scene
async def test_json_that_is_no_answer_is_told_so_at_once(data: bytes, match: str) -> None:
    answer = saying(200, data, "application/json")
    async with Origin(modern(tools_list=answer)) as origin, Client(origin.url) as client:
        with pytest.raises(InvalidAnswer, match=match):
            await client.list_tools()


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, ""), (401, "auth"), (403, "may not"), (404, "path"), (406, ""), (413, ""), (500, ""), (501, "")],
)
@scene
async def test_a_refused_status_is_told_with_what_the_server_said(status: int, hint: str) -> None:
    said = b"<p>The\n  proxy   is \xff unhappy</p>" + b"x" * 1000
    async with Origin(modern(tools_call=saying(status, said, "text/html"))) as origin, Client(origin.url) as client:
        with pytest.raises(HttpRefused, match=f"status {status}: <p>The proxy is . unhappy.*{hint}") as caught:
            await client.call_tool("x")
        assert caught.value.status == status
        assert len(str(caught.value)) < 500
        assert len(origin.find("tools/call")) == 1


@scene
async def test_an_error_of_the_protocol_is_one_whatever_the_status() -> None:
    async def refuse(asked: Asked, reply: Reply) -> None:
        await reply.refuse(int(asked.body["params"]["name"]), -32099, {"a": 1})

    async with Origin(modern(tools_call=refuse)) as origin, Client(origin.url) as client:
        for status in (200, 400, 404, 500):
            with pytest.raises(ServerRefused) as caught:
                await client.call_tool(str(status))
            assert (caught.value.code, caught.value.data, caught.value.status) == (-32099, {"a": 1}, status)


@pytest.mark.parametrize(("status", "after"), [(429, "0"), (503, "0"), (502, ""), (504, "")])
@scene
async def test_a_server_in_trouble_is_asked_again(status: int, after: str) -> None:
    async def recover(asked: Asked, reply: Reply) -> None:
        if len(origin.find("tools/list")) < 3:
            await (reply.whole(status, retry_after=after) if after else reply.whole(status))
        else:
            await reply.result(NOTHING)

    async with Origin(modern(tools_list=recover)) as origin, Client(origin.url, resilience=QUICK) as client:
        assert await client.list_tools() == []


@scene
async def test_what_was_compressed_is_unpacked_and_what_was_not_really_is_an_error() -> None:
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "result": DISCOVERY}).encode()
    packed = gzip.compress(message)
    right = saying(200, packed, "application/json", content_encoding="gzip")
    async with Origin(right) as origin, Client(origin.url) as client:
        assert client.server.revision == MODERN
    async with Origin(saying(200, message, "application/json", content_encoding="gzip")) as origin:
        with pytest.raises(InvalidAnswer, match="cannot be decoded"):
            await Client(origin.url).connect()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@scene
async def test_a_body_beyond_the_limit_is_not_held(kind: str, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_kernel.client.http.MESSAGE_LIMIT", 1_000_000)
    monkeypatch.setattr("mcp_kernel.client.http.Answer.read.__defaults__", (1_000_000,))
    data = b"data: " + b"x" * 4_000_000
    headers = {"content_encoding": "gzip"} if packed else {}
    answer = saying(200, gzip.compress(data) if packed else data, kind, **headers)
    async with Origin(modern(tools_call=answer)) as origin, Client(origin.url) as client:
        with pytest.raises(InvalidAnswer, match=r"1000000 bytes.* not read"):
            await client.call_tool("x")


@scene
async def test_a_refusal_is_not_read_to_its_end() -> None:
    async def drone(asked: Asked, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 500 x\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
        while not asked.gone.is_set():
            await reply.part(b"blah " * 10_000)

    async with Origin(modern(tools_call=drone)) as origin, Client(origin.url) as client:
        with pytest.raises(HttpRefused, match="500"):
            await client.call_tool("x")


@pytest.mark.parametrize(
    "url", ["http://[", "http://h:port/", "http:///x", "http://127.0.0.1:99999/", "http://127.0.0.1:0/"]
)
@scene
async def test_a_url_that_leads_nowhere_is_told_before_anything_is_sent(url: str) -> None:
    with pytest.raises(CannotStart, match="no http or https URL"):
        await Client(url).connect()


@scene
async def test_a_secret_in_a_header_or_an_address_is_in_no_error() -> None:
    async with Origin(saying(500)) as origin:
        host = origin.url.removeprefix("http://")
        with pytest.raises(HttpRefused) as refused:
            await Client(f"http://me:secret@{host}?key=secret", reach=Reach(headers={"x-key": "secret"})).connect()
        with pytest.raises(CannotStart, match="one of its headers") as broken:
            await Client(origin.url, reach=Reach(headers={"authorization": "Bearer secret\n"})).connect()
    with pytest.raises(NotConnected) as gone:
        await Client(f"http://me:secret@{host}?key=secret", resilience=Resilience(attempts=1)).connect()
    for caught in (refused, broken, gone):
        assert "secret" not in str(caught.value)


@scene
async def test_a_server_that_is_not_there_yet_is_reached_when_it_is() -> None:
    async with Origin(modern(tools_list=NOTHING)) as first:
        port = first.port
    client = Client(f"http://127.0.0.1:{port}/mcp", resilience=QUICK)
    with pytest.raises(NotConnected, match="cannot be reached"):
        await client.list_tools()
    async with Origin(modern(tools_list=NOTHING), port):
        assert await client.list_tools() == []
        await client.close()


@scene
async def test_a_client_that_is_closed_during_a_call_ends_the_call_and_asks_nothing_more() -> None:
    async def hang(asked: Asked, reply: Reply) -> None:
        await asked.gone.wait()

    async with Origin(modern(tools_list=hang)) as origin:
        client = Client(origin.url)
        calling = asyncio.ensure_future(client.list_tools())
        asked = await origin.hear("tools/list")
        await client.close()
        with pytest.raises(ClientError):
            await calling
        await asked.gone.wait()
        assert origin.methods() == ["server/discover", "tools/list"]


# --- headers that mirror ---

MIRRORED: Json = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
FORBIDDEN: Json = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "bad name"}}}


@scene
async def test_a_server_that_misses_a_header_is_asked_for_its_tools_once_and_called_once_more() -> None:
    async def compare(asked: Asked, reply: Reply) -> None:
        if asked.headers.get("mcp-param-region") == "eu" and patience:
            await reply.result(TEXT)
        else:
            await reply.refuse(400, -32020)

    patience = [True]
    listed = {**NOTHING, "ttlMs": 60_000, "tools": [{"name": "x", "inputSchema": MIRRORED}]}
    async with Origin(modern(tools_call=compare, tools_list=listed)) as origin, Client(origin.url) as client:
        assert (await client.call_tool("x", {"region": "eu"})).text == "done"
        assert origin.methods() == ["server/discover", "tools/call", "tools/list", "tools/call"]
        assert (await client.call_tool("x", {"region": "eu"})).text == "done"
        patience.clear()
        with pytest.raises(ServerRefused, match="-32020"):
            await client.call_tool("x", {"region": "eu"})
        assert origin.methods()[5:] == ["tools/call", "tools/list", "tools/call"]


@scene
async def test_a_tool_whose_headers_are_forbidden_is_left_out_over_http_alone(caplog: pytest.LogCaptureFixture) -> None:
    tools = [{"name": "good", "inputSchema": MIRRORED}, {"name": "bad", "inputSchema": FORBIDDEN}]
    listed = {**NOTHING, "tools": tools}
    async with Origin(modern(tools_list=listed)) as origin, Client(origin.url) as client:
        assert [tool.name for tool in await client.list_tools()] == ["good"]
        assert "bad is left out" in caplog.text
    async with play({"tools/list": listed, "tools/call": TEXT}) as (client, _):
        assert [tool.name for tool in await client.list_tools()] == ["good", "bad"]
        await client.call_tool("bad", {"region": "x"})
